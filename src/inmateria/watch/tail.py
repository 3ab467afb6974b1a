"""New lines of a file that grows: each byte is read once, and a line only when it is whole."""

from __future__ import annotations

import os
from pathlib import Path

AT_ONCE = 8_000_000
"""Bytes read in one go: a long log is followed in pieces, and what is read shows meanwhile."""


class Tail:
    """The lines of a file, as they come.

    Parameters
    ----------
    path : Path
        It may not exist yet, or no more.

    Attributes
    ----------
    begun_anew : bool
        Whether the last `read` found another or a shorter file than before: what was
        read earlier is not part of it.
    more : bool
        Whether the last `read` left whole pieces for the next one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.begun_anew, self.more = False, False
        self._offset, self._inode = 0, -1
        self._torn = b""

    @property
    def share(self) -> float:
        """How much of the file has been read, 0 to 1."""
        try:
            size = self.path.stat().st_size
        except OSError:
            return 1.0
        return min(1.0, self._offset / size) if size else 1.0

    def read(self, most: int = AT_ONCE) -> list[bytes]:
        """Whole lines that were not read yet, each with its end of line.

        A file that cannot be read gives none. The beginning of a line waits for its end.
        """
        self.begun_anew, self.more = False, False
        try:
            with open(self.path, "rb") as file:
                status = os.fstat(file.fileno())
                if status.st_ino != self._inode or status.st_size < self._offset:
                    self.begun_anew = self._offset > 0
                    self._offset, self._torn = 0, b""
                    self._inode = status.st_ino
                if status.st_size == self._offset:
                    return []
                file.seek(self._offset)
                data = file.read(most)
        except OSError:
            return []
        self._offset += len(data)
        self.more = self._offset < status.st_size
        whole, _, self._torn = (self._torn + data).rpartition(b"\n")
        return (whole + b"\n").splitlines(keepends=True) if whole else []

    def again(self) -> None:
        """Read the file from its beginning next time."""
        self._offset, self._torn = 0, b""
