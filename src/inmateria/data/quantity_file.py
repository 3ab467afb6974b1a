"""Quantities by their names in one netCDF4 file, with units and a SHA-256 of every array.

A schema is a table of quantities; a file of it holds some of them. Plain `xarray` opens it.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.atomic import write_bytes
from inmateria.data.provenance import plain_attribute
from inmateria.errors import DataFileError, DataIntegrityError, SchemaVersionError, ShapeError

if TYPE_CHECKING:
    import xarray as xr

_FIX = "restore the file from a copy or compute it again"


@dataclass(frozen=True)
class Quantity:
    """A variable of the file.

    Parameters
    ----------
    text : str
        What it is.
    dims : tuple of str
    units : str
        ``"1"`` for pure numbers; t is the hopping energy, in the attribute `gas`.
    dtype : str
        Little-endian, so that a digest means the same bytes on every machine.
    """

    text: str
    dims: tuple[str, ...] = ()
    units: str = "1"
    dtype: str = "<f8"


@dataclass(frozen=True, eq=False)
class QuantityFile:
    """A kind of file.

    Parameters
    ----------
    schema : str
    version : int
    quantities : mapping of str to Quantity
    command : str
        What writes such files, for errors.
    """

    schema: str
    version: int
    quantities: Mapping[str, Quantity]
    command: str

    def write(
        self,
        path: str | os.PathLike[str],
        values: Mapping[str, ArrayLike],
        attrs: Mapping[str, Any],
    ) -> Path:
        """Write quantities by their names: all of them under the file's name, or nothing.

        Parameters
        ----------
        values : mapping
            From names in `quantities` to arrays of their dimensions.
        attrs : mapping
            Text and numbers.

        Raises
        ------
        ShapeError
            If two quantities disagree on the length of a dimension.
        StorageError
        """
        import h5netcdf

        from inmateria.data.netcdf import LIBVER
        from inmateria.data.schema import ATTRIBUTES_DIGEST, attributes_sha256

        arrays = {
            name: np.asarray(value, self.quantities[name].dtype) for name, value in values.items()
        }
        kept = {"schema": self.schema, "schema_version": self.version, **attrs}
        # HDF5 gets memory to write to, never a disk that may be full: it would crash the process.
        buffer = io.BytesIO()
        with h5netcdf.File(buffer, "w", libver=LIBVER) as file:
            file.dimensions = self._sizes(arrays)
            for name, array in arrays.items():
                quantity = self.quantities[name]
                variable = file.create_variable(name, quantity.dims, array.dtype)
                variable[...] = array
                variable.attrs["units"] = quantity.units
                variable.attrs["long_name"] = quantity.text
                variable.attrs["sha256"] = self._sha256(name, array)
            for key, value in kept.items():
                file.attrs[key] = value
            file.attrs[ATTRIBUTES_DIGEST] = attributes_sha256(kept)
        return write_bytes(Path(path), buffer.getvalue())

    def open(self, path: str | os.PathLike[str]) -> xr.Dataset:
        """What `write` wrote, loaded into memory and checked.

        Raises
        ------
        DataFileError
            If the file is missing, truncated or of another kind.
        DataIntegrityError
            If an array, its unit or the attributes do not match their digest.
        SchemaVersionError
            If the file was written by a newer inmateria.
        """
        import h5py
        import xarray as xr

        from inmateria.data.measurement import DAMAGE
        from inmateria.data.schema import ATTRIBUTES_DIGEST, attributes_sha256

        source = Path(path)
        if not source.is_file():
            raise DataFileError(f"{source} does not exist; check the path")
        try:
            with h5py.File(source, "r") as file:
                attrs = {
                    str(k): plain_attribute(v)
                    for k, v in file.attrs.items()
                    if not k.startswith("_")
                }
                self._check_version(attrs, source)
                found = {
                    name: (
                        file[name][...],
                        {k: plain_attribute(v) for k, v in file[name].attrs.items()},
                    )
                    for name in self.quantities
                    if name in file
                }
        except DAMAGE as error:
            if isinstance(error, DataFileError):
                raise
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise DataFileError(f"{source} is damaged ({reason}); {_FIX}") from error
        for name, (values, notes) in found.items():
            if notes.get("sha256") != self._sha256(name, values):
                raise DataIntegrityError(f"{source}: variable {name} fails its SHA-256; {_FIX}")
            if notes.get("units") != self.quantities[name].units:
                raise DataIntegrityError(
                    f"{source}: variable {name} is in {notes.get('units')!r}, "
                    f"not {self.quantities[name].units!r}; {_FIX}"
                )
        if attrs.get(ATTRIBUTES_DIGEST) != attributes_sha256(attrs):
            raise DataIntegrityError(f"{source}: the attributes fail their SHA-256; {_FIX}")
        variables = {
            name: (
                self.quantities[name].dims,
                values,
                {key: notes[key] for key in ("units", "long_name", "sha256")},
            )
            for name, (values, notes) in found.items()
        }
        coordinates = [name for name, q in self.quantities.items() if q.dims == (name,)]
        coords = {name: variables.pop(name) for name in coordinates if name in variables}
        return xr.Dataset(variables, coords=coords, attrs=attrs)

    def is_one(self, path: str | os.PathLike[str]) -> bool:
        """Whether a file says that it is of this schema, whatever its state."""
        import h5py

        try:
            with h5py.File(path, "r") as file:
                return bool(plain_attribute(file.attrs.get("schema")) == self.schema)
        except (OSError, RuntimeError, ValueError, LookupError):
            return False

    def _sizes(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, int]:
        sizes: dict[str, int] = {}
        for name, array in arrays.items():
            dims = self.quantities[name].dims
            if array.ndim != len(dims):
                raise ShapeError(f"{name} has shape {array.shape}; give {dims or 'a number'}")
            for dim, size in zip(dims, array.shape, strict=True):
                if sizes.setdefault(dim, size) != size:
                    raise ShapeError(
                        f"{name} has {size} along {dim}, another quantity {sizes[dim]}; "
                        "give one length"
                    )
        return sizes

    def _check_version(self, attrs: Mapping[str, Any], source: Path) -> None:
        if attrs.get("schema") != self.schema:
            raise DataFileError(
                f"{source} holds schema {attrs.get('schema')!r}, not {self.schema!r}; "
                f"give a file that `{self.command}` wrote"
            )
        found = attrs.get("schema_version")
        if not isinstance(found, int) or found < 1:
            raise DataFileError(
                f"{source} has schema version {found!r}, not a whole number; {_FIX}"
            )
        if found > self.version:
            raise SchemaVersionError(
                f"{source} has schema version {found} and inmateria reads up to {self.version}; "
                "update inmateria"
            )

    def _sha256(self, name: str, array: ArrayLike) -> str:
        dtype = self.quantities[name].dtype
        return hashlib.sha256(np.ascontiguousarray(array, dtype=dtype).tobytes()).hexdigest()
