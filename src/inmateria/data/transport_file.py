"""What was computed of one sample of an electron gas: schema `inmateria.transport`, version 1.

One netCDF4 file that plain `xarray` opens. Not everything is there every time: a file
holds the quantities of the steps that were taken, which its attribute `steps` lists with the
seconds they took. Every array carries its SHA-256, checked when it is read.
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
from inmateria.errors import DataFileError, DataIntegrityError, SchemaVersionError, ShapeError

if TYPE_CHECKING:
    import xarray as xr

SCHEMA = "inmateria.transport"
SCHEMA_VERSION = 1
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


_XY, _TIP = ("x", "y"), ("tip_x", "tip_y")
_R, _T = ("reflected_mode", "source_mode"), ("drain_mode", "source_mode")
_C, _CHECK = ("coefficient",), ("check",)

QUANTITIES: dict[str, Quantity] = {
    "x": Quantity("along the sample, from source to drain", ("x",), "nm"),
    "y": Quantity("across the sample", ("y",), "nm"),
    "potential": Quantity("disorder potential", _XY, "meV"),
    "coefficient_m_x": Quantity("wave number along x, in 2 pi / L", _C, "1", "<i8"),
    "coefficient_m_y": Quantity("wave number along y, in 2 pi / W", _C, "1", "<i8"),
    "coefficient_real": Quantity("real part of C(q)", _C),
    "coefficient_imag": Quantity("imaginary part of C(q)", _C),
    # Of the sample at its Fermi energy, without temperature and field.
    "pldos": Quantity("2 pi sum_n |psi_n|^2 per site over the source's modes", _XY, "1/t"),
    "r_real": Quantity("reflection amplitude, real part", _R),
    "r_imag": Quantity("reflection amplitude, imaginary part", _R),
    "t_real": Quantity("transmission amplitude, real part", _T),
    "t_imag": Quantity("transmission amplitude, imaginary part", _T),
    "transmission": Quantity("sum of |t|^2"),
    "reflection": Quantity("sum of |r|^2"),
    "error": Quantity("estimated largest error of the PLDOS over its maximum"),
    "modes": Quantity("transverse modes kept", (), "1", "<i8"),
    "corrections": Quantity("steps of iterative refinement", (), "1", "<i8"),
    "thermal_transmission": Quantity("transmission averaged over -df/dE"),
    "thermal_pldos": Quantity("PLDOS averaged over -df/dE", _XY, "1/t"),
    "thermal_energy": Quantity("energies of the average", ("thermal_energy",), "meV"),
    "thermal_error": Quantity("last change of the averages, relative to the largest"),
    "field": Quantity("magnetic field along +z", ("field",), "T"),
    "field_transmission": Quantity("transmission in the field", ("field",)),
    "field_pldos": Quantity("PLDOS in the field", ("field", "x", "y"), "1/t"),
    "field_error": Quantity("change by the last 16 modes over the maximum PLDOS", ("field",)),
    "field_modes": Quantity("transverse modes kept", ("field",), "1", "<i8"),
    "energy": Quantity("energy of the electrons", ("energy",), "meV"),
    "energy_transmission": Quantity("transmission at the energy", ("energy",)),
    "energy_open": Quantity("open modes of the source", ("energy",), "1", "<i8"),
    "tip_x": Quantity("position of the tip along x", ("tip_x",), "nm"),
    "tip_y": Quantity("position of the tip along y", ("tip_y",), "nm"),
    "gate_transmission": Quantity("transmission with the tip there", _TIP),
    "gate_change": Quantity("change of the transmission by the tip", _TIP),
    "gate_unperturbed": Quantity("transmission without a tip, same accuracy and temperature"),
    "gate_error": Quantity("estimated absolute error of the map"),
    "check_x": Quantity("tip positions that were solved again, along x", _CHECK, "nm"),
    "check_y": Quantity("tip positions that were solved again, along y", _CHECK, "nm"),
    "check_change": Quantity("change of the transmission, solved with the tip in place", _CHECK),
}
COORDINATES = tuple(name for name, q in QUANTITIES.items() if q.dims == (name,))


def write_transport(
    path: str | os.PathLike[str], values: Mapping[str, ArrayLike], attrs: Mapping[str, Any]
) -> Path:
    """Write quantities by their names: all of them under the file's name, or nothing.

    Parameters
    ----------
    values : mapping
        From names in `QUANTITIES` to arrays of their dimensions.
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

    arrays = {name: np.asarray(value, QUANTITIES[name].dtype) for name, value in values.items()}
    kept = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, **attrs}
    # HDF5 gets memory to write to, never a disk that may be full: it would crash the process.
    buffer = io.BytesIO()
    with h5netcdf.File(buffer, "w", libver=LIBVER) as file:
        file.dimensions = _sizes(arrays)
        for name, array in arrays.items():
            quantity = QUANTITIES[name]
            variable = file.create_variable(name, quantity.dims, array.dtype)
            variable[...] = array
            variable.attrs["units"] = quantity.units
            variable.attrs["long_name"] = quantity.text
            variable.attrs["sha256"] = _sha256(name, array)
        for key, value in kept.items():
            file.attrs[key] = value
        file.attrs[ATTRIBUTES_DIGEST] = attributes_sha256(kept)
    return write_bytes(Path(path), buffer.getvalue())


def open_transport(path: str | os.PathLike[str]) -> xr.Dataset:
    """What `write_transport` wrote, loaded into memory and checked.

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
            attrs = {str(k): _plain(v) for k, v in file.attrs.items() if not k.startswith("_")}
            _check_version(attrs, source)
            found = {
                name: (file[name][...], {k: _plain(v) for k, v in file[name].attrs.items()})
                for name in QUANTITIES
                if name in file
            }
    except DAMAGE as error:
        if isinstance(error, DataFileError):
            raise
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataFileError(f"{source} is damaged ({reason}); {_FIX}") from error
    for name, (values, notes) in found.items():
        if notes.get("sha256") != _sha256(name, values):
            raise DataIntegrityError(f"{source}: variable {name} fails its SHA-256; {_FIX}")
        if notes.get("units") != QUANTITIES[name].units:
            raise DataIntegrityError(
                f"{source}: variable {name} is in {notes.get('units')!r}, "
                f"not {QUANTITIES[name].units!r}; {_FIX}"
            )
    if attrs.get(ATTRIBUTES_DIGEST) != attributes_sha256(attrs):
        raise DataIntegrityError(f"{source}: the attributes fail their SHA-256; {_FIX}")
    variables = {
        name: (
            QUANTITIES[name].dims,
            values,
            {key: notes[key] for key in ("units", "long_name", "sha256")},
        )
        for name, (values, notes) in found.items()
    }
    coords = {name: variables.pop(name) for name in COORDINATES if name in variables}
    return xr.Dataset(variables, coords=coords, attrs=attrs)


def is_transport_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file says that it is of this schema, whatever its state."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return bool(_plain(file.attrs.get("schema")) == SCHEMA)
    except (OSError, RuntimeError, ValueError, LookupError):
        return False


def _sizes(arrays: Mapping[str, NDArray[Any]]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for name, array in arrays.items():
        dims = QUANTITIES[name].dims
        if array.ndim != len(dims):
            raise ShapeError(f"{name} has shape {array.shape}; give {dims or 'a number'}")
        for dim, size in zip(dims, array.shape, strict=True):
            if sizes.setdefault(dim, size) != size:
                raise ShapeError(
                    f"{name} has {size} along {dim}, another quantity {sizes[dim]}; give one length"
                )
    return sizes


def _check_version(attrs: Mapping[str, Any], source: Path) -> None:
    if attrs.get("schema") != SCHEMA:
        raise DataFileError(
            f"{source} holds schema {attrs.get('schema')!r}, not {SCHEMA!r}; "
            "give a file that `inmateria transport sample` wrote"
        )
    found = attrs.get("schema_version")
    if not isinstance(found, int) or found < 1:
        raise DataFileError(f"{source} has schema version {found!r}, not a whole number; {_FIX}")
    if found > SCHEMA_VERSION:
        raise SchemaVersionError(
            f"{source} has schema version {found} and inmateria reads up to {SCHEMA_VERSION}; "
            "update inmateria"
        )


def _sha256(name: str, array: ArrayLike) -> str:
    dtype = QUANTITIES[name].dtype
    return hashlib.sha256(np.ascontiguousarray(array, dtype=dtype).tobytes()).hexdigest()


def _plain(value: Any) -> Any:
    """An attribute as Python text or number; netCDF keeps some as arrays of one."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.ravel()[0]
    if isinstance(value, np.generic):
        value = value.item()
    return value.decode() if isinstance(value, bytes) else value
