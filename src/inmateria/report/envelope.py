"""Long traces made short without losing their extremes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray


def envelope(
    time: ArrayLike, value: ArrayLike, *, n_buckets: int = 200
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """At most 2 `n_buckets` points that keep each bucket's lowest and highest value.

    Drawn as a line it covers the same pixels as the whole trace: averaging or
    dropping samples would hide the noise that a margin is judged against.

    Parameters
    ----------
    time, value : (n_samples,) arrays

    Returns
    -------
    time, value : (n_kept,) arrays, in the order of time
    """
    t, y = np.asarray(time, dtype=np.float64), np.asarray(value, dtype=np.float64)
    if t.size <= 2 * n_buckets:
        return t, y
    edges = np.linspace(0, t.size, n_buckets + 1).astype(np.intp)
    picks = [
        index
        for start, stop in pairwise(edges)
        for index in {start + int(np.argmin(y[start:stop])), start + int(np.argmax(y[start:stop]))}
    ]
    kept = np.unique(np.asarray(picks, dtype=np.intp))
    return t[kept], y[kept]
