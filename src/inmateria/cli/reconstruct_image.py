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
    values : (n, n_x, n_y) array, or (n, channels, n_x, n_y)
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
    def channels(self) -> int:
        """Images of a sample."""
        return 1 if self.values.ndim == 3 else self.values.shape[1]

    @property
    def first(self) -> NDArray[np.float64]:
        """The first image of each sample, (n, n_x, n_y)."""
        return self.values if self.values.ndim == 3 else self.values[:, 0]

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
        A .npy, .npz or netCDF file, (n_x, n_y) or (n, n_x, n_y), or a grey picture. For a
        model of several images a sample, (channels, n_x, n_y) or (n, channels, n_x, n_y).
    model : Reconstructor or NumberReader
    variable : str, optional
        By default what the model was trained on.
    pixel_nm : float, optional
        Side of a pixel, where the file does not say it.

    Raises
    ------
    DataFileError, DataIntegrityError
        If the file cannot be read or holds no image.
    ShapeError, NotFiniteError
        If the image is of another size than the model's, or no image of finite real numbers.
    """
    from inmateria.reconstruction.channels import n_channels
    from inmateria.reconstruction.stored import variables_of

    wanted, channels = seen_by(model), n_channels(model.scaling)
    kept = 2 if channels == 1 else 3
    check_file(path, (*SUFFIXES, *PICTURES), "image")
    if path.suffix.lower() in PICTURES:
        if variable is not None:
            raise DataFileError(f"{path} is a picture without variables; leave out --variable")
        if channels > 1:
            raise DataFileError(
                f"{path} is one picture, and this model sees {channels} images of a sample; give "
                f"an array (n, {channels}, n_x, n_y)"
            )
        found = read_picture(path)
    elif isinstance(wanted, str) or variable is not None or path.suffix.lower() == ".npy":
        found = _read_variable(path, variables_of(wanted)[0], variable)
    else:
        found = _read_several(path, wanted, channels)
    values = _real(path, found.values)
    each = "n_x, n_y" if channels == 1 else f"{channels}, n_x, n_y"
    fits = values.ndim in (kept, kept + 1) and (channels == 1 or values.shape[-3] == channels)
    if not fits or values.size == 0:
        raise ShapeError(f"{path}: shape {values.shape}; give ({each}), or (n, {each})")
    values = values.reshape(-1, *values.shape[-kept:])
    own = _own_pixel(path, values, model)
    given = pixel_nm if pixel_nm is not None else found.pixel_nm
    if given is not None and not abs(given / own - 1) < SAME_PIXEL:
        n_x, n_y = values.shape[-2:]
        raise ShapeError(
            f"{path}: {n_x} x {n_y} pixels of {given:g} nm are {n_x * given:g} nm x "
            f"{n_y * given:g} nm, and this model takes {n_x * own:g} nm x {n_y * own:g} nm, here "
            f"pixels of {own:g} nm; crop or interpolate the image, or train on such a sample"
        )
    for k, one in enumerate(
        values.reshape(len(values), channels, *values.shape[-2:]).swapaxes(0, 1)
    ):
        names = variables_of(wanted)
        # Of several channels the last variables may have several each.
        _check_values(path, one, names[min(k, len(names) - 1)])
    return Images(values, found.unit, own, found.name)


def seen_by(model: Model) -> str | tuple[str, ...]:
    """The variable that a model sees, or several, as its channels."""
    seen = model.about.get("image", "pldos")
    return seen if isinstance(seen, str) else tuple(seen)


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


def _read_several(path: Path, wanted: tuple[str, ...], channels: int) -> FileArray:
    """Variables of a file as channels: (channels, n_x, n_y), or (n, channels, n_x, n_y).

    One array of that shape will do, whatever its name.
    """
    found = read_array(path, list(wanted), what="image")
    if found.name not in wanted:
        return found
    parts = [read_array(path, [name], what="image") for name in wanted]
    for name, part in zip(wanted, parts, strict=True):
        if part.name != name:
            raise DataFileError(
                f"{path} does not hold '{name}'; this model sees {', '.join(wanted)}"
            )
    # Of one sample a map has two dimensions, with a further one for a variable in fields.
    one = sum(1 if p.values.ndim == 2 else len(p.values) for p in parts) == channels
    alike = {p.values.shape[-2:] for p in parts} | {() for p in parts if p.values.ndim < 2}
    if len(alike) > 1 or (not one and len({len(p.values) for p in parts}) > 1):
        shapes = ", ".join(f"{n} {p.values.shape}" for n, p in zip(wanted, parts, strict=True))
        raise ShapeError(f"{path}: {shapes}; give maps of one size, of the same samples")
    lead = () if one else (len(parts[0].values),)
    shaped = [p.values.reshape(*lead, -1, *p.values.shape[-2:]) for p in parts]
    return FileArray(np.concatenate(shaped, axis=-3), parts[0].unit, wanted[0], parts[0].pixel_nm)


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
    from inmateria.reconstruction.channels import n_channels
    from inmateria.reconstruction.pixels import on_pixels

    try:
        on_pixels(values, model.shape, model.image_pixel_nm, channels=n_channels(model.scaling))
    except InMateriaError as error:
        if isinstance(error, NotFiniteError) and len(values) == 1:
            bad = ~np.isfinite(values[0])
            where = tuple(int(i) for i in np.argwhere(bad)[0])
            raise NotFiniteError(
                f"{path}: {int(bad.sum())} pixels are NaN or infinite, the first at {where}; fill "
                "them, for example from their neighbours"
            ) from error
        raise type(error)(f"{path}: {error}") from error
    return float(model.image_pixel_nm * model.shape[0] / values.shape[-2])


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
