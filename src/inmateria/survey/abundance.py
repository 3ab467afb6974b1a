"""How often a random control setting realises each gate.

A setting realises a gate when, over the four logic states, its lowest high
current lies above its highest low current by more than a stated margin. Four
different currents can be cut at three heights, so one setting may count for up
to three gates; the shares do not add up to one.

A setting is constant (TRUE or FALSE) when its four currents lie within the
margin of each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from inmateria.devices.device import FloatArray
from inmateria.errors import ShapeError
from inmateria.tasks import judge
from inmateria.tasks.gates import GATES

VARYING = tuple(name for name, table in GATES.items() if len(set(table)) > 1)
"""The fourteen gates that depend on an input, in the order of `GATES`."""

CONSTANT = "constant"
"""The count of settings that ignore both inputs: TRUE and FALSE."""

CONFIDENCE = 0.95
_RESAMPLES = 2000


def gate_margins(current: ArrayLike) -> FloatArray:
    """Lowest high minus highest low for each of `VARYING`.

    Parameters
    ----------
    current : (..., 4) array, nA
        States 00, 01, 10, 11.

    Returns
    -------
    (..., 14) array, nA
        Negative where the gate is not realised at all.

    Raises
    ------
    ShapeError
    """
    y = check_vectors(current)
    return np.stack([judge.separation(y, GATES[name]) for name in VARYING], axis=-1)


def count_gates(current: ArrayLike, margin_na: float) -> dict[str, int]:
    """How many settings realise each of `VARYING` by more than `margin_na` nA.

    Parameters
    ----------
    current : (n_settings, 4) array, nA
    """
    found = (gate_margins(current) > margin_na).sum(axis=0)
    return {name: int(n) for name, n in zip(VARYING, found, strict=True)}


def count_constant(current: ArrayLike, margin_na: float) -> int:
    """How many settings keep all four currents within `margin_na` nA; they realise no gate."""
    return int((judge.spread(check_vectors(current)) <= margin_na).sum())


@dataclass(frozen=True)
class Share:
    """A share of control settings with its 95 % interval, all 0 to 1."""

    mean: float
    low: float
    high: float


def shares(counts: Mapping[str, ArrayLike], n_settings: int) -> dict[str, Share]:
    """Mean share over devices of what was counted on each.

    The interval is the wider of two: the binomial one of the pooled counts
    (Wilson 1927, as if all settings were independent), and the one from drawing
    the devices again with replacement, since settings of one device resemble
    each other. One device has only the first.

    Parameters
    ----------
    counts : mapping of name to (n_devices,) counts
    n_settings : int
        Tried on each device.
    """
    found = {name: np.atleast_1d(np.asarray(n, dtype=np.float64)) for name, n in counts.items()}
    result = {}
    for name, n in found.items():
        total = n_settings * len(n)
        low, high = wilson_interval(float(n.sum()), total)
        if len(n) > 1:
            # The same draws for every name: intervals can be compared.
            draws = np.random.default_rng(0).integers(len(n), size=(_RESAMPLES, len(n)))
            tails = 0.5 * (1 - CONFIDENCE)
            spread = np.quantile(n[draws].mean(axis=1) / n_settings, (tails, 1 - tails))
            low, high = min(low, float(spread[0])), max(high, float(spread[1]))
        result[name] = Share(float(n.sum()) / total, low, high)
    return result


def wilson_interval(
    count: float, total: int, *, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Interval of a binomial share, by inverting the score test (Wilson 1927).

    With p = count / total and z the normal quantile, the ends are
    (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n).
    """
    z = float(ndtri(0.5 + 0.5 * confidence))
    p = count / total
    middle = p + z * z / (2 * total)
    half = z * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    # Rounding must not push the ends past the share itself at 0 and 1.
    return min(p, max(0.0, (middle - half) / scale)), max(p, min(1.0, (middle + half) / scale))


def check_vectors(current: ArrayLike) -> FloatArray:
    """`current` as (..., 4) floats.

    Raises
    ------
    ShapeError
    """
    y = np.asarray(current, dtype=np.float64)
    if y.ndim == 0 or y.shape[-1] != 4:
        raise ShapeError(
            f"current vectors have shape {y.shape}; the last axis must hold the 4 states "
            "00, 01, 10, 11"
        )
    return y
