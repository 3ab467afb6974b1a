"""How currents are judged: margins, thresholds, flatness, distinct levels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray


def separation(current: ArrayLike, target: ArrayLike) -> FloatArray:
    """Lowest high minus highest low.

    Parameters
    ----------
    current : (..., n_points) array, nA
    target : (n_points,) array
        High where above 0.5; both classes must occur.

    Returns
    -------
    (...) array, nA
    """
    y = np.asarray(current, dtype=np.float64)
    high = np.asarray(target) > 0.5
    return np.asarray(y[..., high].min(axis=-1) - y[..., ~high].max(axis=-1))


def midpoint(current: ArrayLike, target: ArrayLike) -> FloatArray:
    """Halfway between lowest high and highest low, (..., n_points) to (...) nA."""
    y = np.asarray(current, dtype=np.float64)
    high = np.asarray(target) > 0.5
    return np.asarray(0.5 * (y[..., high].min(axis=-1) + y[..., ~high].max(axis=-1)))


def best_threshold(current: ArrayLike, target: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Threshold that tells most points right, and the share that it does.

    Candidates lie halfway between neighbours in sorted order, and beyond both
    ends; among equals the one in the widest gap is taken, which for separable
    classes is the middle of the margin.

    Parameters
    ----------
    current : (..., n_points) array, nA
    target : (n_points,) array

    Returns
    -------
    threshold : (...) array, nA
    accuracy : (...) array, 0 to 1
    """
    y = np.asarray(current, dtype=np.float64)
    high = np.broadcast_to(np.asarray(target) > 0.5, y.shape)
    order = np.argsort(y, axis=-1)
    value = np.take_along_axis(y, order, axis=-1)
    is_high = np.take_along_axis(high, order, axis=-1)
    n = y.shape[-1]
    # Threshold k has k points below it: right are the lows below and the highs above.
    lows_below = np.concatenate(
        [np.zeros((*y.shape[:-1], 1)), np.cumsum(~is_high, axis=-1)], axis=-1
    )
    highs_above = is_high.sum(axis=-1, keepdims=True) - (np.arange(n + 1) - lows_below)
    right = lows_below + highs_above
    gap = np.diff(value, axis=-1)
    # A threshold cannot stand between two equal currents.
    right[..., 1:n] = np.where(gap > 0, right[..., 1:n], -1)
    ends = np.zeros((*y.shape[:-1], 1))
    gap = np.concatenate([ends, gap, ends], axis=-1)
    best = right.max(axis=-1, keepdims=True)
    choice = np.argmax(np.where(right == best, gap, -1.0), axis=-1)[..., None]
    edge = 1.0 + np.ptp(value, axis=-1, keepdims=True)
    below = np.concatenate([value[..., :1] - edge, value], axis=-1)
    above = np.concatenate([value, value[..., -1:] + edge], axis=-1)
    middle = 0.5 * (np.take_along_axis(below, choice, -1) + np.take_along_axis(above, choice, -1))
    return middle[..., 0], best[..., 0] / n


def accuracy_at(current: ArrayLike, target: ArrayLike, threshold: ArrayLike) -> FloatArray:
    """Share of points on their side of a threshold, (..., n_points) and (...) nA to (...)."""
    y = np.asarray(current, dtype=np.float64)
    level = np.asarray(threshold, dtype=np.float64)[..., None]
    return np.asarray(((y > level) == (np.asarray(target) > 0.5)).mean(axis=-1))


def spread(current: ArrayLike) -> FloatArray:
    """Highest minus lowest, (..., n_points) to (...) nA."""
    return np.asarray(np.ptp(np.asarray(current, dtype=np.float64), axis=-1))


def share_in_band(current: ArrayLike, width_na: float) -> FloatArray:
    """Largest share of points that fit in one band narrower than `width_na`."""
    y = np.sort(np.asarray(current, dtype=np.float64), axis=-1)
    rise = y[..., None, :] - y[..., :, None]
    return np.asarray(((rise >= 0) & (rise < width_na)).sum(axis=-1).max(axis=-1) / y.shape[-1])


def smallest_gap(current: ArrayLike) -> FloatArray:
    """Smallest distance between two levels, (..., n_points) to (...) nA."""
    y = np.sort(np.asarray(current, dtype=np.float64), axis=-1)
    return np.asarray(np.diff(y, axis=-1).min(axis=-1))


def count_distinct(current: ArrayLike, gap_na: float) -> FloatArray:
    """Most levels that can be picked so that each exceeds the one below by `gap_na`.

    Going up from the lowest and taking every level that is far enough from the
    last one taken is optimal on a line.
    """
    y = np.sort(np.asarray(current, dtype=np.float64), axis=-1)
    last = y[..., 0].copy()
    count = np.ones(y.shape[:-1])
    for k in range(1, y.shape[-1]):
        far = y[..., k] - last > gap_na
        count = count + far
        last = np.where(far, y[..., k], last)
    return np.asarray(count)
