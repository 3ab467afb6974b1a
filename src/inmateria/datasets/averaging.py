"""Maps on coarser pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inmateria.errors import ShapeError


def block_average(images: NDArray[np.float64], factor: int) -> NDArray[np.float64]:
    """Mean over squares of `factor` pixels, (..., n_x, n_y) to (..., n_x / f, n_y / f).

    Raises
    ------
    ShapeError
    """
    n_x, n_y = images.shape[-2:]
    if factor < 1 or n_x % factor or n_y % factor:
        raise ShapeError(f"{n_x} x {n_y} pixels cannot be averaged over squares of {factor}")
    if factor == 1:
        return images
    split = images.reshape(*images.shape[:-2], n_x // factor, factor, n_y // factor, factor)
    return np.asarray(split.mean(axis=(-3, -1)))
