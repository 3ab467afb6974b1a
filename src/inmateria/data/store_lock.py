"""One writer per store: a lock file beside it, ``set.zarr.lock``, with host and process.

On one machine the lock is the kernel's (flock): it ends with the process that holds it,
however that ends, so a lock that was left behind is simply taken over. Network file systems
may not pass flock on between machines; there the file counts, which a generator removes when
it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from inmateria.atomic import make_folder, storage_error
from inmateria.data.provenance import utc_now
from inmateria.errors import StorageError


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Hold the lock of the store at `path`.

    Raises
    ------
    StorageError
        If another process holds it, or one on another machine has not let go of it.
    """
    file = path.with_name(path.name + ".lock")
    make_folder(path.parent)
    handle, held = _open(file), False
    try:
        _take(handle, file, path)
        # The holder before may have removed the file while it was being opened here.
        while not _is_still_there(handle, file):
            os.close(handle)
            handle = _open(file)
            _take(handle, file, path)
        held = True
        yield
    finally:
        if held:
            with contextlib.suppress(OSError):
                file.unlink()
        os.close(handle)


def _open(file: Path) -> int:
    try:
        return os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise storage_error(file, error, fix="choose another folder") from error


def _is_still_there(handle: int, file: Path) -> bool:
    try:
        return os.stat(file).st_ino == os.fstat(handle).st_ino
    except FileNotFoundError:
        return False


def _take(handle: int, file: Path, path: Path) -> None:
    host = socket.gethostname()
    holder = _holder(handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StorageError(
            f"{path} is being written by process {holder.get('pid', '?')} on "
            f"{holder.get('host', host)} since {holder.get('since_utc', '?')}; wait for it or stop "
            "it"
        ) from error
    # Read again: the holder may have ended in between.
    holder = _holder(handle)
    if holder.get("host", host) != host:
        raise StorageError(
            f"{path} is locked by process {holder.get('pid')} on {holder['host']} since "
            f"{holder.get('since_utc')}; if that one is dead, remove {file}"
        )
    text = json.dumps({"pid": os.getpid(), "host": host, "since_utc": utc_now()})
    os.ftruncate(handle, 0)
    os.pwrite(handle, text.encode(), 0)


def _holder(handle: int) -> dict[str, object]:
    try:
        found = json.loads(os.pread(handle, 4096, 0) or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
