"""The append-only file behind a recording: ``NAME.nc.part``.

One line of JSON (the header), then blocks of rows. Every block carries its own
checksums and is on the disk before the next one is measured, so whatever
happens (a kill, a full disk, a power cut) all complete blocks are kept:

    block = "IMJ1" | index | first row | rows | payload bytes | CRC-32 of these   (32 bytes)
            payload: voltage <f8, current <f8, clipped i1, segment <i4
            SHA-256 of all of the above                                           (32 bytes)

Only the last block can be torn, since each is synced before the next begins. So
damage with nothing behind it is a torn write and is cut off; damage with a
block behind it is a damaged file and an error.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from inmateria.data.netcdf import MeasurementWriter, storage_error, sync_folder
from inmateria.data.provenance import canonical_json, plain, utc_now
from inmateria.data.schema import ROW_VARIABLES, VARIABLES, Rows, array_bytes, dataset_from_rows
from inmateria.devices.device import Terminal
from inmateria.errors import (
    ConfigurationError,
    DataFileError,
    DataIntegrityError,
    SchemaVersionError,
    ShapeError,
    StorageError,
)

if TYPE_CHECKING:
    import xarray as xr

FORMAT = "inmateria.journal"
VERSION = 1
MAGIC = b"IMJ1"
HEAD = struct.Struct("<4sIQIQI")
DIGEST_SIZE = 32
KEPT = "all rows before are kept; free space and run the same command again"


@dataclass(frozen=True)
class Header:
    """What a recording is.

    Parameters
    ----------
    identity : mapping
        What has to be the same for a recording to go on: design, device and
        rig, terminals (name, low, high in V), outputs, rate, fidelity.
    notes : mapping
        What may differ from one session to the next: start time, parents.
    n_rows : int
        Rows of the finished recording.
    """

    identity: Mapping[str, Any]
    notes: Mapping[str, Any]
    n_rows: int

    @property
    def terminals(self) -> tuple[Terminal, ...]:
        """The driven terminals."""
        return tuple(Terminal(*entry) for entry in self.identity["terminals"])

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the outputs."""
        return tuple(self.identity["outputs"])

    def line(self) -> bytes:
        """The first line of the file, its own checksum included."""
        body = canonical_json(
            {"identity": self.identity, "notes": self.notes, "n_rows": self.n_rows}
        )
        digest = hashlib.sha256(body.encode()).hexdigest()
        return (
            f'{{"format":"{FORMAT}","version":{VERSION},"sha256":"{digest}","header":{body}}}\n'
        ).encode()


@dataclass(frozen=True)
class JournalState:
    """What a journal holds: its header, its complete blocks, where they end.

    `sessions` are the first rows of the blocks at which a recording began or
    was taken up again; `torn_bytes` the length of an incomplete last block.
    """

    path: Path
    header: Header
    blocks: tuple[tuple[int, int], ...]
    n_rows: int
    end: int
    torn_bytes: int

    def rows(self) -> Iterator[Rows]:
        """The blocks, one after the other, each checked again while it is read."""
        with open(self.path, "rb") as file:
            for index, (offset, length) in enumerate(self.blocks):
                file.seek(offset)
                yield _parse_block(self.path, self.header, index, file.read(length))

    def attributes(self) -> dict[str, Any]:
        """Attributes of the measurement that these rows make."""
        from inmateria.data.schema import attributes

        identity, notes = self.header.identity, self.header.notes
        return attributes(
            rate_hz=identity["rate_hz"],
            fidelity=identity["fidelity"],
            device=identity["device"],
            rig=identity["rig"],
            design=identity["design"],
            seed=identity["design"].get("seed"),
            started_utc=notes["started_utc"],
            finished_utc=utc_now(),
            parents=notes["parents"],
            planned_rows=self.header.n_rows,
        )

    def dataset(self) -> xr.Dataset:
        """The rows so far, as a measurement in memory."""
        parts = list(self.rows())
        n_terminals, n_outputs = len(self.header.terminals), len(self.header.outputs)
        empty = Rows(
            np.empty((0, n_terminals)),
            np.empty((0, n_outputs)),
            np.empty((0, n_outputs), dtype=np.int8),
            np.empty(0, dtype=np.int32),
        )
        block = Rows(
            *(
                np.concatenate([getattr(part, name) for part in (empty, *parts)])
                for name in ROW_VARIABLES
            )
        )
        return dataset_from_rows(
            block,
            terminals=self.header.terminals,
            outputs=self.header.outputs,
            attrs=self.attributes(),
        )


def journal_path(path: Path) -> Path:
    """Where the journal of the recording `path` lies."""
    return path.with_name(path.name + ".part")


def read_journal(path: str | os.PathLike[str]) -> JournalState:
    """Read and check a journal, block by block.

    Raises
    ------
    DataFileError
        If it is missing, no journal, or its header is incomplete.
    DataIntegrityError
        If a block other than a torn last one is damaged; the message names it.
    SchemaVersionError
        If a newer inmateria wrote it.
    """
    source = Path(path)
    try:
        with open(source, "rb") as file:
            return _scan(source, file)
    except FileNotFoundError as error:
        raise DataFileError(f"{source} does not exist; check the path") from error
    except OSError as error:
        if isinstance(error, DataFileError):
            raise
        raise DataFileError(f"cannot read {source}: {error.strerror}; check the path") from error


def recover_measurement(part: str | os.PathLike[str], *, path: Path | None = None) -> Path:
    """Make a measurement file of an unfinished journal, which stays where it is.

    Parameters
    ----------
    part : path of the journal, ``NAME.nc.part``
    path : Path, optional
        Where the file goes; by default ``NAME.recovered.nc`` beside it.

    Raises
    ------
    DataFileError, DataIntegrityError, StorageError
    """
    source = Path(part)
    state = read_journal(source)
    stem = source.name.removesuffix(".part").removesuffix(".nc")
    target = path or source.with_name(f"{stem}.recovered.nc")
    if target.exists():
        raise StorageError(f"{target} exists and is not overwritten; move it or name another file")
    _convert(state, target)
    return target


class Journal:
    """A recording that is being written; one process at a time.

    Parameters
    ----------
    path : Path
        Where the finished measurement goes; the journal lies beside it.
    header : Header
    resume : bool
        Whether to go on with a journal that is there.

    Raises
    ------
    ConfigurationError
        If the journal that is there belongs to another recording.
    DataFileError, DataIntegrityError
        If it is damaged.
    StorageError
        If it cannot be written, is in use, or exists and `resume` is off.
    """

    def __init__(self, path: Path, header: Header, *, resume: bool = True) -> None:
        self.path = path
        self.part = journal_path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | (0 if resume else os.O_EXCL)
            self._handle = os.open(self.part, flags, 0o644)
        except FileExistsError as error:
            raise StorageError(
                f"{self.part} holds an unfinished recording; resume it, or move it away"
            ) from error
        except OSError as error:
            raise storage_error(self.part, error, kept="choose another folder") from error
        try:
            self._lock()
            self._take_up(header)
        except BaseException:
            self.close()
            raise

    @property
    def n_rows(self) -> int:
        """Rows written so far."""
        return self._n_rows

    def append(self, block: Rows) -> None:
        """Write a block and bring it to the disk.

        Raises
        ------
        StorageError
            If the disk is full; the journal then ends after the block before.
        ShapeError
            If there are more rows than the recording has.
        """
        if self._n_rows + len(block) > self.header.n_rows:
            raise ShapeError(
                f"{self._n_rows + len(block)} rows do not fit a recording of {self.header.n_rows}"
            )
        data = _pack_block(self._n_blocks, self._n_rows, block)
        self._write(data)
        self._n_blocks += 1
        self._n_rows += len(block)

    def finish(self) -> Path:
        """Turn the complete journal into the measurement file, check it, remove the journal.

        Raises
        ------
        ShapeError
            If rows are missing.
        DataIntegrityError, StorageError
            If the file could not be written; the journal then stays.
        """
        if self._n_rows != self.header.n_rows:
            raise ShapeError(
                f"{self.part} holds {self._n_rows} rows of {self.header.n_rows}; go on sampling"
            )
        _convert(read_journal(self.part), self.path)
        try:
            self.part.unlink()
            sync_folder(self.path.parent)
        except OSError as error:
            raise storage_error(self.part, error, kept=f"{self.path} is complete") from error
        self.close()
        return self.path

    def close(self) -> None:
        """Let go of the file; what was appended stays."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StorageError(
                f"{self.part} is being written by another process; wait for it or choose "
                "another file"
            ) from error

    def _take_up(self, header: Header) -> None:
        size = os.fstat(self._handle).st_size
        start = os.pread(self._handle, size, 0) if size < (1 << 16) else b"\n"
        self._end = 0
        if b"\n" not in start:
            # an empty file, or a header that was torn before its first sync
            self.header, self._n_rows, self._n_blocks = header, 0, 0
            self._write(header.line())
            sync_folder(self.part.parent)
            return
        state = read_journal(self.part)
        differences = tuple(_differences(state.header.identity, plain(header.identity)))
        if differences:
            raise ConfigurationError(
                f"{self.part} belongs to another recording: {differences[0]}"
                + (f" (and {len(differences) - 1} more)" if len(differences) > 1 else "")
                + "; use the same settings to go on, or another file"
            )
        self.header, self._n_rows = state.header, state.n_rows
        self._n_blocks, self._end = len(state.blocks), state.end
        self._cut()

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            os.lseek(self._handle, self._end, os.SEEK_SET)
            while left:
                left = left[os.write(self._handle, left) :]
            os.fsync(self._handle)
        except OSError as error:
            self._cut()
            raise storage_error(self.part, error, kept=KEPT) from error
        self._end += len(data)

    def _cut(self) -> None:
        os.ftruncate(self._handle, self._end)


def _convert(state: JournalState, target: Path) -> None:
    """Write the measurement file block by block, then read it back and check it."""
    with MeasurementWriter(
        target,
        n_rows=state.n_rows,
        terminals=state.header.terminals,
        outputs=state.header.outputs,
        attrs=state.attributes(),
    ) as writer:
        for block in state.rows():
            writer.append(block)
    from inmateria.data.measurement import open_measurement

    open_measurement(target)


def _pack_block(index: int, first_row: int, block: Rows) -> bytes:
    payload = b"".join(array_bytes(name, getattr(block, name)) for name in ROW_VARIABLES)
    head = HEAD.pack(MAGIC, index, first_row, len(block), len(payload), 0)[:-4]
    data = head + struct.pack("<I", zlib.crc32(head)) + payload
    return data + hashlib.sha256(data).digest()


def _parse_block(path: Path, header: Header, index: int, data: bytes) -> Rows:
    if hashlib.sha256(data[:-DIGEST_SIZE]).digest() != data[-DIGEST_SIZE:]:
        raise _damaged(path, index)
    n_rows = HEAD.unpack_from(data)[3]
    columns = {"terminal": len(header.terminals), "output": len(header.outputs)}
    arrays: list[Any] = []
    offset = HEAD.size
    for name in ROW_VARIABLES:
        dims, dtype, _ = VARIABLES[name]
        shape = (n_rows, *(columns[dim] for dim in dims[1:]))
        array = np.frombuffer(data, dtype=dtype, count=int(np.prod(shape)), offset=offset)
        arrays.append(array.reshape(shape))
        offset += array.nbytes
    return Rows(*arrays)


def _damaged(path: Path, index: int) -> DataIntegrityError:
    return DataIntegrityError(
        f"{path}: block {index} fails its checksum; restore the file from a copy, or move it "
        "away and record again"
    )


def _scan(path: Path, file: Any) -> JournalState:
    header = _read_header(path, file.readline())
    size = os.fstat(file.fileno()).st_size
    blocks: list[tuple[int, int]] = []
    end, n_rows = file.tell(), 0
    while end < size:
        file.seek(end)
        head = file.read(HEAD.size)
        if len(head) < HEAD.size:
            break
        magic, index, first_row, count, length, crc = HEAD.unpack(head)
        if crc != zlib.crc32(head[:-4]) or magic != MAGIC:
            # the length is not to be trusted: look for a block behind
            if _finds_block(head[1:] + file.read()):
                raise _damaged(path, len(blocks))
            break
        total = HEAD.size + length + DIGEST_SIZE
        data = head + file.read(total - HEAD.size)
        if len(data) < total:
            break
        if hashlib.sha256(data[:-DIGEST_SIZE]).digest() != data[-DIGEST_SIZE:]:
            if end + total < size:
                raise _damaged(path, len(blocks))
            break
        if index != len(blocks) or first_row != n_rows:
            raise DataIntegrityError(
                f"{path}: block {len(blocks)} is missing (block {index} stands in its place); "
                "restore the file from a copy, or move it away and record again"
            )
        blocks.append((end, total))
        end += total
        n_rows += count
    return JournalState(path, header, tuple(blocks), n_rows, end, size - end)


def _finds_block(data: bytes) -> bool:
    """Whether a whole block head stands anywhere in `data`."""
    at = data.find(MAGIC)
    while at >= 0:
        head = data[at : at + HEAD.size]
        if len(head) == HEAD.size and HEAD.unpack(head)[-1] == zlib.crc32(head[:-4]):
            return True
        at = data.find(MAGIC, at + 1)
    return False


def _read_header(path: Path, line: bytes) -> Header:
    try:
        fields = json.loads(line)
        kind, version = fields["format"], fields["version"]
        digest, body = fields["sha256"], fields["header"]
    except (ValueError, LookupError, TypeError) as error:
        raise DataFileError(
            f"{path} does not begin like a journal; move it away and record again"
        ) from error
    if kind != FORMAT:
        raise DataFileError(f"{path} is of kind {kind!r}, not {FORMAT!r}; give another file")
    if version > VERSION:
        raise SchemaVersionError(
            f"{path} is a journal of version {version} and inmateria reads up to {VERSION}; "
            "update inmateria"
        )
    if hashlib.sha256(canonical_json(body).encode()).hexdigest() != digest:
        raise DataIntegrityError(
            f"{path}: the header fails its checksum; restore the file from a copy, or move it "
            "away and record again"
        )
    return Header(body["identity"], body["notes"], body["n_rows"])


def _differences(kept: Any, now: Any, name: str = "") -> Iterator[str]:
    """Where two JSON values differ, one line for each leaf."""
    if isinstance(kept, Mapping) and isinstance(now, Mapping):
        for key in sorted({*kept, *now}):
            path = f"{name}.{key}" if name else str(key)
            if key not in kept:
                yield f"{path} is new"
            elif key not in now:
                yield f"{path} is gone"
            else:
                yield from _differences(kept[key], now[key], path)
    elif canonical_json(kept) != canonical_json(now):
        yield f"{name} was {_short(kept)} and is {_short(now)} now"


def _short(value: Any) -> str:
    text = canonical_json(value)
    return text if len(text) <= 60 else text[:57] + "..."
