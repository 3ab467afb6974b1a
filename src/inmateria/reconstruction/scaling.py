"""What a network sees of an image, and what its outputs mean.

An instrument's images come in units of its own, so the image is divided by its mean. The
square root of a PLDOS, the amplitude of the waves, has far fewer bright spots than the
PLDOS itself. Numbers for standardising come from the training set and are part of a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.errors import NotFiniteError, ParameterError, ShapeError

Image = NDArray[np.float32]


@dataclass(frozen=True)
class ImageScaling:
    """x = (f(image) - centre) / width.

    Parameters
    ----------
    form : ``"amplitude"``, ``"signed"`` or ``"plain"``
        sqrt(image / mean) for a PLDOS; image / root mean square for a map of changes; the
        image itself.
    centre, width : float
        Of f over the training set.
    """

    form: Literal["amplitude", "signed", "plain"]
    centre: float = 0.0
    width: float = 1.0

    def __post_init__(self) -> None:
        if self.form not in ("amplitude", "signed", "plain"):
            raise ParameterError(f"form = {self.form!r}: give 'amplitude', 'signed' or 'plain'")
        if not (np.isfinite(self.centre) and np.isfinite(self.width) and self.width > 0):
            raise ParameterError(f"centre {self.centre}, width {self.width}: give a positive width")

    @classmethod
    def of(cls, form: Literal["amplitude", "signed", "plain"], images: ArrayLike) -> ImageScaling:
        """The scaling that standardises these images, (n, n_x, n_y)."""
        found = cls(form)(images)
        width = float(found.std())
        return cls(form, float(found.mean()), width if width > 0 else 1.0)

    def __call__(self, images: ArrayLike) -> Image:
        """Scaled images, of the same shape (..., n_x, n_y).

        Raises
        ------
        NotFiniteError, ParameterError, ShapeError
        """
        given = checked_images(images)
        if self.form == "amplitude":
            mean = given.mean(axis=(-2, -1), keepdims=True)
            if (given < 0).any() or (mean <= 0).any():
                raise ParameterError(
                    "an image of a density holds negative pixels or nothing but zeros; give a "
                    "PLDOS, without an offset"
                )
            given = np.sqrt(given / mean)
        elif self.form == "signed":
            rms = np.sqrt((given**2).mean(axis=(-2, -1), keepdims=True))
            if (rms <= 0).any():
                raise ParameterError("an image holds nothing but zeros")
            given = given / rms
        return np.asarray((given - self.centre) / self.width, dtype=np.float32)


def checked_images(images: ArrayLike) -> NDArray[np.float64]:
    """Images as double precision numbers.

    Raises
    ------
    ShapeError, NotFiniteError
    """
    given = np.asarray(images, dtype=np.float64)
    if given.ndim < 2:
        raise ShapeError(f"an image of shape {given.shape}: give (..., n_x, n_y)")
    bad = ~np.isfinite(given)
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise NotFiniteError(
            f"{int(bad.sum())} pixels are NaN or infinite, the first at {where}; fill them, for "
            "example from their neighbours"
        )
    return given
