"""Writing a measurement as netCDF4, block by block, in bounded memory.

A file appears under its name only when it is complete: it is written beside,
flushed to the disk, and renamed. Voltages and currents lie uncompressed and
contiguous (they are noise to a compressor), flags and segments compressed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

import h5netcdf
import h5py
import numpy as np

from inmateria.atomic import storage_error, sync_folder
from inmateria.data.schema import (
    ATTRIBUTES_DIGEST,
    ROW_VARIABLES,
    VARIABLES,
    Rows,
    array_bytes,
    array_sha256,
    attributes_sha256,
)
from inmateria.devices.device import Terminal
from inmateria.errors import ShapeError

# The file format of HDF5 1.8: its metadata carry checksums of their own, and
# every netCDF4 library and MATLAB since 2011 reads it.
LIBVER = ("v108", "v108")
CHUNK_ROWS = 16384


class Sink(io.RawIOBase):
    """A file that remembers its first failed write and goes on in memory from there.

    HDF5 crashes the whole process when its own driver meets a full disk and the
    file is closed afterwards, and may when it reads back other bytes than it wrote;
    so it gets a file that never fails, and the writer asks here whether one did.
    """

    def __init__(self, path: Path) -> None:
        self._raw = open(path, "w+b", buffering=0)  # noqa: SIM115 - closed by close()
        self._memory: io.BytesIO | None = None
        self.error: OSError | None = None

    @property
    def _file(self) -> Any:
        return self._raw if self._memory is None else self._memory

    def _go_on_in_memory(self, error: OSError, position: int) -> None:
        self.error = error
        self._raw.seek(0)
        self._memory = io.BytesIO(self._raw.read())
        self._memory.seek(position)

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        left = view
        while len(left):
            position = self._file.tell()
            try:
                left = left[self._file.write(left) :]
            except OSError as error:
                self._go_on_in_memory(error, position)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        position = self._file.tell()
        if self._memory is not None and size is not None:
            # A file grows with it, and memory does not.
            missing = size - self._memory.seek(0, io.SEEK_END)
            self._memory.write(bytes(max(missing, 0)))
            self._memory.seek(position)
        try:
            return int(self._file.truncate(size))
        except OSError as error:
            self._go_on_in_memory(error, position)
            return self.truncate(size)

    def readinto(self, buffer: Any) -> int:
        return self._file.readinto(buffer) or 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def sync(self) -> None:
        """Flush to the disk, or raise what went wrong first."""
        try:
            os.fsync(self._raw.fileno())
        except OSError as error:
            self.error = self.error or error
        self.check()

    def check(self) -> None:
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self._raw.close()
        super().close()


def undisturbed(work: Callable[[], None]) -> None:
    """Do `work` to its end even if a signal's handler raises meanwhile, which is raised after.

    An exception in the middle of a call back from HDF5 would be taken for a
    failed write; handlers run in the main thread only, so work goes to another.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(work).result()


class MeasurementWriter:
    """Writes one measurement of a known number of rows.

    A context manager: leaving it completes the file and gives it its name;
    leaving it by an exception removes what was written.

    Parameters
    ----------
    path : Path
        Where the finished file goes.
    n_rows : int
    terminals : sequence of Terminal
    outputs : sequence of str
    attrs : mapping
        From `schema.attributes`.

    Raises
    ------
    StorageError
        If the disk is full or the folder cannot be written.
    """

    def __init__(
        self,
        path: Path,
        *,
        n_rows: int,
        terminals: Sequence[Terminal],
        outputs: Sequence[str],
        attrs: Mapping[str, Any],
    ) -> None:
        self.path = path
        self._temporary = path.with_name(path.name + ".tmp")
        self._n_rows = n_rows
        self._done = 0
        self._attrs = dict(attrs)
        self._digests = {name: hashlib.sha256() for name in ROW_VARIABLES}
        self._sizes = {"sample": n_rows, "terminal": len(terminals), "output": len(outputs)}
        self._columns: dict[str, Any] = {
            "low_v": np.array([t.low_v for t in terminals]),
            "high_v": np.array([t.high_v for t in terminals]),
            "terminal": np.array([t.name for t in terminals], dtype=object),
            "output": np.array(list(outputs), dtype=object),
        }

    def __enter__(self) -> MeasurementWriter:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._sink = Sink(self._temporary)
            self._file = h5netcdf.File(self._sink, "w", libver=LIBVER)
            self._create()
            self._sink.check()
        except (OSError, RuntimeError) as error:
            self._fail(error)
        return self

    def append(self, block: Rows) -> None:
        """Write the next rows."""
        first, last = self._done, self._done + len(block)
        if last > self._n_rows:
            raise ShapeError(f"{last} rows do not fit a file of {self._n_rows}; declare them all")
        try:
            for name in ROW_VARIABLES:
                array = getattr(block, name)
                self._file.variables[name][first:last] = array
                self._digests[name].update(array_bytes(name, array))
            self._sink.check()
        except (OSError, RuntimeError) as error:
            self._fail(error)
        self._done = last

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._discard()
            return
        if self._done != self._n_rows:
            self._discard()
            raise ShapeError(f"{self._done} rows written of {self._n_rows}; append them all")
        try:
            for name, digest in self._digests.items():
                self._file.variables[name].attrs["sha256"] = digest.hexdigest()
            self._file.close()
            self._sink.sync()
            self._sink.close()
            os.replace(self._temporary, self.path)
            sync_folder(self.path.parent)
        except (OSError, RuntimeError) as failure:
            self._fail(failure)

    def _create(self) -> None:
        file = self._file
        file.dimensions = dict(self._sizes)
        for name, (dims, dtype, attrs) in VARIABLES.items():
            # one chunk may not be longer than the axis; an empty axis takes none
            packed = name in ("clipped", "segment") and self._n_rows > 0
            shape = tuple(self._sizes[dim] for dim in dims)
            options: dict[str, Any] = {}
            if packed:
                options = {
                    "chunks": (min(CHUNK_ROWS, self._n_rows), *shape[1:]),
                    "compression": "gzip",
                    "compression_opts": 1,
                    "shuffle": True,
                }
            kind = h5py.string_dtype() if dtype == "str" else np.dtype(dtype)
            variable = file.create_variable(name, dims, kind, **options)
            for key, value in attrs.items():
                variable.attrs[key] = value
            if name in self._columns:
                variable[...] = self._columns[name]
                variable.attrs["sha256"] = array_sha256(name, self._columns[name])
            else:
                # xarray reads these as coordinates, and plots find their labels
                extra = " low_v high_v" if "terminal" in dims else ""
                if extra:
                    variable.attrs["coordinates"] = extra.strip()
                variable.attrs["sha256"] = "0" * 64
        for key, value in self._attrs.items():
            file.attrs[key] = value
        file.attrs[ATTRIBUTES_DIGEST] = attributes_sha256(self._attrs)

    def _discard(self) -> None:
        # closing may fail as well after a failed write; the first error is the one to show
        if hasattr(self, "_file"):
            with contextlib.suppress(OSError, RuntimeError):
                self._file.close()
        if hasattr(self, "_sink"):
            self._sink.close()
            self._temporary.unlink(missing_ok=True)

    def _fail(self, error: Exception) -> NoReturn:
        self._discard()
        raise storage_error(
            self.path, error, fix="nothing was replaced; free space or choose another folder"
        ) from error
