"""A short way through many points.

A ramp takes as long as its furthest terminal, so the time between two
plateaus goes as the largest of the voltage differences (the max norm). The
shortest way through all points is the travelling salesman's problem; the
greedy-edge heuristic (Bentley 1992, ORSA J. Computing 4, 387) gives a good one
in O(n log n): join the two closest loose ends, again and again, until one
path is left. Candidates come from a k-d tree over the loose ends, rebuilt
whenever they are used up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.errors import NotFiniteError, ParameterError, ShapeError

_NEIGHBOURS = 5
# Near is near enough: a third of slack halves the time of the search in seven dimensions and
# lengthens the way by less than 0.1 %.
_SLACK = 0.3


def tour(points: ArrayLike, *, scale: ArrayLike = 1.0) -> NDArray[np.intp]:
    """Order in which to visit points so that successive ones are near.

    Parameters
    ----------
    points : (n_points, n_terminals) array, V
    scale : float or (n_terminals,) array, V
        Voltage that counts as one unit of distance on each terminal. The same
        for all (the default) where they share a slew limit.

    Returns
    -------
    (n_points,) array
        A permutation; it starts at the end of the path that is nearer 0 V.
    """
    x = np.asarray(points, dtype=np.float64)
    unit = np.asarray(scale, dtype=np.float64)
    if x.ndim != 2:
        raise ShapeError(f"points have shape {x.shape}; give (n_points, n_terminals)")
    if unit.shape not in ((), (x.shape[1],)):
        raise ShapeError(f"scale has shape {unit.shape}; give one number or ({x.shape[1]},)")
    if not np.isfinite(x).all():
        raise NotFiniteError("points hold NaN or infinity; remove those rows")
    if not (np.isfinite(unit) & (unit > 0)).all():
        raise ParameterError(f"scale = {unit} V; give numbers above zero")
    if len(x) < 2:
        return np.arange(len(x))
    x = x / unit
    return _walk(_greedy_path(x), x)


def _greedy_path(x: NDArray[np.float64]) -> list[list[int]]:
    """Neighbours of each point on the path: two, or one at its two ends."""
    n = len(x)
    linked: list[list[int]] = [[] for _ in range(n)]
    fragment = list(range(n))

    def fragment_of(i: int) -> int:
        while fragment[i] != i:
            fragment[i] = fragment[fragment[i]]
            i = fragment[i]
        return i

    ends = np.arange(n)
    n_fragments = n
    while n_fragments > 1:
        for i, j in _near_pairs(x, ends):
            if len(linked[i]) < 2 and len(linked[j]) < 2:
                a, b = fragment_of(i), fragment_of(j)
                if a != b:  # never the pair of a point with itself
                    fragment[a] = b
                    linked[i].append(j)
                    linked[j].append(i)
                    n_fragments -= 1
        ends = np.array([i for i in ends.tolist() if len(linked[i]) < 2])
    return linked


def _near_pairs(x: NDArray[np.float64], ends: NDArray[np.intp]) -> list[tuple[int, int]]:
    """Pairs of near loose ends, closest first.

    An end's own fragment holds one other end, so three neighbours (itself
    included) always reach another fragment and every round makes progress.
    """
    from scipy.spatial import KDTree

    n = len(ends)
    k = min(_NEIGHBOURS + 1, n)
    distance, neighbour = KDTree(x[ends]).query(x[ends], k=k, p=np.inf, eps=_SLACK)
    i, j = np.repeat(np.arange(n), k), neighbour.ravel()
    # Each pair once, though it may have been found from both sides.
    pair, first = np.unique(np.minimum(i, j) * n + np.maximum(i, j), return_index=True)
    pair = pair[np.argsort(distance.ravel()[first], kind="stable")]
    return list(zip(ends[pair // n].tolist(), ends[pair % n].tolist(), strict=True))


def _walk(linked: list[list[int]], x: NDArray[np.float64]) -> NDArray[np.intp]:
    loose = [i for i, neighbours in enumerate(linked) if len(neighbours) == 1]
    here = min(loose, key=lambda i: float(np.abs(x[i]).max()))
    order, before = [here], -1
    while len(order) < len(linked):
        before, here = here, next(i for i in linked[here] if i != before)
        order.append(here)
    return np.array(order, dtype=np.intp)
