"""How many transverse modes each slice keeps.

A lead narrower than the sample excites all modes of the slice next to it. High
modes decay as exp(-kappa_m x) from there, so a slice at distance x keeps those that
have not yet decayed to `TAIL`, and never fewer than the number asked for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inmateria.errors import ParameterError
from inmateria.transport.gas import ElectronGas
from inmateria.transport.strip import StripModes

TAIL = 1e-3


def mode_counts(gas: ElectronGas, strip: StripModes, modes: int | None) -> NDArray[np.int64]:
    """Number of modes on each slice, (n_x,); `modes` away from narrow leads, None for all.

    Raises
    ------
    ParameterError
        If `modes` is more than there are, or fewer than are open.
    """
    if modes is None:
        return np.full(gas.n_x, gas.n_y)
    if not strip.n_open <= modes <= gas.n_y:
        raise ParameterError(
            f"modes = {modes}: {strip.n_open} are open in the sample's width and there are "
            f"{gas.n_y}; give a number between, well above the open ones, or None for all"
        )
    decay = -np.log(np.abs(strip.phase))
    reach = np.arange(gas.n_x)[:, None] * decay < -np.log(TAIL)
    still = np.maximum(reach.sum(axis=1), modes)
    counts = np.full(gas.n_x, modes)
    if gas.source.n_rows < gas.n_y:
        counts = np.maximum(counts, still)
    if gas.drain.n_rows < gas.n_y:
        counts = np.maximum(counts, still[::-1])
    return counts


def tails(strip: StripModes, counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Minus the self-energy of modes that a neighbouring slice lacks, (n_x, n_y)."""
    has = np.arange(strip.two_cos_k.size) < counts[:, None]
    lacking = np.zeros(has.shape)
    lacking[:-1] += has[:-1] & ~has[1:]
    lacking[1:] += has[1:] & ~has[:-1]
    return np.asarray(lacking * np.where(strip.open, 0.0, strip.phase.real))
