"""The log of a search on a rig: every request and its answer, on the disk before the next.

A JSON-lines file that only grows. The first line says which search it is, each
further line holds one request (the controls that were asked, what was measured,
the seconds that the rig played) with a checksum. A training method is a function
of its seed and of what it is told, so a search is resumed by running the method
again with the logged answers: nothing is played for them, and no state of an
optimiser is ever saved. NaN and infinity are written as Python's JSON does.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import zlib
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from inmateria.atomic import storage_error, sync_folder
from inmateria.data.provenance import canonical_json, plain, utc_now
from inmateria.errors import (
    ConfigurationError,
    DataFileError,
    DataIntegrityError,
    SchemaVersionError,
    StorageError,
)
from inmateria.version import __version__

SCHEMA = "inmateria.search"
SCHEMA_VERSION = 1

NOTE = "note"
"""Kind of an entry that is only to be read by people and reports."""

CONFIRM = "confirm"
"""Kind of a second reading of a setting that passed."""

FINAL = "final"
"""Kind of the last entry: the winner, measured at all points of the task."""

_KEPT = "everything before is kept; free space and resume the search"


class SearchLog:
    """A log that is being written; one process at a time.

    Parameters
    ----------
    path : path
        Of the file; its folder is made.
    header : mapping
        Which search this is (task, method, seed, options, rig), as plain JSON
        values. A log with another header is never gone on with.
    resume : bool
        Go on with a file that is there. A line that was cut short by a crash
        at the end of the file is dropped.
    session : mapping, optional
        What only this process knows (its budget, its number): in the first line
        of a new log, in a note before the first new request of one that goes on.

    Raises
    ------
    StorageError
        If it holds requests and `resume` is off, is in use, or cannot be written.
    ConfigurationError
        If it belongs to another search.
    DataFileError, DataIntegrityError
        If it is not such a log, or is damaged before its end.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        header: Mapping[str, Any],
        *,
        resume: bool = False,
        session: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = Path(path)
        self.header: Mapping[str, Any] = plain(header)
        self._session: dict[str, Any] = {} if session is None else {"session": plain(session)}
        self._entries: deque[dict[str, Any]] = deque()
        self._finals: list[dict[str, Any]] = []
        self._handle = -1
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise storage_error(self.path, error, fix="choose another place for the log") from error
        try:
            self._lock()
            self._take_up(resume=resume)
        except BaseException:
            self.close()
            raise

    @property
    def n_left(self) -> int:
        """Logged requests that were not served yet."""
        return len(self._entries)

    def serve(self) -> dict[str, Any] | None:
        """The next logged request with its answer, or None where the log ends."""
        return self._entries.popleft() if self._entries else None

    def final(self, controls: list[float]) -> dict[str, Any] | None:
        """The logged last measurement of these controls, if there is one."""
        same = [entry for entry in self._finals if entry["controls"] == controls]
        return same[-1] if same else None

    def append(self, entry: Mapping[str, Any]) -> None:
        """Write an entry and bring it to the disk.

        Arrays become lists. A note is not worth waiting for the disk.

        Raises
        ------
        StorageError
            If the disk is full; the log then ends after the entry before.
        """
        line = _line(entry)
        if self._session:
            line = _line({"kind": NOTE, **self._session}) + line
        self._write(line, sync=entry.get("kind") != NOTE)
        self._session = {}

    def close(self) -> None:
        """Let go of the file; what was appended stays."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> SearchLog:
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
                f"{self.path} is being written by another process; wait for it or name another log"
            ) from error

    def _take_up(self, *, resume: bool) -> None:
        head, entries, self._end = _read(self.path)
        if head is None or not entries:
            # Nothing was asked yet: refused options leave such a file, and nobody misses it.
            self._end = 0
            self._cut()
            first = {
                "schema": SCHEMA,
                "schema_version": SCHEMA_VERSION,
                "search": self.header,
                "software": f"inmateria {__version__}",
                "started_utc": utc_now(),
                **self._session,
            }
            self._session = {}
            self._write(_line(first), sync=True)
            sync_folder(self.path.parent)
            return
        if not resume:
            raise StorageError(
                f"{self.path} holds {len(entries)} entries of a search; resume it (resume=True, "
                "--resume), or name another log"
            )
        _refuse_other(self.path, head["search"], self.header)
        for entry in entries:
            if entry["kind"] == FINAL:
                self._finals.append(entry)
            elif entry["kind"] != NOTE:
                self._entries.append(entry)
        self._cut()

    def _write(self, data: bytes, *, sync: bool) -> None:
        left = memoryview(data)
        try:
            os.lseek(self._handle, self._end, os.SEEK_SET)
            while left:
                left = left[os.write(self._handle, left) :]
            if sync:
                os.fsync(self._handle)
        except OSError as error:
            self._cut()
            raise storage_error(self.path, error, fix=_KEPT) from error
        self._end += len(data)

    def _cut(self) -> None:
        # Where even this fails, the next session drops the torn line.
        with contextlib.suppress(OSError):
            os.ftruncate(self._handle, self._end)


def read_search_log(
    path: str | os.PathLike[str],
) -> tuple[dict[str, Any], tuple[dict[str, Any], ...]]:
    """What a log holds, for reports.

    Returns
    -------
    header : dict
        With ``search`` (what was given as header), ``software``, ``started_utc``,
        and ``session`` where one was given.
    entries : tuple of dict
        In order; ``kind`` is ``"setup"``, ``"measure"``, ``"extract"``,
        ``"confirm"``, ``"note"`` or ``"final"``.

    Raises
    ------
    DataFileError, DataIntegrityError, SchemaVersionError
    """
    head, entries, _ = _read(Path(path))
    if head is None:
        raise DataFileError(f"{path} is not a search log, or an empty one")
    return head, tuple(entries)


def _line(entry: Mapping[str, Any]) -> bytes:
    """An entry as a line: its checksum, then itself."""
    text = json.dumps(entry, default=plain, separators=(",", ":"))
    return f'{{"crc32":"{zlib.crc32(text.encode()):08x}","entry":{text}}}\n'.encode()


def entry_of(line: bytes) -> dict[str, Any] | None:
    """The entry of a line of a log, its end of line included, or None where it is damaged."""
    start, end = b'{"crc32":"', b"}\n"
    body = line[len(start) + 8 + len(b'","entry":') : -len(end)]
    if not (line.startswith(start) and line.endswith(end)):
        return None
    if line[len(start) : len(start) + 8] != f"{zlib.crc32(body):08x}".encode():
        return None
    entry = json.loads(body)
    return entry if isinstance(entry, dict) else None


def _read(path: Path) -> tuple[dict[str, Any] | None, list[dict[str, Any]], int]:
    """Header, entries, and the byte after the last whole line."""
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise DataFileError(f"cannot read {path}: {error.strerror}; check the path") from error
    found: list[dict[str, Any]] = []
    end = 0
    for number, line in enumerate(lines, start=1):
        entry = entry_of(line)
        if entry is None and number == len(lines) and (found or _torn(line)):
            break
        if entry is None and not found:
            raise DataFileError(f"{path} is not a search log; name another file")
        if entry is None:
            raise DataIntegrityError(
                f"{path} is damaged at line {number} of {len(lines)}; restore it from a copy, or "
                "start the search anew with another log"
            )
        found.append(entry)
        end += len(line)
    if not found:
        return None, [], 0
    head = found[0]
    if head.get("schema") != SCHEMA:
        raise DataFileError(f"{path} is not a search log; name another file")
    if head["schema_version"] > SCHEMA_VERSION:
        raise SchemaVersionError(
            f"{path} has schema version {head['schema_version']}; this inmateria reads up to "
            f"{SCHEMA_VERSION}: upgrade it"
        )
    return head, found[1:], end


def _torn(line: bytes) -> bool:
    """Whether this may be the first line of a log that never came to the disk whole."""
    start = b'{"crc32":"'
    return not line.endswith(b"\n") and (line.startswith(start[: len(line)]) or not any(line))


def _refuse_other(path: Path, kept: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    different = [
        name
        for name in sorted({*kept, *now})
        if canonical_json(kept.get(name)) != canonical_json(now.get(name))
    ]
    if different:
        name = different[0]
        was, is_now = (canonical_json(side.get(name)) for side in (kept, now))
        short = was != is_now and max(len(was), len(is_now)) <= 60
        raise ConfigurationError(
            f"{path} is the log of another search: {', '.join(different)} differ"
            + (f" ({name} was {was} and is {is_now} now)" if short else "")
            + "; use the same settings to resume it, or name another log"
        )
