"""How good a reconstruction is."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.errors import ShapeError

Array = NDArray[np.float64]


def _pair(found: ArrayLike, true: ArrayLike) -> tuple[Array, Array]:
    a, b = np.asarray(found, dtype=np.float64), np.asarray(true, dtype=np.float64)
    if a.shape != b.shape or a.ndim < 2:
        raise ShapeError(f"shapes {a.shape} and {b.shape}: give two of (..., n_x, n_y)")
    return a, b


def pearson(found: ArrayLike, true: ArrayLike) -> Array:
    """Correlation coefficient over the pixels of each pair of images, (...).

    Raises
    ------
    ShapeError
    """
    a, b = _pair(found, true)
    a = a - a.mean(axis=(-2, -1), keepdims=True)
    b = b - b.mean(axis=(-2, -1), keepdims=True)
    norm = np.sqrt((a**2).sum(axis=(-2, -1)) * (b**2).sum(axis=(-2, -1)))
    return np.asarray((a * b).sum(axis=(-2, -1)) / np.where(norm > 0, norm, np.nan))


def rms_error(found: ArrayLike, true: ArrayLike) -> Array:
    """Root mean square difference of each pair of images, (...), in their unit."""
    a, b = _pair(found, true)
    return np.asarray(np.sqrt(((a - b) ** 2).mean(axis=(-2, -1))))


def coverage(found: ArrayLike, sigma: ArrayLike, true: ArrayLike, factor: float) -> float:
    """Share of pixels whose truth lies within `factor` standard deviations."""
    a, b = _pair(found, true)
    return float((np.abs(a - b) <= factor * np.asarray(sigma)).mean())


def relative_rms(found: ArrayLike, true: ArrayLike) -> Array:
    """Root mean square of (found - true) / true over samples, for each column of (n, ...)."""
    a, b = np.asarray(found, dtype=np.float64), np.asarray(true, dtype=np.float64)
    return np.asarray(np.sqrt((((a - b) / b) ** 2).mean(axis=0)))
