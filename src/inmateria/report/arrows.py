"""Currents as arrows: a shaft as wide as the current, a head halfway that shows the way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def arrows(
    start: FloatArray, stop: FloatArray, width: FloatArray, *, least_head: float
) -> FloatArray:
    """Outlines of arrows, in the units of the points.

    Parameters
    ----------
    start, stop : (n, 2) arrays
    width : (n,) array
        Of the shafts.
    least_head : float
        Heads are 2.4 shafts wide, and this wide at least so that the way of a thin
        one is seen; on short bonds they shrink to the bond.

    Returns
    -------
    (n, 11, 2) array
        Corners; the last is the first.
    """
    along = stop - start
    length = np.linalg.norm(along, axis=1)
    forward = along / np.maximum(length, 1e-12)[:, None]
    side = np.column_stack([-forward[:, 1], forward[:, 0]])
    head = np.maximum(2.4 * width, least_head)
    deep = np.minimum(head, 0.8 * length)
    back, tip = 0.55 * length - deep / 2, 0.55 * length + deep / 2
    zero = np.zeros_like(length)
    # Once around: the tail, along one side to behind the head, the head's corner, its tip,
    # the shaft that goes on beyond it, and back on the other side.
    s, h = width / 2, head / 2
    reach = tip - deep * np.minimum(s / h, 1.0)
    forth = np.stack(
        [zero, back, back, reach, length, length, reach, back, back, zero, zero], axis=1
    )
    across = np.stack([s, s, h, s, s, -s, -s, -h, -s, -s, s], axis=1)
    return np.asarray(
        start[:, None] + forth[..., None] * forward[:, None] + across[..., None] * side[:, None]
    )


def round_down(value: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above a value > 0."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(max(step for step in (1, 2, 5) if step * power <= value * (1 + 1e-9)) * power)
