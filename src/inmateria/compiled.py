"""How the inner loops are compiled.

Sums may be reordered and products contracted, so that loops vectorise; NaN and
infinity keep their meaning. A division by zero gives infinity, as in NumPy: a
check in every loop would keep it from being vectorised.

Machine code is kept on disk. Numba checks it against the file that a function
stands in, but not against the files of the functions that it calls, so code
older than any source file of its own folder that holds compiled functions is thrown
away here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

REORDER = {"contract", "reassoc", "nsz", "arcp"}


def discard_stale_code(folder: Path) -> None:
    """Remove the compiler's index files older than the newest compiled source in `folder`."""
    newest = 0.0
    for source in folder.glob("*.py"):
        if any(word in source.read_bytes() for word in (b"inmateria.compiled", b"numba")):
            newest = max(newest, source.stat().st_mtime)
    for index in (folder / "__pycache__").glob("*.nbi"):
        # Another process may do the same, and an installed package may be read-only.
        with contextlib.suppress(OSError):
            if index.stat().st_mtime < newest:
                index.unlink()


# Folders whose compiled functions call each other.
for _part in ("devices/dopant", "transport"):
    discard_stale_code(Path(__file__).parent / _part)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Machine code for one core, kept on disk for the next process."""
    return numba.njit(cache=True, fastmath=REORDER, error_model="numpy")(function)


def compiled_ordered(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same where no number is NaN: only then do comparisons vectorise."""
    fastmath = REORDER | {"nnan"}
    return numba.njit(cache=True, fastmath=fastmath, error_model="numpy")(function)


def compiled_unlocked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same, and Python's lock is let go meanwhile: threads of Python run side by side."""
    return numba.njit(cache=True, fastmath=REORDER, error_model="numpy", nogil=True)(function)


def compiled_parallel(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same, with `numba.prange` shared out over all cores."""
    return numba.njit(cache=True, fastmath=REORDER, error_model="numpy", parallel=True)(function)
