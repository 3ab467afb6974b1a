"""Reading and writing measurement files: one netCDF4 file, checked on the way in."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from inmateria.data.blocks import read_journal
from inmateria.data.netcdf import MeasurementWriter, undisturbed
from inmateria.data.provenance import plain_attribute
from inmateria.data.schema import (
    ATTRIBUTES_DIGEST,
    COORDINATES,
    ROW_VARIABLES,
    VARIABLES,
    array_bytes,
    array_sha256,
    attributes_sha256,
    check_measurement,
    check_version,
    outputs_of,
    rows,
    terminals_of,
)
from inmateria.errors import DataFileError, DataIntegrityError

# What HDF5 and the readers on top of it raise when the bytes make no sense.
DAMAGE = (OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError)
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"


def write_measurement(path: str | os.PathLike[str], dataset: xr.Dataset) -> Path:
    """Write a measurement: all of it under its name, or nothing.

    Digests are computed anew from what is written.

    Raises
    ------
    DataFileError, ShapeError, NotFiniteError, ParameterError, TerminalError
        If the dataset is not a valid measurement.
    StorageError
        If the disk is full or the folder cannot be written.
    """
    check_measurement(dataset)
    target = Path(path)
    block = rows(
        dataset["voltage"].values,
        dataset["current"].values,
        segment=dataset["segment"].values,
        clipped=dataset["clipped"].values,
    )
    attrs = {key: value for key, value in dataset.attrs.items() if key != ATTRIBUTES_DIGEST}

    def write() -> None:
        with MeasurementWriter(
            target,
            n_rows=len(block),
            terminals=terminals_of(dataset),
            outputs=outputs_of(dataset),
            attrs=attrs,
        ) as writer:
            writer.append(block)

    undisturbed(write)
    return target


def open_measurement(path: str | os.PathLike[str], *, verify: bool = True) -> xr.Dataset:
    """A measurement, loaded into memory and checked.

    A journal (``NAME.nc.part``) of a recording that is still to be finished
    opens as well, with the rows that it holds.

    Parameters
    ----------
    path : path of a file that `write_measurement` or `sample` wrote
    verify : bool
        Whether the digest of every array and of the attributes is checked. Turn
        it off for a file whose attributes were edited on purpose.

    Raises
    ------
    DataFileError
        If the file is missing, truncated or no measurement.
    DataIntegrityError
        If an array or the attributes do not match their digest.
    SchemaVersionError
        If the file was written by a newer inmateria.
    """
    source = Path(path)
    if source.suffix == ".part":
        return read_journal(source).dataset()
    _check_signature(source)
    try:
        with h5py.File(source, "r") as file:
            dataset = _read(file, source)
    except DAMAGE as error:
        if isinstance(error, DataFileError):
            raise
        raise DataFileError(
            f"{source} is damaged ({_first_line(error)}); restore it from a copy or record it again"
        ) from error
    if verify:
        verify_digests(dataset, source=str(source))
    check_measurement(dataset, source=str(source))
    return dataset


def verify_digests(dataset: xr.Dataset, *, source: str = "the dataset") -> None:
    """Check every array and the attributes against their SHA-256.

    Raises
    ------
    DataIntegrityError
        Naming the first variable that does not match.
    """
    fix = "restore the file from a copy or record it again"
    for name, (_, _, expected) in VARIABLES.items():
        if name not in dataset.variables:
            raise DataIntegrityError(f"{source}: variable {name} is gone; {fix}")
        variable = dataset[name]
        if variable.attrs.get("sha256") != array_sha256(name, variable.values):
            raise DataIntegrityError(f"{source}: variable {name} fails its SHA-256; {fix}")
        for key, value in expected.items():
            if variable.attrs.get(key) != value:
                raise DataIntegrityError(
                    f"{source}: attribute {key} of variable {name} is "
                    f"{variable.attrs.get(key)!r}, not {value!r}; {fix}"
                )
    if dataset.attrs.get(ATTRIBUTES_DIGEST) != attributes_sha256(dataset.attrs):
        raise DataIntegrityError(
            f"{source}: the attributes fail their SHA-256; {fix}, "
            "or open it with verify=False if they were edited on purpose"
        )


def verify_file(path: Path, *, block_rows: int = 1 << 18) -> None:
    """Check the rows of a file against their SHA-256, block by block, in bounded memory.

    Raises
    ------
    DataFileError, DataIntegrityError
    """
    try:
        with h5py.File(path, "r") as file:
            for name in ROW_VARIABLES:
                variable = file[name]
                digest = hashlib.sha256()
                for first in range(0, len(variable), block_rows):
                    digest.update(array_bytes(name, variable[first : first + block_rows]))
                if digest.hexdigest() != plain_attribute(variable.attrs["sha256"]):
                    raise DataIntegrityError(
                        f"{path}: variable {name} fails its SHA-256; the disk may be failing"
                    )
    except DAMAGE as error:
        if isinstance(error, DataFileError):
            raise
        raise DataFileError(f"{path} cannot be read back ({_first_line(error)})") from error


def _check_signature(source: Path) -> None:
    part = source.with_name(source.name + ".part")
    try:
        with open(source, "rb") as file:
            head = file.read(len(HDF5_MAGIC))
    except FileNotFoundError as error:
        if part.exists():
            raise DataFileError(
                f"{source} is not finished; run the same sampling again to go on, open "
                f"{part.name} to look at what is there, or keep that with recover_measurement"
            ) from error
        raise DataFileError(f"{source} does not exist; check the path") from error
    except OSError as error:
        raise DataFileError(f"cannot read {source}: {error.strerror}; check the path") from error
    if head != HDF5_MAGIC:
        raise DataFileError(
            f"{source} is not a netCDF4 file ({len(head)} bytes of another kind at its start); "
            "give a measurement file"
        )


def _read(file: h5py.File, source: Path) -> xr.Dataset:
    """The schema's variables, one by one, so that a damaged one is named."""
    attrs = {str(key): plain_attribute(value) for key, value in file.attrs.items()}
    check_version(attrs, source=str(source))
    variables: dict[str, Any] = {}
    for name, (dims, dtype, expected) in VARIABLES.items():
        if name not in file:
            raise DataFileError(f"{source} lacks the variable {name}; it is no measurement")
        try:
            stored = file[name]
            values = stored.asstr()[...].astype(np.str_) if dtype == "str" else stored[...]
            kept = {
                key: plain_attribute(stored.attrs[key])
                for key in (*expected, "sha256")
                if key in stored.attrs
            }
        except DAMAGE as error:
            raise DataIntegrityError(
                f"{source}: variable {name} cannot be read ({_first_line(error)}); "
                "restore the file from a copy or record it again"
            ) from error
        variables[name] = (dims, values, kept)
    return xr.Dataset(
        {name: variables[name] for name in ROW_VARIABLES},
        coords={name: variables[name] for name in COORDINATES},
        attrs={key: value for key, value in attrs.items() if not key.startswith("_")},
    )


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]
