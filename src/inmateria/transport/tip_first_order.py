"""What a weak tip does to the transmission at every position, from one solve.

To first order in the tip's potential W (states of unit flux, no magnetic field)

    delta r_ab = -i sum_r psi_a(r) W(r) psi_b(r),    delta T = -2 Re sum_ab conj(r_ab) delta r_ab,

which is the sensitivity dT/dV of `gradient`, summed over the tip. It leaves out
sum_ab |delta r_ab|^2 and terms of the same order: their size is the error given here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inmateria.transport.geometry import GasGeometry
from inmateria.transport.gradient import sensitivity
from inmateria.transport.real_engine import Sample, States
from inmateria.transport.samples import Progress, each_sample
from inmateria.transport.tip_lattice import Sites, TipLattice

Real = NDArray[np.float64]

# Positions at which a map is examined more closely.
EXAMINED = 8


@dataclass(frozen=True)
class FirstOrder:
    """Samples and what a weak tip does to them.

    Attributes
    ----------
    unperturbed : (n_samples,) array
        Transmission without a tip.
    change : (n_samples, n_tip_x, n_tip_y) array
        Of the transmission.
    error : (n_samples,) array
        Largest sum_ab |delta r_ab|^2 among the positions examined.
    largest_pldos : (n_samples,) array, in 1/t
    """

    unperturbed: Real
    change: Real
    error: Real
    largest_pldos: Real


def first_order(
    gas: GasGeometry,
    potential_t: Real,
    tip: TipLattice,
    sites: Sites,
    *,
    accuracy: float,
    progress: Progress | None = None,
) -> FirstOrder:
    """First-order maps of samples.

    Parameters
    ----------
    gas : GasGeometry
    potential_t : (n_samples, n_x, n_y) array, in t
    tip : TipLattice
    sites : ((n_tip_x,), (n_tip_y,)) integer arrays
    accuracy : float
        Of the states, as in `scatter`.
    progress : callable, optional
        Told how many samples are done, and how many there are.

    Raises
    ------
    ParameterError
    """
    n, (columns, rows) = len(potential_t), sites
    unperturbed, error, largest = np.empty(n), np.empty(n), np.empty(n)
    change = np.empty((n, columns.size, rows.size))

    def take(s: int, _: Sample, states: States) -> None:
        unperturbed[s] = (np.abs(states.t) ** 2).sum()
        largest[s] = states.pldos.max()
        change[s] = tip.sums(sensitivity(states))[np.ix_(columns, rows)]
        error[s] = max(
            squared_reflection(states, tip, int(columns[i]), int(rows[j]))
            for i, j in examined(change[s])
        )

    each_sample(gas, potential_t, take, accuracy=accuracy, progress=progress)
    return FirstOrder(unperturbed, change, error, largest)


def examined(change: Real) -> list[tuple[int, int]]:
    """Positions of a map (n_tip_x, n_tip_y) to look at: by rank, denser where most happens."""
    ranked = np.argsort(-np.abs(change), axis=None, kind="stable")
    ranks = np.unique((ranked.size * (np.arange(EXAMINED) / EXAMINED) ** 2).astype(int))
    return [(int(k) // change.shape[1], int(k) % change.shape[1]) for k in ranked[ranks]]


def squared_reflection(states: States, tip: TipLattice, i: int, j: int) -> float:
    """sum_ab |delta r_ab|^2 of a tip at site (i, j)."""
    n = len(states.r)
    around = [
        slice(max(0, at - reach), at + reach + 1)
        for at, reach in zip((i, j), tip.reach, strict=True)
    ]
    psi = states.psi[around[0], :, around[1]].swapaxes(0, 1)
    psi = (psi[:n] + 1j * psi[n:]).reshape(n, -1)
    delta = (psi * tip.above(i, j)[around[0], around[1]].ravel()) @ psi.T
    return float((np.abs(delta) ** 2).sum())
