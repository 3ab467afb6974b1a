"""Files that appear whole or not at all, and stay after a power cut."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from inmateria.errors import StorageError


def storage_error(path: Path, error: Exception, *, fix: str) -> StorageError:
    """The error of a write that failed, saying why, what is kept and what to do."""
    code = getattr(error, "errno", None)
    reason = os.strerror(code) if code else (str(error) or type(error).__name__).splitlines()[0]
    return StorageError(f"cannot write {path}: {reason}; {fix}")


def sync_folder(folder: Path) -> None:
    """Make a rename or a removal in `folder` outlive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: Path) -> Path:
    """The folder, made with its parents where it was missing.

    Raises
    ------
    StorageError
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(path, error, fix="choose another folder") from error
    return path


def write_text(path: Path, text: str) -> Path:
    """Write a text file as `write_bytes` does, in UTF-8."""
    return write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> Path:
    """Write a file: all of it under its name, or nothing.

    Raises
    ------
    StorageError
        If the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise storage_error(path, error, fix="free space or choose another folder") from error
    return path
