"""Outlines with as few corners as the eye needs: a figure's bytes are its corners."""

from __future__ import annotations

import numpy as np
from matplotlib.path import Path
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def thin(path: Path, tolerance: float) -> Path:
    """The closed outlines of a path, no corner of the old ones farther away than `tolerance`.

    Source: D. H. Douglas and T. K. Peucker, Cartographica 10, 112 (1973).
    """
    kept = []
    starts = np.flatnonzero(path.codes == Path.MOVETO) if path.codes is not None else [0]
    for loop in np.split(np.asarray(path.vertices, dtype=np.float64), starts[1:]):
        corners = loop[_needed(loop, tolerance)]
        if len(corners) > 3:  # fewer enclose nothing: the last corner is the first
            kept.append(corners)
    return outline(kept)


def outline(loops: list[FloatArray]) -> Path:
    """Closed outlines, (n_corners, 2) each with the first corner again at its end, as one path."""
    if not loops:
        return Path(np.zeros((0, 2)))
    codes = []
    for loop in loops:
        code = np.full(len(loop), Path.LINETO, dtype=Path.code_type)
        code[0], code[-1] = Path.MOVETO, Path.CLOSEPOLY
        codes.append(code)
    return Path(np.concatenate(loops), np.concatenate(codes))


def _needed(loop: FloatArray, tolerance: float) -> NDArray[np.bool_]:
    """Which corners of a loop stay."""
    needed = np.zeros(len(loop), dtype=bool)
    needed[[0, -1]] = True
    # The ends of a loop are one point, so it is cut at the corner farthest from it first.
    spans = [(0, len(loop) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        between = loop[first + 1 : last] - loop[first]
        chord = loop[last] - loop[first]
        length = float(np.hypot(*chord))
        away = (
            np.hypot(*between.T)
            if length < 1e-9
            else np.abs(between[:, 0] * chord[1] - between[:, 1] * chord[0]) / length
        )
        worst = int(away.argmax())
        if away[worst] > tolerance:
            middle = first + 1 + worst
            needed[middle] = True
            spans += [(first, middle), (middle, last)]
    return needed
