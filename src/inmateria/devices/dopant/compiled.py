"""How the inner loops are compiled.

Sums may be reordered and products contracted, so that loops vectorise; NaN and
infinity keep their meaning. A division by zero gives infinity, as in NumPy: a
check in every loop would keep it from being vectorised.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

REORDER = {"contract", "reassoc", "nsz", "arcp"}


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Machine code for one core, kept on disk for the next process."""
    return numba.njit(cache=True, fastmath=REORDER, error_model="numpy")(function)


def compiled_parallel(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same, with `numba.prange` shared out over all cores."""
    return numba.njit(cache=True, fastmath=REORDER, error_model="numpy", parallel=True)(function)
