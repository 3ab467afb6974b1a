"""Images on a model's pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.datasets.averaging import block_average
from inmateria.errors import ShapeError
from inmateria.reconstruction.scaling import checked_images

Real = NDArray[np.float64]


def on_pixels(
    images: ArrayLike, shape: tuple[int, int], pixel_nm: float, *, channels: int = 1
) -> tuple[Real, tuple[int, ...]]:
    """Images (..., n_x, n_y) as (n, *shape), and their leading dimensions.

    Several channels (..., channels, n_x, n_y) become (n, channels, *shape). Finer images, by a
    whole number, are averaged over squares.

    Raises
    ------
    ShapeError
        If they are not of this shape or a multiple of it.
    NotFiniteError
    """
    given = checked_images(images)
    n_x, n_y = given.shape[-2:]
    factor = n_x // shape[0]
    if not factor or (n_x, n_y) != (factor * shape[0], factor * shape[1]):
        turned = max(1, n_y // shape[0])
        what = (
            "transpose it"
            if (n_y, n_x) == (turned * shape[0], turned * shape[1])
            else "crop or interpolate it"
        )
        raise ShapeError(
            f"an image of {n_x} x {n_y} pixels: this model takes "
            f"{shape[0]} x {shape[1]} of {pixel_nm:g} nm (from source to drain first), or a "
            f"whole multiple; {what}"
        )
    kept = () if channels == 1 else (channels,)
    if kept and (given.ndim < 3 or given.shape[-3] != channels):
        raise ShapeError(
            f"images of shape {given.shape}: this model sees {channels} images of a sample; give "
            f"(..., {channels}, n_x, n_y)"
        )
    leading = given.shape[: given.ndim - 2 - len(kept)]
    return np.asarray(block_average(given.reshape(-1, *kept, n_x, n_y), factor)), leading
