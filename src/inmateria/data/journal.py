"""Recording into a journal: append-only, on the disk after every block, resumable.

Whatever happens (a kill, a full disk, a power cut), all complete blocks are
kept. The format is that of `blocks`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from inmateria.atomic import storage_error, sync_folder
from inmateria.data.blocks import MAGIC, START, Header, JournalState, pack_block, read_journal
from inmateria.data.measurement import verify_file
from inmateria.data.netcdf import MeasurementWriter, undisturbed
from inmateria.data.provenance import canonical_json, plain
from inmateria.data.schema import Rows
from inmateria.errors import ConfigurationError, ShapeError, StorageError

KEPT = "all rows before are kept; free space and run the same command again"


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
            raise storage_error(self.part, error, fix="choose another folder") from error
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
        data = pack_block(
            block, index=self._n_blocks, session=self._session, first_row=self._n_rows
        )
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
        undisturbed(self._complete)
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

    def _complete(self) -> None:
        _convert(read_journal(self.part), self.path)
        try:
            self.part.unlink()
            sync_folder(self.path.parent)
        except OSError as error:
            raise storage_error(self.part, error, fix=f"{self.path} is complete") from error

    def _lock(self) -> None:
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StorageError(
                f"{self.part} is being written by another process; wait for it or choose "
                "another file"
            ) from error
        if os.fstat(self._handle).st_nlink == 0:
            raise StorageError(f"{self.part} was finished by another process; open {self.path}")

    def _take_up(self, header: Header) -> None:
        self._end = self._session = 0
        if self._is_torn_header():
            self.header, self._n_rows, self._n_blocks = header, 0, 0
            self._cut()
            self._write(header.line())
            sync_folder(self.part.parent)
            return
        state = read_journal(self.part)
        refuse_differences(self.part, state.header.identity, header.identity)
        self.header, self._n_rows = state.header, state.n_rows
        self._n_blocks, self._end = len(state.blocks), state.end
        self._session = len(state.sessions)
        self._cut()

    def _is_torn_header(self) -> bool:
        """Whether there is nothing yet but a header that never came to the disk whole."""
        with open(self.part, "rb") as file:
            line = file.readline()
        # a block is written only after the whole header came to the disk
        if line.endswith(b"\n") or MAGIC in line:
            return False
        return START.startswith(line[: len(START)]) or not any(line)

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            os.lseek(self._handle, self._end, os.SEEK_SET)
            while left:
                left = left[os.write(self._handle, left) :]
            os.fsync(self._handle)
        except OSError as error:
            self._cut()
            raise storage_error(self.part, error, fix=KEPT) from error
        self._end += len(data)

    def _cut(self) -> None:
        # where even this fails, the torn block is cut off by the next session
        with contextlib.suppress(OSError):
            os.ftruncate(self._handle, self._end)


def journal_path(path: Path) -> Path:
    """Where the journal of the recording `path` lies."""
    return path.with_name(path.name + ".part")


def recover_measurement(
    part: str | os.PathLike[str], *, path: str | os.PathLike[str] | None = None
) -> Path:
    """Make a measurement file of an unfinished journal, which stays where it is.

    Parameters
    ----------
    part : path of the journal, ``NAME.nc.part``
    path : path, optional
        Where the file goes; by default ``NAME.recovered.nc`` beside it.

    Raises
    ------
    DataFileError, DataIntegrityError, StorageError
    """
    source = Path(part)
    state = read_journal(source)
    stem = source.name.removesuffix(".part").removesuffix(".nc")
    target = source.with_name(f"{stem}.recovered.nc") if path is None else Path(path)
    if target.exists():
        raise StorageError(f"{target} exists and is not overwritten; move it or name another file")
    undisturbed(lambda: _convert(state, target))
    return target


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
    verify_file(target)


def refuse_differences(path: Path, kept: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with a recording that is not this one, saying what differs.

    Raises
    ------
    ConfigurationError
    """
    found = tuple(_differences(kept, plain(now)))
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise ConfigurationError(
            f"{path} belongs to another recording: {found[0]}{more}; "
            "use the same settings to go on, or another file"
        )


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
