"""Where a result comes from: versions, times, digests of files, plain JSON."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from inmateria.errors import DataFileError, ParameterError
from inmateria.version import __version__

PACKAGES = ("numpy", "scipy", "numba", "torch", "xarray", "h5netcdf", "h5py", "zarr")


def software() -> str:
    """Name and version of this library, as files carry it."""
    return f"inmateria {__version__}"


def utc_now() -> str:
    """The present in UTC, ISO 8601 to the millisecond, ending in ``Z``."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def versions() -> dict[str, str | None]:
    """Versions of the library, Python, the platform and the packages that make numbers.

    Read from the packages' metadata, so that nothing is imported for it.
    """
    found: dict[str, str | None] = {
        "inmateria": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def sha256_file(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes, hexadecimal.

    Raises
    ------
    DataFileError
        If the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataFileError(f"cannot read {path}: {error.strerror}; check the path") from error


def parent(path: str | os.PathLike[str]) -> dict[str, str]:
    """The entry that names a file as a parent of another: its path and digest."""
    return {"path": str(Path(path)), "sha256": sha256_file(path)}


def plain(value: Any) -> Any:
    """`value` as plain JSON values: NumPy numbers, arrays, tuples and paths turned over.

    Raises
    ------
    ParameterError
        If something in it has no JSON form.
    """
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return str(Path(value))
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise ParameterError(
        f"{value!r} ({type(value).__name__}) has no JSON form; describe it by numbers and strings"
    )


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and without spaces: equal values give equal text."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"))


def plain_attribute(value: Any) -> Any:
    """An attribute as Python text or number; netCDF keeps some as arrays of one."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.ravel()[0]
    if isinstance(value, np.generic):
        value = value.item()
    return value.decode() if isinstance(value, bytes) else value
