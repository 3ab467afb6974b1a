"""The format of a journal, ``NAME.nc.part``: what a recording is until it is complete.

One line of JSON (the header), then blocks of rows, each with its own checksums:

    block = "IMJ1" | index | session | first row | rows | payload bytes   (32 bytes)
            CRC-32 of these                                               (4 bytes)
            payload: voltage <f8, current <f8, clipped i1, segment <i4
            SHA-256 of all of the above                                   (32 bytes)

Only the last block can be torn, since each is on the disk before the next is
begun. So damage with nothing behind it is a torn write and does not count;
damage with a block behind it is a damaged file and an error.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inmateria.data.provenance import canonical_json, utc_now
from inmateria.data.schema import (
    ROW_VARIABLES,
    VARIABLES,
    Rows,
    array_bytes,
    attributes,
    dataset_from_rows,
)
from inmateria.devices.device import Terminal
from inmateria.errors import DataFileError, DataIntegrityError, SchemaVersionError

if TYPE_CHECKING:
    import xarray as xr

FORMAT = "inmateria.journal"
VERSION = 1
START = f'{{"format":"{FORMAT}"'.encode()
MAGIC = b"IMJ1"
HEAD = struct.Struct("<4sIIQIQI")
DIGEST_SIZE = 32


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

    `blocks` are (offset, length) in bytes; `sessions` the first row of each
    session that recorded something, the first of them row 0; `torn_bytes` the
    length of an incomplete last block.
    """

    path: Path
    header: Header
    blocks: tuple[tuple[int, int], ...]
    sessions: tuple[int, ...]
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
            resumed_at_rows=canonical_json(self.sessions[1:]),
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


def pack_block(block: Rows, *, index: int, session: int, first_row: int) -> bytes:
    """A block of rows as it stands in a journal."""
    payload = b"".join(array_bytes(name, getattr(block, name)) for name in ROW_VARIABLES)
    head = HEAD.pack(MAGIC, index, session, first_row, len(block), len(payload), 0)[:-4]
    data = head + struct.pack("<I", zlib.crc32(head)) + payload
    return data + hashlib.sha256(data).digest()


def _parse_block(path: Path, header: Header, index: int, data: bytes) -> Rows:
    if hashlib.sha256(data[:-DIGEST_SIZE]).digest() != data[-DIGEST_SIZE:]:
        raise _damaged(path, index)
    n_rows = HEAD.unpack_from(data)[4]
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
    sessions: dict[int, int] = {}
    end, n_rows = file.tell(), 0
    while end < size:
        file.seek(end)
        head = file.read(HEAD.size)
        if len(head) < HEAD.size:
            break
        magic, index, session, first_row, count, length, crc = HEAD.unpack(head)
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
        sessions.setdefault(session, first_row)
        end += total
        n_rows += count
    return JournalState(
        path, header, tuple(blocks), tuple(sessions.values()), n_rows, end, size - end
    )


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
    if isinstance(version, int) and version > VERSION:
        raise SchemaVersionError(
            f"{path} is a journal of version {version} and inmateria reads up to {VERSION}; "
            "update inmateria"
        )
    if version != VERSION:
        raise DataFileError(f"{path} is a journal of version {version!r}, which does not exist")
    if hashlib.sha256(canonical_json(body).encode()).hexdigest() != digest:
        raise DataIntegrityError(
            f"{path}: the header fails its checksum; restore the file from a copy, or move it "
            "away and record again"
        )
    return Header(body["identity"], body["notes"], body["n_rows"])
