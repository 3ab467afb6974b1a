"""How a store of samples begins and how its description is read back.

A new store is made beside its place and renamed, so that there is never half a one. The
description (`SampleLayout`) stands in the group's attributes with a digest of its own, and
digests of the metadata of all arrays: a damaged `zarr.json` is noticed too.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.storage import LocalStore

from inmateria.atomic import make_folder, storage_error, sync_folder
from inmateria.data.provenance import canonical_json, plain, software, utc_now, versions
from inmateria.data.sample_layout import (
    DIGEST_BYTES,
    SCHEMA,
    SCHEMA_VERSION,
    Coordinate,
    SampleLayout,
    Variable,
    configuration_sha256,
)
from inmateria.errors import DataFileError, DataIntegrityError, SchemaVersionError

DONE = "done"
DIGEST = "attributes_sha256"
# What zarr and its codecs raise where bytes are not what they should be.
DAMAGE = (OSError, ValueError, TypeError, LookupError, RuntimeError)


def write_new_store(path: Path, layout: SampleLayout) -> None:
    """Make an empty store; `path` must not exist.

    Raises
    ------
    StorageError
    """
    make_folder(path.parent)
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        group = zarr.create_group(LocalStore(beside), zarr_format=3)
        for variable in layout.variables:
            _create_variable(group, layout, variable)
        for place in layout.coordinates:
            group.create_array(
                place.name,
                data=np.asarray(place.values),
                compressors=[Crc32cCodec()],
                chunk_key_encoding={"name": "default", "separator": "."},
                dimension_names=[place.dim],
                attributes={"units": place.units, "long_name": place.long_name},
            )
        group.create_array(
            DONE,
            shape=(layout.n_blocks, len(layout.variables), DIGEST_BYTES),
            chunks=(1, len(layout.variables), DIGEST_BYTES),
            dtype="u1",
            fill_value=0,
            compressors=[Crc32cCodec()],
            chunk_key_encoding={"name": "default", "separator": "."},
            dimension_names=["block", "variable", "byte"],
            attributes={"long_name": "SHA-256 of each block of each variable"},
        )
        group.attrs.update(_attributes(beside, layout))
        os.rename(beside, path)
        sync_folder(path.parent)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise storage_error(path, error, fix="free space or choose another folder") from error


def read_layout(path: Path) -> tuple[SampleLayout, dict[str, Any]]:
    """The description of a store, and all attributes of its group.

    Raises
    ------
    DataFileError
        If there is none, or it is no store of samples.
    DataIntegrityError, SchemaVersionError
    """
    file = path / "zarr.json"
    try:
        attributes = json.loads(file.read_bytes())["attributes"]
        schema, version = attributes["schema"], attributes["schema_version"]
    except FileNotFoundError as error:
        raise DataFileError(f"{path} is not a set of samples (no zarr.json); check it") from error
    except OSError as error:
        raise DataFileError(f"cannot read {file}: {error.strerror}; check the path") from error
    except (ValueError, LookupError, TypeError) as error:
        raise DataFileError(f"{file} does not describe a set of samples; restore it") from error
    if schema != SCHEMA:
        raise DataFileError(f"{path} holds schema {schema!r}, not {SCHEMA!r}; give another path")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise SchemaVersionError(
            f"{path} has schema version {version} and inmateria reads up to {SCHEMA_VERSION}; "
            "update inmateria"
        )
    if attributes.get(DIGEST) != _digest(attributes):
        raise DataIntegrityError(f"{file} fails its checksum; restore it from a copy")
    stored = attributes["layout"]
    variables = tuple(
        Variable(**{**entry, "dims": tuple(entry["dims"]), "shape": tuple(entry["shape"])})
        for entry in stored["variables"]
    )
    coordinates = tuple(
        Coordinate(**entry, values=np.asarray(read_coordinate(path, attributes, entry["name"])))
        for entry in stored["coordinates"]
    )
    layout = SampleLayout(
        attributes["configuration"],
        stored["n_samples"],
        stored["block_size"],
        variables,
        coordinates,
    )
    return layout, attributes


def read_coordinate(path: Path, attributes: Mapping[str, Any], name: str) -> NDArray[Any]:
    """The values of a coordinate, checked.

    Raises
    ------
    DataIntegrityError
    """
    try:
        values = np.asarray(open_array(path, attributes, name)[...])
    except DAMAGE as error:
        raise DataIntegrityError(f"{path}: {name} cannot be read; restore it") from error
    if hashlib.sha256(values.tobytes()).hexdigest() != attributes["coordinates_sha256"][name]:
        raise DataIntegrityError(f"{path}: {name} fails its checksum; restore it from a copy")
    return values


def open_array(
    path: Path, attributes: Mapping[str, Any], name: str, *, write: bool = False
) -> zarr.Array[Any]:
    """One of the store's arrays, its metadata checked.

    Raises
    ------
    DataIntegrityError
    """
    file = path / name / "zarr.json"
    try:
        metadata = file.read_bytes()
    except OSError as error:
        raise DataIntegrityError(f"{file} cannot be read ({error.strerror}); restore it") from error
    if hashlib.sha256(metadata).hexdigest() != attributes["metadata_sha256"][name]:
        raise DataIntegrityError(f"{file} fails its checksum; restore it from a copy")
    # All chunks are written, empty ones too: a chunk without a file is a lost one.
    return zarr.open_array(
        LocalStore(path, read_only=not write),
        path=name,
        mode="r+" if write else "r",
        config={"write_empty_chunks": True},
    )


def chunk_file(path: Path, name: str, block: int, n_dims: int) -> Path:
    """The file that holds a block of an array of `n_dims` dimensions."""
    return path / name / f"c.{block}{'.0' * (n_dims - 1)}"


def _create_variable(group: zarr.Group, layout: SampleLayout, variable: Variable) -> None:
    chunk = (layout.chunk_samples(variable), *variable.shape)
    block = (layout.block_size, *variable.shape)
    kind = np.dtype(variable.dtype).kind
    group.create_array(
        variable.name,
        shape=(layout.n_samples, *variable.shape),
        chunks=chunk,
        shards=None if chunk == block else block,
        dtype=np.dtype(variable.dtype),
        fill_value=float("nan") if kind == "f" else -1 if kind == "i" else 0,
        compressors=[ZstdCodec(level=0), Crc32cCodec()],
        chunk_key_encoding={"name": "default", "separator": "."},
        dimension_names=["sample", *variable.dims],
        attributes={**variable.attributes()},
    )


def _attributes(folder: Path, layout: SampleLayout) -> dict[str, Any]:
    stored = plain(
        {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "configuration": layout.configuration,
            "configuration_sha256": configuration_sha256(layout.configuration),
            "layout": {
                "n_samples": layout.n_samples,
                "block_size": layout.block_size,
                "variables": [
                    {name: getattr(entry, name) for name in Variable.__dataclass_fields__}
                    for entry in layout.variables
                ],
                "coordinates": [
                    {
                        name: getattr(entry, name)
                        for name in Coordinate.__dataclass_fields__
                        if name != "values"
                    }
                    for entry in layout.coordinates
                ],
            },
            "metadata_sha256": {
                name: hashlib.sha256((folder / name / "zarr.json").read_bytes()).hexdigest()
                for name in (*layout.array_names, DONE)
            },
            "coordinates_sha256": {
                entry.name: hashlib.sha256(np.asarray(entry.values).tobytes()).hexdigest()
                for entry in layout.coordinates
            },
            "software": software(),
            "versions": versions(),
            "created_utc": utc_now(),
        }
    )
    return {**stored, DIGEST: _digest(stored)}


def _digest(attributes: Mapping[str, Any]) -> str:
    kept = {name: value for name, value in attributes.items() if name != DIGEST}
    return hashlib.sha256(canonical_json(kept).encode()).hexdigest()
