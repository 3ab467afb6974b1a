"""A store of samples as one netCDF4 file, for any reader of netCDF or HDF5.

Values are in their units: maps that the store keeps with a scale are multiplied out, as
float32. Written block by block, in bounded memory; the file appears when it is complete.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import h5netcdf
import numpy as np

from inmateria.atomic import storage_error, sync_folder
from inmateria.data.netcdf import LIBVER, Sink
from inmateria.data.provenance import canonical_json
from inmateria.data.sample_layout import SCHEMA, SampleLayout, Variable
from inmateria.data.sample_store import SampleStore, open_store
from inmateria.errors import DataFileError

EXPORT_SCHEMA = f"{SCHEMA}.netcdf"


def export_store(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    partial: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a store as one netCDF4 file.

    Parameters
    ----------
    path : path
    out : path
        Replaced if it is there.
    partial : bool
        Leave out blocks that are missing; `sample` says which samples there are.
    progress : callable, optional
        Told blocks written, and how many there are.

    Raises
    ------
    DataFileError
        If blocks are missing.
    DataIntegrityError
        If a block is damaged.
    StorageError
        If the file cannot be written; nothing is replaced then.
    """
    store, target = open_store(path), Path(out)
    blocks = store.done_blocks()
    n_missing = store.layout.n_blocks - len(blocks)
    if not blocks or (n_missing and not partial):
        raise DataFileError(
            f"{store.path} lacks {n_missing} of {store.layout.n_blocks} blocks; run generate to "
            "the end, or export what there is (partial)"
        )
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")

    stop = Event()

    def write() -> None:
        sink = Sink(temporary)
        try:
            with h5netcdf.File(sink, "w", libver=LIBVER) as file:
                _describe(file, store, blocks)
                first = 0
                for count, block in enumerate(blocks):
                    if stop.is_set():
                        return
                    first = _append(file, store, block, first)
                    sink.check()
                    if progress is not None:
                        progress(count + 1, len(blocks))
            sink.sync()
        finally:
            sink.close()

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Signals go to this thread: HDF5 would take one that raises for a failed write.
        with ThreadPoolExecutor(max_workers=1) as pool:
            work = pool.submit(write)
            try:
                work.result()
            finally:
                stop.set()
        os.replace(temporary, target)
        sync_folder(target.parent)
    except (DataFileError, KeyboardInterrupt):
        raise
    except (OSError, RuntimeError) as error:
        fix = "nothing was replaced; free space or choose another folder"
        raise storage_error(target, error, fix=fix) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return target


def _describe(file: Any, store: SampleStore, blocks: list[int]) -> None:
    layout = store.layout
    scales = {v.scale for v in layout.variables}
    numbers = [sample for block in blocks for sample in layout.samples(block)]
    file.dimensions = {"sample": len(numbers), **_sizes(layout)}
    file.attrs.update(
        {
            "schema": EXPORT_SCHEMA,
            "schema_version": 1,
            "configuration": canonical_json(layout.configuration),
            "configuration_sha256": store.identity,
            "software": store.attributes["software"],
            "created_utc": store.attributes["created_utc"],
        }
    )
    _coordinate(file, "sample", ("sample",), np.array(numbers), {"long_name": "number in the set"})
    for place in layout.coordinates:
        attributes = {"units": place.units, "long_name": place.long_name}
        _coordinate(file, place.name, (place.dim,), np.asarray(place.values), attributes)
    for variable in layout.variables:
        if variable.name in scales:
            continue
        # CF: coordinates whose name is not that of their dimension are listed.
        near = [place.name for place in layout.coordinates if place.dim in variable.dims]
        attributes = {"units": variable.units, "long_name": variable.long_name}
        created = file.create_variable(
            variable.name,
            ("sample", *variable.dims),
            _exported(variable),
            chunks=(1 if variable.shape else min(len(numbers), 4096), *variable.shape),
            compression="gzip",
            compression_opts=1,
            shuffle=True,
        )
        created.attrs.update(attributes | ({"coordinates": " ".join(near)} if near else {}))


def _append(file: Any, store: SampleStore, block: int, first: int) -> int:
    last = first + len(store.layout.samples(block))
    for variable in store.layout.variables:
        if variable.name in file.variables:
            file.variables[variable.name][first:last] = store.values(block, variable.name)
    return last


def _coordinate(
    file: Any, name: str, dims: tuple[str, ...], values: np.ndarray, attributes: dict[str, str]
) -> None:
    file.create_variable(name, dims, values.dtype, data=values).attrs.update(attributes)


def _sizes(layout: SampleLayout) -> dict[str, int]:
    return {
        dim: size
        for variable in layout.variables
        for dim, size in zip(variable.dims, variable.shape, strict=True)
    }


def _exported(variable: Variable) -> np.dtype[Any]:
    return np.dtype(np.float32) if variable.scale is not None else np.dtype(variable.dtype)
