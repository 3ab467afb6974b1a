"""How many transverse modes each slice keeps, and what becomes of the others.

Modes that propagate somewhere in the sample must be kept, and enough above them that
the potential reaches the dropped ones only weakly. Where the potential is lowest,
modes up to n_p = (n_y + 1) arccos(1 - (E - V_min) / 2) / pi propagate.

A lead narrower than the sample excites all modes of the slice next to it. High modes
decay as exp(-kappa_m x) from there, so a slice at distance x keeps those that have not
yet decayed to `TAIL`.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from inmateria.errors import ParameterError
from inmateria.transport.geometry import GasGeometry
from inmateria.transport.strip import StripModes, strip_modes, transverse_modes
from inmateria.transport.sweep import Plan
from inmateria.transport.transforms import make_tables

TAIL = 0.1
# Decayed to this, a mode that a narrow lead excited is no longer brought back.
DEAD = 1e-4
# Kept modes come in the blocks in which slices are inverted.
STEP = 8


def propagating(n_y: int, energy_t: float, lowest_t: float) -> float:
    """Number of modes of a strip with a flat bottom at `lowest_t` that are open, not rounded."""
    kinetic = np.clip(energy_t - lowest_t, 0.0, 4.0)
    return float((n_y + 1) * np.arccos(1 - kinetic / 2) / np.pi)


def choose_modes(n_y: int, energy_t: float, lowest_t: float, accuracy: float) -> int:
    """Modes to keep for a sample whose potential goes down to `lowest_t` (in t).

    More for higher accuracy: a correction then gains more, and fewer are needed.
    """
    above = 1.25 if accuracy >= 1e-4 else 1.5
    wanted = above * propagating(n_y, energy_t, lowest_t) + 6
    return min(int(np.ceil(wanted / STEP)) * STEP, n_y)


def whole_pairs(gas: GasGeometry, modes: int) -> int:
    """`modes`, and one more where a cylinder's cosine would be kept without its sine."""
    alone = gas.walls == "periodic" and modes % 2 == 0 and modes < gas.n_y
    return modes + 1 if alone else modes


def mode_counts(
    gas: GasGeometry, strip: StripModes, modes: int | None, *, tail: float = TAIL
) -> NDArray[np.int64]:
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
            f"{gas.n_y}; give a number between, well above the open ones, or leave it out"
        )
    least = whole_pairs(gas, modes)
    counts = excited(gas, strip, tail, least)
    if gas.walls == "periodic":
        return counts
    # Slices are inverted in whole blocks anyway.
    whole = -(-counts // STEP) * STEP
    return np.where(whole <= STEP * -(-least // STEP), least, np.minimum(whole, gas.n_y))


def excited(gas: GasGeometry, strip: StripModes, decayed: float, least: int) -> NDArray[np.int64]:
    """Modes that narrow leads excite and that have not `decayed`, (n_x,), `least` or more."""
    rate = -np.log(np.abs(strip.phase))
    still = np.maximum((np.arange(gas.n_x)[:, None] * rate < -np.log(decayed)).sum(axis=1), least)
    counts = np.full(gas.n_x, least)
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


def chains(gas: GasGeometry, strip: StripModes, counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Pivots' inverses of the clean chains of dropped modes, (n_x, n_y); 0 where kept."""
    dropped = np.arange(gas.n_y) >= counts[:, None]
    end = np.where(strip.open, 0.0, strip.phase.real)
    found = np.zeros(dropped.shape)
    before = np.zeros(gas.n_y)
    for i in range(gas.n_x):
        pivot = -strip.two_cos_k - before
        if i == 0:
            pivot = pivot + end
        if i == gas.n_x - 1:
            pivot = pivot + end
        # Kept modes may be open, and a pivot then passes zero.
        found[i] = np.where(dropped[i], 1 / np.where(dropped[i], pivot, 1.0), 0.0)
        before = found[i]
    return found


@lru_cache(maxsize=16)
def make_plan(gas: GasGeometry, modes: int | None) -> Plan:
    """What the recursion needs to know of a gas, with `modes` kept away from narrow leads.

    Raises
    ------
    ParameterError
        Of a cylinder too, whose modes are no sines.
    """
    gas.require_hard_walls()
    strip = strip_modes(gas.n_y, gas.fermi_mev / gas.hopping_mev)
    counts = mode_counts(gas, strip, modes)
    basis = transverse_modes(gas.n_y)
    leads = []
    for lead in (gas.source, gas.drain):
        found = gas.modes(lead)
        overlap = basis[lead.rows].T @ transverse_modes(lead.n_rows)
        energy = (overlap * found.phase) @ overlap.T
        leads.append((found, overlap, np.ascontiguousarray(energy.real), energy.imag.copy()))
    (source, chi_in, *minus_in), (drain, chi_out, *minus_out) = leads
    return Plan(
        strip.two_cos_k,
        counts,
        np.concatenate([[0], np.cumsum(counts**2)[:-1]]),
        excited(gas, strip, DEAD, 0),
        tails(strip, counts),
        chains(gas, strip, counts),
        minus_in[0],
        minus_in[1],
        minus_out[0],
        minus_out[1],
        np.ascontiguousarray(chi_in[:, source.open]),
        np.ascontiguousarray(chi_out[:, drain.open]),
        source.velocity,
        drain.velocity,
        *make_tables(gas.n_y),
    )
