"""The mean field of clusters at many operating points, on all cores.

A batch is cut into blocks. Inside a block each point starts from its neighbour
where their voltages are close, and from equal probabilities otherwise; both end
at the same solution, to the solver's tolerance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from inmateria.compiled import compiled, compiled_parallel
from inmateria.devices.dopant.cluster_kernel import anneal, relax
from inmateria.devices.dopant.clusters import Hops, list_hops
from inmateria.devices.dopant.model import HoppingModel
from inmateria.devices.dopant.newton import MEMORY, TOLERANCE
from inmateria.devices.dopant.rates import rate_number
from inmateria.errors import ConvergenceError

FloatArray = NDArray[np.float64]

# Points in a block; blocks are what the cores share out.
BLOCK = 64
# Two operating points this close (V, largest difference of any electrode) share a start.
NEIGHBOUR_V = 0.1


@dataclass
class Start:
    """State probabilities to start the next solve from, and the voltages they belong to."""

    voltage: FloatArray
    value: FloatArray


class ClusterField:
    """Steady-state probabilities of the cluster states of a `HoppingModel`.

    Parameters
    ----------
    model : HoppingModel
    pairs : disjoint pairs of sites that are one cluster each
    rates : str
        ``"glauber"`` or ``"miller-abrahams"``.
    """

    def __init__(
        self, model: HoppingModel, *, pairs: tuple[tuple[int, int], ...], rates: str
    ) -> None:
        self.model = model
        self.pairs = pairs
        self.rule = rate_number(rates)
        self.hops: Hops = list_hops(model, pairs)
        h = self.hops
        self.table = (
            h.ends,
            h.rates,
            h.own,
            h.pull,
            h.states,
            h.reference,
            h.n_bonds,
            h.n_contacts,
        )
        self.basis, self.energy, coulomb = model.kernel_arrays()[:3]
        # a last row and column for electrodes, which have no charge
        self.coulomb = np.pad(coulomb, (0, 1))
        weight = np.zeros(h.n_states)
        for column in range(2, 6):
            np.add.at(weight, h.ends[:, column], h.rates[:, 0])
        self._weight = weight[: h.n_unknowns].copy()
        members = np.bincount(h.reference, minlength=h.n_states)
        self.even: FloatArray = 1.0 / (1.0 + members[h.reference].astype(np.float64))

    def begin(self) -> Start:
        """Equal probabilities, at voltages that no point is near to."""
        return Start(np.full(self.model.n_electrodes, np.inf), self.even.copy())

    def solve(self, voltage: FloatArray, start: Start | None = None) -> FloatArray:
        """Probabilities that solve the mean field.

        Parameters
        ----------
        voltage : (n_points, n_electrodes) array, V
        start : Start, optional
            Where to start; holds the last point's solution afterwards.

        Returns
        -------
        (n_points, n_unknowns) array

        Raises
        ------
        ConvergenceError
            If a point did not converge: the message names it and its residual.
        """
        first = start or self.begin()
        found, residual = _solve_points(voltage, first.value, first.voltage, *self.arguments())
        self.check(voltage, residual)
        self.keep(start, voltage, found)
        return np.asarray(found)

    def arguments(self) -> tuple[object, ...]:
        """What compiled loops over points take after the voltages and the start."""
        return (
            self.even,
            self.model.kt_ev,
            self.basis,
            self.energy,
            self.coulomb,
            self.table,
            self._weight,
            self.rule,
        )

    @staticmethod
    def check(voltage: FloatArray, residual: FloatArray) -> None:
        """Refuse points that did not converge.

        Raises
        ------
        ConvergenceError
        """
        if len(residual) and not residual.max() < TOLERANCE:
            worst = int(residual.argmax())
            raise ConvergenceError(
                f"the mean field did not converge at electrode voltages {shown(voltage[worst])} "
                f"V: residual {residual[worst]:.1e}, wanted {TOLERANCE:.0e}; try other voltages "
                "or engine='kmc'"
            )

    @staticmethod
    def keep(start: Start | None, voltage: FloatArray, found: FloatArray) -> None:
        """Let the next call start where this one ended."""
        if start is not None and len(voltage):
            start.value, start.voltage = found[-1].copy(), voltage[-1].copy()

    def occupation(self, probability: FloatArray) -> FloatArray:
        """(..., n_unknowns) probabilities, or changes of them, to (..., n_sites) occupations."""
        first, second = self.hops.states[:, 0], self.hops.states[:, 1]
        return np.asarray(
            probability[..., first] + np.where(first == second, 0.0, 1.0) * probability[..., second]
        )


def shown(voltage: FloatArray) -> str:
    """Voltages of one point, for a message."""
    return "(" + ", ".join(f"{v:.4g}" for v in voltage) + ")"


@compiled
def workspace(unknowns, total, sites, electrodes):  # type: ignore[no-untyped-def]
    """Space of `relax`: R, G, P, n, level, total, step, trial, Q, B, L, M, past, length."""
    return (
        np.empty(total),
        np.empty(total),
        np.empty(total),
        np.empty(sites + 1),
        np.empty(sites + electrodes),
        np.empty(total),
        np.empty(unknowns),
        np.empty(unknowns),
        np.empty((unknowns, sites + electrodes)),
        np.empty((unknowns, total)),
        np.empty((unknowns, sites + 1)),
        np.empty((unknowns, unknowns)),
        np.empty((MEMORY, unknowns)),
        np.empty(MEMORY),
    )


@compiled
def solve_point(v, volt, z, even, near, usable, eps, K, hops, rule, S, A, pivot, W):  # type: ignore[no-untyped-def]
    """`relax` from a neighbour's solution in z where there is one, else from even probabilities.

    `usable` says that A holds a factorisation at that neighbour. Points that
    defeat it are annealed. Returns as `relax` does.
    """
    done, worst, holds = -1, 1.0, False
    if near:
        done, worst, holds = relax(v, volt, z, eps, K, hops, rule, S, A, pivot, True, usable, W)
    if done < 0:
        z[:] = even
        done, worst, holds = relax(v, volt, z, eps, K, hops, rule, S, A, pivot, False, False, W)
    if done < 0:
        done, worst, holds = anneal(v, volt, z, even, eps, K, hops, rule, S, A, pivot, W)
    return done, worst, holds


@compiled
def place(voltage, kt, basis, v, volt, before):  # type: ignore[no-untyped-def]
    """Potentials of a point into v and volt, kT; its distance (V) from `before`, now that point."""
    apart = 0.0
    for e in range(volt.shape[0]):
        apart = max(apart, abs(voltage[e] - before[e]))
        volt[e] = voltage[e] / kt
        before[e] = voltage[e]
    for i in range(v.shape[0]):
        s = 0.0
        for e in range(volt.shape[0]):
            s += basis[i, e] * voltage[e]
        v[i] = s
    return apart


@compiled_parallel
def _solve_points(voltage, begin, origin, even, kt, basis, eps, K, hops, S, rule):  # type: ignore[no-untyped-def]
    points, electrodes = voltage.shape
    sites = eps.shape[0]
    unknowns = even.shape[0]
    total = hops[5].max() + 2
    found = np.empty((points, unknowns))
    residual = np.empty(points)
    blocks = (points + BLOCK - 1) // BLOCK
    for block in numba.prange(blocks):
        W = workspace(unknowns, total, sites, electrodes)
        A = np.empty((unknowns, unknowns))
        pivot = np.empty(unknowns, dtype=np.int64)
        z = begin.copy()
        volt = np.empty(electrodes)
        v = np.empty(sites)
        before = origin.copy()
        usable = False
        for p in range(block * BLOCK, min((block + 1) * BLOCK, points)):
            near = place(voltage[p], kt, basis, v, volt, before) < NEIGHBOUR_V
            done, worst, holds = solve_point(
                v, volt, z, even, near, usable, eps, K, hops, rule, S, A, pivot, W
            )
            usable = done > 0 and holds
            residual[p] = worst
            found[p] = z
    return found, residual
