"""Mean field with the pair term: the default engine.

Each site has a mean occupation; a hop's cost is averaged over the other sites
but exact in the two that take part. See `meanfield_kernel` for the equations.
Independent of N in quality, 3 % off Monte Carlo in a good device and up to
20 % in a bad one (sites that exchange a hole faster than either does anything
else want a joint probability).

A batch is cut into blocks that run on all cores. Inside a block each point
starts from its neighbour where their voltages are close, and from half filling
otherwise; both end at the same solution, to the solver's tolerance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from inmateria.compiled import compiled, compiled_parallel
from inmateria.devices.dopant.flow import BondCurrents
from inmateria.devices.dopant.lu import factorise
from inmateria.devices.dopant.meanfield_kernel import (
    adjoint_gradient,
    anneal,
    flows,
    inflow,
    jacobian,
    relax,
)
from inmateria.devices.dopant.model import HoppingModel
from inmateria.devices.dopant.newton import MEMORY, TOLERANCE
from inmateria.devices.dopant.rates import both_ways, rate_number
from inmateria.errors import ConvergenceError

FloatArray = NDArray[np.float64]

# Points in a block; blocks are what the cores share out.
BLOCK = 64
# Two operating points this close (V, largest difference of any electrode) share a start.
NEIGHBOUR_V = 0.1


@dataclass
class Occupations:
    """Mean occupations to start the next solve from, and the voltages they belong to."""

    voltage: FloatArray
    value: FloatArray


class MeanField:
    """Steady state of a `HoppingModel` by mean field with the pair term.

    Parameters
    ----------
    model : HoppingModel
    rates : str
        ``"glauber"`` or ``"miller-abrahams"``.
    """

    name = "meanfield"

    def __init__(self, model: HoppingModel, *, rates: str = "glauber") -> None:
        self.model = model
        self.rule = rate_number(rates)
        self._constants = model.kernel_arrays()

    def begin(self) -> Occupations:
        """Half filling, at voltages that no point is near to."""
        return Occupations(
            np.full(self.model.n_electrodes, np.inf), np.full(self.model.n_sites, 0.5)
        )

    def current(self, voltage: FloatArray, *, start: Occupations | None = None) -> FloatArray:
        """Net holes into every electrode per 1 / nu0.

        Parameters
        ----------
        voltage : (n_points, n_electrodes) array, V
        start : Occupations, optional
            Where to start; holds the last point's occupations afterwards.

        Returns
        -------
        (n_points, n_electrodes) array

        Raises
        ------
        ConvergenceError
            If a point did not converge: the message names it and its residual.
        """
        occupation = self._solve(voltage, start)
        return np.asarray(
            _currents(voltage, occupation, self.model.kt_ev, *self._constants, self.rule)
        )

    def occupation(self, voltage: FloatArray) -> FloatArray:
        """Mean occupation of every site, (n_points, n_electrodes) V to (n_points, n_sites)."""
        return self._solve(voltage, None)

    def bond_currents(self, voltage: FloatArray) -> BondCurrents:
        """Net flow along every bond, (n_points, n_electrodes) V to holes per 1 / nu0."""
        occupation = self._solve(voltage, None)
        return BondCurrents(
            *_bond_currents(voltage, occupation, self.model.kt_ev, *self._constants, self.rule)
        )

    def gradient(self, voltage: FloatArray, outputs: tuple[int, ...]) -> FloatArray:
        """Gradient of the currents into some electrodes to all voltages, by one adjoint solve.

        Returns
        -------
        (n_points, n_outputs, n_electrodes) array, holes per 1 / nu0 and V
        """
        occupation = self._solve(voltage, None)
        wanted = np.asarray(outputs, dtype=np.int64)
        gradient, regular = _gradients(
            voltage, occupation, self.model.kt_ev, *self._constants, self.rule, wanted
        )
        if not regular:
            raise ConvergenceError(
                "the Jacobian is singular at one of the operating points, so the gradient is "
                "undefined there; move the voltages by a millivolt"
            )
        return np.asarray(gradient)

    def _solve(self, voltage: FloatArray, start: Occupations | None) -> FloatArray:
        begin = np.full((1, self.model.n_sites), 0.5)
        origin = np.full((1, self.model.n_electrodes), np.inf)
        if start is not None:
            begin[0], origin[0] = start.value, start.voltage
        occupation, residual = _occupations(
            voltage, begin[0], origin[0], self.model.kt_ev, *self._constants, self.rule
        )
        if len(residual) and not residual.max() < TOLERANCE:
            worst = int(residual.argmax())
            shown = ", ".join(f"{v:.4g}" for v in voltage[worst])
            raise ConvergenceError(
                f"the mean field did not converge at electrode voltages ({shown}) V: residual "
                f"{residual[worst]:.1e}, wanted {TOLERANCE:.0e}; try other voltages or "
                "the engine 'exact' for at most 9 acceptors"
            )
        if start is not None and len(voltage):
            start.value, start.voltage = occupation[-1].copy(), voltage[-1].copy()
        return np.asarray(occupation)


@compiled
def _workspace(sites, electrodes):  # type: ignore[no-untyped-def]
    return (
        np.empty(sites),
        np.empty(sites),
        np.empty(sites),
        np.empty(sites),
        np.empty(sites),
        np.zeros((sites, sites)),
        np.zeros((sites, electrodes + 1)),
        np.zeros((sites, sites)),
        np.empty((MEMORY, sites)),
        np.empty(MEMORY),
    )


@compiled
def solve_in_order(voltage, begin, origin, kt, basis, eps, K, w, we, S, rule, occupation, residual):  # type: ignore[no-untyped-def]
    """Occupations of points in a row, each from the one before where that is near.

    Fills `occupation` (points, sites) and `residual` (points,).
    """
    points, electrodes = voltage.shape
    sites = eps.shape[0]
    W = _workspace(sites, electrodes)
    A = np.empty((sites, sites))
    pivot = np.empty(sites, dtype=np.int64)
    n = np.empty(sites)
    volt = np.empty(electrodes)
    v = np.empty(sites)
    before = origin.copy()
    n[:] = begin
    usable = False
    for p in range(points):
        apart = 0.0
        for e in range(electrodes):
            apart = max(apart, abs(voltage[p, e] - before[e]))
            volt[e] = voltage[p, e] / kt
            before[e] = voltage[p, e]
        for i in range(sites):
            s = 0.0
            for e in range(electrodes):
                s += basis[i, e] * voltage[p, e]
            v[i] = s
        # First from the neighbour where there is one, then from half filling.
        done = -1
        worst = 1.0
        holds = False
        for attempt in range(0 if apart < NEIGHBOUR_V else 1, 2):
            near = attempt == 0
            if not near:
                n[:] = 0.5
            done, worst, holds = relax(
                v, volt, n, eps, K, w, we, rule, S, A, pivot, near, near and usable, W
            )
            if done > 0:
                break
        if done < 0:
            done, worst, holds = anneal(v, volt, n, eps, K, w, we, rule, S, A, pivot, W)
        usable = done > 0 and holds
        residual[p] = worst
        occupation[p] = n


@compiled
def current_at(voltage, n, kt, basis, eps, K, w, we, rule, current):  # type: ignore[no-untyped-def]
    """Net holes into every electrode at one point; fills `current` (electrodes,)."""
    volt = voltage / kt
    R, G, E, _, _, _, _, _, _, _ = _workspace(eps.shape[0], voltage.shape[0])
    v = basis @ voltage
    flows(v, volt, n, eps, K, w, we, rule, R, G, E)
    inflow(volt, n, we, rule, E, current)


@compiled
def gradient_at(voltage, n, kt, basis, eps, K, w, we, rule, outputs, gradient):  # type: ignore[no-untyped-def]
    """Gradient of some electrodes' currents at one point; fills `gradient` (outputs, electrodes).

    False where the Jacobian is singular.
    """
    sites, electrodes = eps.shape[0], voltage.shape[0]
    volt = voltage / kt
    R, G, E, _, adjoint, D, T, M, _, _ = _workspace(sites, electrodes)
    pivot = np.empty(sites, dtype=np.int64)
    v = basis @ voltage
    flows(v, volt, n, eps, K, w, we, rule, R, G, E)
    jacobian(volt, n, K, w, we, rule, E, D, T, M)
    if not factorise(M, pivot):
        return False
    for o in range(outputs.shape[0]):
        adjoint_gradient(
            outputs[o], volt, K, basis, we, rule, E, D, T, M, pivot, adjoint, gradient[o], kt
        )
    return True


@compiled_parallel
def _occupations(voltage, begin, origin, kt, basis, eps, K, w, we, S, rule):  # type: ignore[no-untyped-def]
    points = voltage.shape[0]
    occupation = np.empty((points, eps.shape[0]))
    residual = np.empty(points)
    blocks = (points + BLOCK - 1) // BLOCK
    for block in numba.prange(blocks):
        a, b = block * BLOCK, min((block + 1) * BLOCK, points)
        solve_in_order(
            voltage[a:b], begin, origin, kt, basis, eps, K, w, we, S, rule,
            occupation[a:b], residual[a:b],
        )  # fmt: skip
    return occupation, residual


@compiled_parallel
def _currents(voltage, occupation, kt, basis, eps, K, w, we, _S, rule):  # type: ignore[no-untyped-def]
    points, electrodes = voltage.shape
    current = np.zeros((points, electrodes))
    for p in numba.prange(points):
        current_at(voltage[p], occupation[p], kt, basis, eps, K, w, we, rule, current[p])
    return current


@compiled_parallel
def _bond_currents(voltage, occupation, kt, basis, eps, K, w, we, _S, rule):  # type: ignore[no-untyped-def]
    points, electrodes = voltage.shape
    sites = eps.shape[0]
    between = np.zeros((points, sites, sites))
    into = np.zeros((points, sites, electrodes))
    for p in numba.prange(points):
        n = occupation[p]
        E = basis @ voltage[p] + eps + K @ n
        for i in range(sites):
            for e in range(electrodes):
                if we[i, e] > 0.0:
                    up, down, _, _ = both_ways(voltage[p, e] / kt - E[i], rule)
                    into[p, i, e] = we[i, e] * (n[i] * up - (1.0 - n[i]) * down)
            for j in range(i):
                if w[i, j] > 0.0:
                    up, down, _, _ = both_ways(E[j] - E[i] + (n[j] - n[i]) * K[i, j], rule)
                    J = w[i, j] * (n[i] * (1.0 - n[j]) * up - n[j] * (1.0 - n[i]) * down)
                    between[p, i, j] = J
                    between[p, j, i] = -J
    return between, into


@compiled_parallel
def _gradients(voltage, occupation, kt, basis, eps, K, w, we, _S, rule, outputs):  # type: ignore[no-untyped-def]
    points, electrodes = voltage.shape
    gradient = np.zeros((points, outputs.shape[0], electrodes))
    regular = np.ones(points, dtype=np.bool_)
    for p in numba.prange(points):
        regular[p] = gradient_at(
            voltage[p], occupation[p], kt, basis, eps, K, w, we, rule, outputs, gradient[p]
        )
    return gradient, regular.all()
