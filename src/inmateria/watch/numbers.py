"""Numbers for a page: series that stay short however long they get, and clean JSON."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

MOST_POINTS = 1000
DIGITS = 6


def clean(value: Any) -> Any:
    """A value as JSON that any browser reads: short numbers, None where there is none."""
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        # Through text, so that the number of digits sent is the number that is kept.
        return float(f"{float(value):.{DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): clean(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [clean(item) for item in value]
    return str(value)


def kept_points(y: NDArray[np.float64], most: int = MOST_POINTS) -> NDArray[np.intp]:
    """Positions of at most `most` points that keep each stretch's lowest and highest value.

    Drawn as a line they cover the pixels of the whole series: no spike is lost. Stretches
    without a finite value keep their first point, so that a gap stays one.
    """
    n = y.size
    if n <= most:
        return np.arange(n)
    # The first and the last point stay as well.
    n_stretches = most // 2 - 1
    length = -(-n // n_stretches)
    padded = np.full(n_stretches * length, np.nan)
    padded[:n] = y
    table = padded.reshape(n_stretches, length)
    finite = np.isfinite(table)
    first = np.arange(n_stretches) * length
    lowest = first + np.where(finite, table, np.inf).argmin(axis=1)
    highest = first + np.where(finite, table, -np.inf).argmax(axis=1)
    kept = np.unique(np.concatenate([[0], lowest, highest, [n - 1]]))
    return np.asarray(kept[kept < n], dtype=np.intp)


def curve(x: ArrayLike, y: ArrayLike, *, most: int = MOST_POINTS) -> dict[str, list[Any]]:
    """``{"x": [...], "y": [...]}`` of a line, made short without losing its extremes."""
    across, up = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    kept = kept_points(up, most)
    return {"x": clean(across[kept]), "y": clean(up[kept])}


class Series:
    """Numbers that are added to, in little memory.

    A long series costs eight bytes a number, whatever is sent of it.
    """

    def __init__(self) -> None:
        self._values = array("d")

    def __len__(self) -> int:
        return len(self._values)

    def add(self, values: Iterable[float]) -> None:
        """Put values at the end."""
        self._values.extend(float(value) for value in values)

    @property
    def last(self) -> float:
        """The last number; infinite where there is none."""
        return self._values[-1] if self._values else math.inf

    @property
    def values(self) -> NDArray[np.float64]:
        """All of them, (n,), a copy."""
        return np.array(self._values, dtype=np.float64)
