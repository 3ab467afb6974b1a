"""How far a surrogate is from its device: noise, drift and error told apart.

At point k the device gives I_k and the surrogate says p_k. The points are
visited along a short way, in stretches of ten, and the first quarter of it is
walked twice. With r_k = I_k - p_k,

    r_k = offset + (gain - 1) (p_k - mean p) + error_k + slow_s(k) + fast_k.

Slow noise (1/f) is what a stretch has in common: every stretch's mean is taken
out of r and p before gain and error are looked for (a fixed effect per group).
What then scatters is error and fast noise; the second visits, in which the
error is the same, give the noise, and

    error^2 = var(r within stretches) - var(second - first, within stretches) / 2.

A surrogate states its error from held-out rows, noise included. The noise found
now is taken off, but not more than half of the square, because it need not be
the noise of that day; 1.5 times the root of what is left is allowed. Beyond it,
by two standard errors, device and surrogate have parted. If they have not, an
offset that is larger than this and than three of its standard errors is drift.

The offset is the mean of r; how well it is known follows from the means of the
stretches, which are correlated: n of them count as n (1 - rho) / (1 + rho), rho
the correlation of neighbours (Bayley & Hammersley 1946, J. R. Stat. Soc. B 8, 184).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inmateria.devices.device import FloatArray
from inmateria.surrogates.drift import error_of_mean, segment_means, without_drift

Verdict: TypeAlias = Literal["agrees", "drifted", "parted"]

STRETCH = 10
"""Points that share slow noise: some 0.4 s of a measurement."""
ERROR_FACTOR = 1.5
"""How many times its own error a surrogate may be off. That was found along a trajectory like the
one it was fitted to; at random points it is a little larger from the start."""
N_SIGMA = 2.0
OFFSET_SIGMA = 3.0
UNSTATED_SHARE = 0.05
"""Error allowed to a model that does not say its own, as a share of the currents' spread."""


@dataclass(frozen=True)
class Difference:
    """One output of a device against its surrogate.

    Parameters
    ----------
    output : str
    rms_na : float, nA
        Root mean square of measured minus predicted, everything included.
    relative : float
        The same over the spread of the predicted currents at these points.
    offset_na, offset_error_na : float, nA
        What the differences have in common, and its standard error.
    gain, gain_error : float
        Measured over predicted, the offset taken out.
    error_na, error_uncertainty_na : float, nA
        What is left without offset and noise: the surrogate's error now, gain included.
    shape_na : float, nA
        The same when the gain is corrected, too.
    level_na, drift_na, fast_na : float, nA
        Standard deviation of one level when its point is visited again: all of
        it, the part that a stretch has in common, the part that it has not.
    stated_na : float, nA
        The error that the surrogate stated when it was fitted, noise included.
    allowed_na : float, nA
        The largest error with which it still counts as the same.
    verdict : str
    """

    output: str
    rms_na: float
    relative: float
    offset_na: float
    offset_error_na: float
    gain: float
    gain_error: float
    error_na: float
    error_uncertainty_na: float
    shape_na: float
    level_na: float
    drift_na: float
    fast_na: float
    stated_na: float
    allowed_na: float
    verdict: Verdict


def difference(
    level: FloatArray,
    predicted: FloatArray,
    again: FloatArray,
    *,
    output: str,
    stated_na: float | None,
) -> Difference:
    """Noise, drift and error of one output; see the module's text.

    Parameters
    ----------
    level, predicted : (n_points,) arrays, nA
        In the order of the visit.
    again : (n_repeated,) array, nA
        Second visits to the first points, two stretches or more.
    output : str
    stated_na : float, optional, nA
    """
    away = level - predicted
    stretch, again_stretch = _stretches(len(level)), _stretches(len(again))
    residual, shape = _within(away, stretch), _within(predicted, stretch)
    weight = float(shape @ shape)
    slope = float(shape @ residual) / weight if weight else 0.0
    left = residual - slope * shape
    # White's standard error: the surrogate errs most where the current is large
    slope_error = float(np.sqrt(np.sum((shape * left) ** 2))) / weight if weight else np.inf

    between = again - level[: len(again)]
    fast, fast_error = _mean_square(_within(between, again_stretch), again_stretch)
    fast, fast_error = fast / 2, fast_error / 2
    scatter, scatter_error = _mean_square(residual, stretch)
    error, uncertainty = scatter - fast, float(np.hypot(scatter_error, fast_error))
    rest = _mean_square(left, stretch)[0] - fast

    means = segment_means(away[:, None], stretch)[:, 0]
    # two sources: neighbours in time, and half of what the second visits differ by in the mean
    offset, moved = float(away.mean()), float(between.mean())
    offset_error = float(np.hypot(error_of_mean(means), moved / 2))
    spread = float(predicted.std())
    stated = UNSTATED_SHARE * spread if stated_na is None else stated_na
    allowed = ERROR_FACTOR * float(np.sqrt(stated**2 - min(fast, stated**2 / 2)))
    verdict: Verdict = "agrees"
    if error - N_SIGMA * uncertainty > allowed**2:
        verdict = "parted"
    elif abs(offset) > max(OFFSET_SIGMA * offset_error, allowed):
        verdict = "drifted"
    error_na = float(np.sqrt(max(error, 0.0)))
    revisited = float(np.mean(between**2)) / 2
    rms = float(np.sqrt(np.mean(away**2)))
    return Difference(
        output=output,
        rms_na=rms,
        relative=rms / spread if spread else np.inf,
        offset_na=offset,
        offset_error_na=offset_error,
        gain=1 + slope,
        gain_error=slope_error,
        error_na=error_na,
        # of a root; the whole uncertainty where nothing but noise is left
        error_uncertainty_na=uncertainty / (error_na + float(np.hypot(error_na, uncertainty**0.5))),
        shape_na=float(np.sqrt(max(rest, 0.0))),
        level_na=float(np.sqrt(revisited)),
        drift_na=float(np.sqrt(max(revisited - fast, 0.0))),
        fast_na=float(np.sqrt(fast)),
        stated_na=stated,
        allowed_na=allowed,
        verdict=verdict,
    )


def without_slow_noise(values: FloatArray) -> FloatArray:
    """(n_points, n) values in the order of the visit, without their stretches' means."""
    return without_drift(values, _stretches(len(values)))


def _stretches(n: int) -> NDArray[np.int64]:
    """Which stretch each of n successive points belongs to, stretches of ten or a little more."""
    return np.arange(n) * max(1, n // STRETCH) // n


def _within(values: FloatArray, stretch: NDArray[np.int64]) -> FloatArray:
    """(n,) values without their stretch's mean."""
    return without_drift(values[:, None], stretch)[:, 0]


def _mean_square(values: FloatArray, stretch: NDArray[np.int64]) -> tuple[float, float]:
    """Variance within stretches, and its standard error from the scatter of the squares."""
    n = len(values)
    freedom = n - int(stretch[-1]) - 1
    return float(values @ values) / freedom, float(np.std(values**2)) * np.sqrt(n) / freedom
