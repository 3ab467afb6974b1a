"""Where the holes go: the net current of every bond of a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class BondCurrents:
    """Net flow along every bond in the steady state.

    Attributes
    ----------
    between : (..., n_sites, n_sites) array
        From the row's site to the column's; antisymmetric.
    into : (..., n_sites, n_electrodes) array
        From a site into an electrode; summed over sites this is the electrodes' current.

    Both count holes per 1 / nu0 where an engine returns them and nA where a
    device does. What arrives at a site leaves it: the sum of `between` over
    columns and of `into` over electrodes is zero.
    """

    between: FloatArray
    into: FloatArray
