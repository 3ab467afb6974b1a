"""One array from a file that never runs code: .npy, .npz or netCDF."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inmateria.errors import DataFileError

if TYPE_CHECKING:
    import xarray as xr

SUFFIXES = (".npy", ".npz", ".nc")


@dataclass(frozen=True, eq=False)
class FileArray:
    """An array as it lies in a file, x before y where the file names its axes.

    Attributes
    ----------
    values : array
    unit : str, optional
        Where the file says one.
    name : str, optional
        Where the file says one.
    pixel_nm : float, optional
        Distance of its points along x, where the file says that.
    """

    values: NDArray[np.generic]
    unit: str | None = None
    name: str | None = None
    pixel_nm: float | None = None


def check_file(path: Path, suffixes: Sequence[str], what: str) -> None:
    """Refuse what is no file, or of a kind that is not read.

    Raises
    ------
    DataFileError
    """
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        raise DataFileError(f"{path} {found}; check the path")
    if path.suffix.lower() not in suffixes:
        raise DataFileError(f"{path} is not one of {', '.join(suffixes)}; save the {what} as one")


def read_array(path: Path, names: Sequence[str], *, what: str) -> FileArray:
    """One array: the first of these names that the file holds, or the only one in it.

    Parameters
    ----------
    names : sequence of str
        The first is what an error asks for.
    what : str
        What it is meant to be, for errors.

    Raises
    ------
    DataFileError
        If the file is missing, damaged, of another kind, or holds Python objects.
    DataIntegrityError
        If it is a file of `inmateria transport sample` and fails its checksums.
    """
    check_file(path, SUFFIXES, what)
    readers = {".npy": _read_npy, ".npz": _read_npz, ".nc": _read_netcdf}
    return readers[path.suffix.lower()](path, names, what)


def _read_npy(path: Path, _: Sequence[str], what: str) -> FileArray:
    try:
        return FileArray(np.asarray(np.load(path, allow_pickle=False)))
    except (OSError, EOFError, ValueError, MemoryError) as error:
        raise _unreadable(path, error, what) from error


def _read_npz(path: Path, names: Sequence[str], what: str) -> FileArray:
    try:
        with np.load(path, allow_pickle=False) as archive:
            held = list(archive.files)
            chosen = _choose(held, names)
            if chosen is not None:
                return FileArray(np.asarray(archive[chosen]), name=chosen)
    except (OSError, EOFError, ValueError, KeyError, AttributeError, TypeError, MemoryError,
            NotImplementedError, zipfile.BadZipFile) as error:  # fmt: skip
        raise _unreadable(path, error, what) from error
    listed = ", ".join(held[:8]) or "nothing"
    raise DataFileError(f"{path} holds {listed}; name one array '{names[0]}', or save it alone")


def _read_netcdf(path: Path, names: Sequence[str], what: str) -> FileArray:
    import xarray as xr

    from inmateria.data.measurement import DAMAGE
    from inmateria.data.transport_file import is_transport_file, open_transport

    if is_transport_file(path):
        dataset = open_transport(path)
        return _variable(path, dataset, names, what)
    try:
        with xr.open_dataset(path, engine="h5netcdf") as dataset:
            return _variable(path, dataset, names, what)
    except DataFileError:
        raise
    except DAMAGE as error:
        raise _unreadable(path, error, what) from error


def _variable(path: Path, dataset: xr.Dataset, names: Sequence[str], what: str) -> FileArray:
    held = [str(name) for name in dataset.data_vars]
    chosen = _choose(held, names)
    if chosen is None:
        listed = ", ".join(held[:8]) or "no variable"
        raise DataFileError(f"{path} holds {listed}; name the {what} '{names[0]}'")
    variable = dataset[chosen].load()
    if {"x", "y"} <= set(variable.dims):
        variable = variable.transpose(..., "x", "y")
    unit = variable.attrs.get("units")
    return FileArray(
        np.asarray(variable.values), None if unit is None else str(unit), chosen, _pixel(dataset)
    )


def _pixel(dataset: xr.Dataset) -> float | None:
    """Distance of points along x, from a coordinate in nm."""
    for name in ("x", "x_nm"):
        if name not in dataset.variables:
            continue
        place: Any = dataset[name]
        if place.ndim == 1 and place.size > 1 and place.attrs.get("units") == "nm":
            return float(place.values[-1] - place.values[0]) / float(place.size - 1)
    return None


def _choose(held: Sequence[str], names: Sequence[str]) -> str | None:
    for name in names:
        if name in held:
            return name
    return held[0] if len(held) == 1 else None


def _unreadable(path: Path, error: Exception, what: str) -> DataFileError:
    if "pickle" in str(error).lower():
        return DataFileError(
            f"{path} holds Python objects (a pickle), which could run code and are never loaded; "
            f"save numbers: np.save(file, np.asarray({what}, dtype=float))"
        )
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return DataFileError(f"{path} cannot be read as {path.suffix} ({reason}); save it again")
