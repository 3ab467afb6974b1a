"""Images to reconstruct from: arrays, or grey pictures; checked before anything is written."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inmateria.cli.array_file import SUFFIXES, FileArray, check_file, read_array
from inmateria.errors import (
    ConfigurationError,
    DataFileError,
    InMateriaError,
    NotFiniteError,
    ShapeError,
)

if TYPE_CHECKING:
    from inmateria.reconstruction.load import Model

PICTURES = (".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg", ".pgm", ".gif")
# Grey levels of Pillow: 1, 8, 16 and 32 bits, and floating-point numbers.
GREY = ("1", "L", "I", "F", "I;16", "I;16B", "I;16L")
# What a set calls an image, and what the file of a transport sample calls it.
ALSO = {"pldos": ("PLDOS",), "gate_map": ("gate_change",)}
# The PLDOS in the unit that it is computed in.
COMPUTED_UNITS = ("1/t", "1/hopping")
# Products of larger numbers leave the range of double precision.
LARGEST = 1e100
SAME_PIXEL = 1e-3


@dataclass(frozen=True, eq=False)
class Images:
    """What is to be reconstructed from.

    Attributes
    ----------
    values : (n, n_x, n_y) array
    unit : str, optional
        Where the file says one.
    pixel_nm : float
    name : str, optional
        Of the variable.
    """

    values: NDArray[np.float64]
    unit: str | None
    pixel_nm: float
    name: str | None

    @property
    def free_scale(self) -> bool:
        """Whether the unit is not that of a computed PLDOS."""
        return self.unit not in COMPUTED_UNITS


def read_images(
    path: Path, model: Model, *, variable: str | None = None, pixel_nm: float | None = None
) -> Images:
    """The images of a file, for a model.

    Parameters
    ----------
    path : Path
        A .npy, .npz or netCDF file, (n_x, n_y) or (n, n_x, n_y), or a grey picture.
    model : Reconstructor or NumberReader
    variable : str, optional
        By default what the model was trained on.
    pixel_nm : float, optional
        Side of a pixel, where the file does not say it.

    Raises
    ------
    DataFileError, DataIntegrityError
        If the file cannot be read or holds no image.
    ConfigurationError
        If the model sees several images.
    ShapeError, NotFiniteError
        If the image is of another size than the model's, or no image of finite real numbers.
    """
    wanted = one_image(model)
    check_file(path, (*SUFFIXES, *PICTURES), "image")
    if path.suffix.lower() in PICTURES:
        if variable is not None:
            raise DataFileError(f"{path} is a picture without variables; leave out --variable")
        found = read_picture(path)
    else:
        found = _read_variable(path, wanted, variable)
    values = _real(path, found.values)
    if values.ndim not in (2, 3) or values.size == 0:
        raise ShapeError(f"{path}: shape {values.shape}; give (n_x, n_y), or (n, n_x, n_y)")
    values = values.reshape(-1, *values.shape[-2:])
    own = _own_pixel(path, values, model)
    given = pixel_nm if pixel_nm is not None else found.pixel_nm
    if given is not None and not abs(given / own - 1) < SAME_PIXEL:
        n_x, n_y = values.shape[1:]
        raise ShapeError(
            f"{path}: {n_x} x {n_y} pixels of {given:g} nm are {n_x * given:g} nm x "
            f"{n_y * given:g} nm, and this model takes {n_x * own:g} nm x {n_y * own:g} nm, here "
            f"pixels of {own:g} nm; crop or interpolate the image, or train on such a sample"
        )
    _check_values(path, values, wanted)
    return Images(values, found.unit, own, found.name)


def one_image(model: Model) -> str:
    """The variable that a model sees.

    Raises
    ------
    ConfigurationError
        If it sees several.
    """
    seen = model.about.get("image", "pldos")
    if not isinstance(seen, str):
        raise ConfigurationError(
            f"the model sees {len(seen)} variables of a sample, and the command line "
            f"knows files of one; use load_model in Python with {', '.join(seen)}"
        )
    return seen


def read_picture(path: Path) -> FileArray:
    """Grey levels of a picture as (n_x, n_y): x to the right, y upwards.

    Raises
    ------
    DataFileError
        If it is damaged, in colour, or holds several pictures.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # A picture that unpacks to gigabytes is refused, not warned of.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                mode, frames = picture.mode, int(getattr(picture, "n_frames", 1))
                levels = np.asarray(picture) if mode in GREY else None
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError,
            Image.DecompressionBombError, Image.DecompressionBombWarning) as error:  # fmt: skip
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataFileError(f"{path} cannot be read as a picture ({reason}); save it again") from (
            error
        )
    if levels is None:
        raise DataFileError(
            f"{path} is in colour (mode {mode}), and a map of colours has no one value; save grey "
            "levels that are proportional to the PLDOS, or the numbers themselves as .npy"
        )
    if frames > 1:
        raise DataFileError(
            f"{path} holds {frames} pictures; save one, or all as a .npy of (n, n_x, n_y)"
        )
    # Rows of a picture are counted from the top.
    return FileArray(np.ascontiguousarray(levels[::-1].T))


def _read_variable(path: Path, wanted: str, variable: str | None) -> FileArray:
    if variable is None:
        return read_array(path, [wanted, *ALSO.get(wanted, ())], what="image")
    if path.suffix.lower() == ".npy":
        raise DataFileError(f"{path} holds one array without a name; leave out --variable")
    found = read_array(path, [variable], what="image")
    if found.name != variable:
        raise DataFileError(f"{path} does not hold '{variable}' but '{found.name}'")
    return found


def _real(path: Path, found: NDArray[np.generic]) -> NDArray[np.float64]:
    if found.dtype.kind not in "biuf":
        raise NotFiniteError(
            f"{path} holds {found.dtype}, not real numbers; save the image as float64"
        )
    # Before anything is summed: sums of small integers would overflow. What double precision
    # cannot hold becomes infinite, and is refused as that.
    with np.errstate(over="ignore"):
        return found.astype(np.float64)


def _own_pixel(path: Path, values: NDArray[np.float64], model: Model) -> float:
    """Side of a pixel if the image covers the model's sample."""
    from inmateria.reconstruction.pixels import on_pixels

    try:
        on_pixels(values, model.shape, model.image_pixel_nm)
    except InMateriaError as error:
        if isinstance(error, NotFiniteError) and len(values) == 1:
            bad = ~np.isfinite(values[0])
            where = tuple(int(i) for i in np.argwhere(bad)[0])
            raise NotFiniteError(
                f"{path}: {int(bad.sum())} pixels are NaN or infinite, the first at {where}; fill "
                "them, for example from their neighbours"
            ) from error
        raise type(error)(f"{path}: {error}") from error
    return float(model.image_pixel_nm * model.shape[0] / values.shape[1])


def _check_values(path: Path, values: NDArray[np.float64], wanted: str) -> None:
    for i, image in enumerate(values):
        which = f"{path}: " if len(values) == 1 else f"{path}: image {i}: "
        if np.abs(image).max() > LARGEST:
            raise NotFiniteError(
                f"{which}{np.abs(image).max():.3g} is too large to be computed with; divide the "
                "image by its mean"
            )
        if not image.any():
            raise DataFileError(f"{which}all pixels are zero; give the image as it was measured")
        if np.ptp(image) == 0:
            raise DataFileError(
                f"{which}all pixels are {image.flat[0]:g}: there is nothing to see; give the "
                "image as it was measured"
            )
        if wanted.startswith("pldos") and image.min() < 0:
            raise DataFileError(
                f"{which}{int((image < 0).sum())} pixels are negative, down to {image.min():.3g}, "
                "and a density is not; subtract the instrument's offset, or set noise to zero"
            )
