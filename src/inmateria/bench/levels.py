"""Levels of points that were visited again and again while the current drifted.

In a pass p the reading of point k at time u is

    y = L_k + a_p + b_p u + noise,

a level of the point and a drift of the pass. Current noise goes as 1/f^1.5: readings
close in time are alike, and sessions far apart differ by nanoamperes. Because the order
is shuffled anew in every pass, neighbours in time are not the same neighbours again, and
whatever the spectrum is, the noise that is left over on the levels is as if independent
(randomisation, Fisher 1935, The Design of Experiments). Its size comes from the
repetitions, in both measurements.

A difference common to all points is drift and no change of the device: it is fitted out
and held against how far the passes of a measurement wander. What is left is held against
the noise of the levels,

    F = (d - o)^T C^-1 (d - o) / (K - 1),    C = C_then + C_now,

which follows Fisher's distribution with K - 1 degrees of freedom where nothing changed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f as fisher
from scipy.stats import t as student

from inmateria.devices.device import FloatArray

_ROUNDING = 1e-9  # of the largest level: what is left where there is no noise at all
_FLAT = 2.0  # standard errors of a level that levels of one value scatter by at the most


@dataclass(frozen=True, eq=False)
class Levels:
    """What one measurement says of its points.

    Parameters
    ----------
    level : (n_outputs, n_points) array, nA
    share : (n_points, n_points) array
        Covariance of the levels over the variance of a reading.
    noise : (n_outputs,) array, nA
        Standard deviation of a reading about levels and drift.
    wander : (n_outputs,) array, nA
        Standard deviation of the passes' drift a_p.
    freedom : int
        Readings minus what was fitted to them.
    n_passes : int
    """

    level: FloatArray
    share: FloatArray
    noise: FloatArray
    wander: FloatArray
    freedom: int
    n_passes: int

    @property
    def error(self) -> FloatArray:
        """Standard error of a level, (n_outputs,) nA."""
        return np.asarray(self.noise * np.sqrt(np.diag(self.share).mean()))


def find_levels(current: FloatArray, order: NDArray[np.int64], kept: NDArray[np.bool_]) -> Levels:
    """Levels and drift by least squares over all visits.

    Parameters
    ----------
    current : (n_passes n_points, n_outputs) array, nA
        In order of time.
    order : (n_passes, n_points) array
        Point of each visit.
    kept : (n_points,) bool array
        Points that count.
    """
    n_passes, n_points = order.shape
    visits = order.ravel()
    used = kept[visits]
    number = np.cumsum(kept) - 1
    point, which = number[visits[used]], np.repeat(np.arange(n_passes), n_points)[used]
    time = np.tile(np.linspace(-1, 1, n_points), n_passes)[used]
    n_kept = int(kept.sum())
    columns = np.zeros((point.size, n_kept + 2 * n_passes - 1))
    row = np.arange(point.size)
    columns[row, point] = 1
    # The passes' drifts add up to nothing: what they have in common belongs to the levels.
    for p in range(n_passes - 1):
        columns[which == p, n_kept + p] = 1
        columns[which == n_passes - 1, n_kept + p] = -1
    columns[row, n_kept + n_passes - 1 + which] = time
    reading = current[used]
    inverse = np.linalg.inv(columns.T @ columns)
    found = inverse @ (columns.T @ reading)
    freedom = columns.shape[0] - columns.shape[1]
    left = reading - columns @ found
    drift = found[n_kept : n_kept + n_passes - 1]
    drift = np.vstack([drift, -drift.sum(axis=0)])
    return Levels(
        level=np.ascontiguousarray(found[:n_kept].T),
        share=inverse[:n_kept, :n_kept],
        noise=np.sqrt((left**2).sum(axis=0) / freedom),
        wander=drift.std(axis=0, ddof=1),
        freedom=freedom,
        n_passes=n_passes,
    )


def compare_levels(then: Levels, now: Levels, output: int) -> dict[str, float]:
    """The numbers of one output, by the names that `Stability` gives them."""
    x, y = then.level[output], now.level[output]
    d = y - x
    n = d.size
    floor = _ROUNDING * max(np.abs(x).max(), np.abs(y).max(), 1e-12)
    variance = [max(float(one.noise[output]), floor) ** 2 for one in (then, now)]
    covariance = then.share * variance[0] + now.share * variance[1]
    # Degrees of freedom of a sum of two variances (Welch and Satterthwaite).
    parts = [v**2 / one.freedom for v, one in zip(variance, (then, now), strict=True)]
    freedom = sum(variance) ** 2 / sum(parts)
    inverse = np.linalg.inv(covariance)
    constant = np.ones((n, 1))
    offset, left = _fit(constant, d, inverse)
    statistic = left @ inverse @ left / (n - 1)
    p_value = float(fisher.sf(statistic, n - 1, freedom))
    # Levels that are noise have no shape to compare.
    flat = min(x.std(), y.std()) <= max(floor, _FLAT * min(then.error[output], now.error[output]))
    gain, gain_error, left_p_value, correlation = np.nan, np.nan, p_value, np.nan
    if not flat:
        # A factor on what was there before; its own noise makes it too small by 1 / n and less.
        both = np.hstack([constant, (x - x.mean())[:, None]])
        factor, rest = _fit(both, d, inverse)
        gain = 1 + float(factor[1])
        gain_error = float(np.sqrt(np.linalg.inv(both.T @ inverse @ both)[1, 1]))
        left_p_value = float(fisher.sf(rest @ inverse @ rest / (n - 2), n - 2, freedom))
        correlation = float(np.corrcoef(x, y)[0, 1])
    wander = float(np.hypot(max(then.wander[output], floor), max(now.wander[output], floor)))
    # Neighbouring passes are alike in 1/f^1.5 noise: two are worth one.
    passes = (then.n_passes + now.n_passes - 2) / 2
    centred = d - d.mean()
    return {
        "change_na": float(np.sqrt((centred**2).mean())),
        "expected_na": float(np.sqrt((np.trace(covariance) - covariance.mean() * n) / n)),
        "statistic": float(statistic),
        "p_value": p_value,
        "offset_na": float(offset[0]),
        "offset_error_na": wander,
        "offset_p_value": float(2 * student.sf(abs(offset[0]) / wander, passes)),
        "gain": gain,
        "gain_error": gain_error,
        "correlation": correlation,
        "left_p_value": left_p_value,
    }


def _fit(columns: FloatArray, d: FloatArray, inverse: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Generalised least squares: coefficients and what they leave."""
    found = np.linalg.solve(columns.T @ inverse @ columns, columns.T @ inverse @ d)
    return np.asarray(found, dtype=np.float64), d - columns @ found
