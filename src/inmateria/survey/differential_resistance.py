"""Negative differential resistance: where a rising input lowers the output current.

Every electrode voltage pushes holes towards the output, so in a linear network
the output rises with every input, at any setting. A curve that falls is a
non-linear effect, and inverting gates are made of it. Two measures, per input:

- sweeps: the largest fall of I(V) along a sweep of the input, everything else
  held, max over i < j of I(V_i) - I(V_j); a sweep shows negative differential
  resistance when this exceeds the margin;
- steps: switching the input from 0 to 1 while the other input stays lowers the
  current by more than the margin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray
from inmateria.survey.abundance import Share, check_vectors, shares


@dataclass(frozen=True)
class DifferentialResistance:
    """How often and how far an input lowers the output, per input.

    Parameters
    ----------
    sweeps : two of Share
        Of sweeps that fall by more than the margin somewhere.
    both_ways : two of Share
        Of sweeps that both rise and fall by more than the margin.
    steps : two of Share
        Of logic steps that lower the current by more than the margin.
    largest_fall_na : (float, float), nA
        Over all sweeps.
    """

    sweeps: tuple[Share, Share]
    both_ways: tuple[Share, Share]
    steps: tuple[Share, Share]
    largest_fall_na: tuple[float, float]


def largest_fall(current: ArrayLike) -> FloatArray:
    """Largest drop along the last axis, (..., n_points) to (...) nA; zero where it only rises."""
    y = np.asarray(current, dtype=np.float64)
    return np.asarray((np.maximum.accumulate(y, axis=-1) - y).max(axis=-1))


def steps_of(current: ArrayLike) -> FloatArray:
    """Change of the output when an input goes from 0 to 1.

    Parameters
    ----------
    current : (..., 4) array, nA

    Returns
    -------
    (..., 2, 2) array, nA
        First or second input; the other one at 0 or at 1.
    """
    y = check_vectors(current)
    first = np.stack([y[..., 2] - y[..., 0], y[..., 3] - y[..., 1]], axis=-1)
    second = np.stack([y[..., 1] - y[..., 0], y[..., 3] - y[..., 2]], axis=-1)
    return np.stack([first, second], axis=-2)


def differential_resistance(
    sweep: ArrayLike, vectors: ArrayLike, margin_na: float
) -> DifferentialResistance:
    """Both measures.

    Parameters
    ----------
    sweep : (2, n_sweeps, n_points) array, nA
        Voltage rises along the last axis.
    vectors : (n_settings, 4) array, nA
    margin_na : float, nA
    """
    y = np.asarray(sweep, dtype=np.float64)
    n = y.shape[1]
    fall = largest_fall(y) if n else np.zeros((2, 0))
    rise = largest_fall(-y) if n else np.zeros((2, 0))
    down = steps_of(vectors) < -margin_na
    return DifferentialResistance(
        sweeps=_pair((fall > margin_na).sum(axis=1), n),
        both_ways=_pair(((fall > margin_na) & (rise > margin_na)).sum(axis=1), n),
        steps=_pair(down.sum(axis=(0, 2)), 2 * len(down)),
        largest_fall_na=(
            float(fall[0].max(initial=0.0)),
            float(fall[1].max(initial=0.0)),
        ),
    )


def _pair(count: FloatArray, total: int) -> tuple[Share, Share]:
    if not total:  # no sweeps were asked for
        return Share(0.0, 0.0, 1.0), Share(0.0, 0.0, 1.0)
    first, second = (shares({"": n}, total)[""] for n in count)
    return first, second
