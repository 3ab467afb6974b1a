"""The master equation over all 2^N occupations: the judge of the other engines.

The steady state p of the Markov chain on occupations s solves

    sum_s p(s) q(s -> s') = 0,    sum_s p(s) = 1

and the current into electrode e is sum_s p(s) (rate of hops into e - rate out
of it). Elimination in the order of Grassmann, Taksar and Heyman adds and
divides positive numbers only, so every probability is right to rounding, the
small ones too.

Sources: W. K. Grassmann, M. I. Taksar and D. P. Heyman, Oper. Res. 33, 1107
(1985). The gradient is the first-order perturbation of a Markov chain,
dp = p dQ Q#, with Q# the group inverse (C. D. Meyer, SIAM Rev. 17, 443 (1975)).
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from inmateria.compiled import compiled, compiled_parallel
from inmateria.devices.dopant.flow import BondCurrents
from inmateria.devices.dopant.model import HoppingModel
from inmateria.devices.dopant.rates import both_ways, rate_number
from inmateria.errors import ConvergenceError, ParameterError

FloatArray = NDArray[np.float64]

MOST_SITES = 9


class Exact:
    """Steady state of a `HoppingModel` with at most 9 sites, without approximation.

    Parameters
    ----------
    model : HoppingModel
    rates : str
        ``"glauber"`` or ``"miller-abrahams"``.

    Raises
    ------
    ParameterError
        If the network has more than 9 sites.
    """

    name = "exact"

    def __init__(self, model: HoppingModel, *, rates: str = "glauber") -> None:
        if model.n_sites > MOST_SITES:
            raise ParameterError(
                f"engine 'exact' needs 2^N states and takes at most {MOST_SITES} acceptors; "
                f"this network has {model.n_sites}; use engine='meanfield'"
            )
        self.model = model
        self.rule = rate_number(rates)
        self._constants = model.kernel_arrays()[:5]

    def begin(self) -> None:
        """Nothing: every point is solved by itself."""

    def current(self, voltage: FloatArray, *, start: None = None) -> FloatArray:  # noqa: ARG002
        """Net holes into every electrode per 1 / nu0, (n_points, n_electrodes) V to the same."""
        _, current = _steady_states(voltage, self.model.kt_ev, *self._constants, self.rule)
        return np.asarray(current)

    def occupation(self, voltage: FloatArray) -> FloatArray:
        """Mean occupation of every site, (n_points, n_electrodes) V to (n_points, n_sites)."""
        probability, _ = _steady_states(voltage, self.model.kt_ev, *self._constants, self.rule)
        states = np.arange(probability.shape[1])
        filled = (states[:, None] >> np.arange(self.model.n_sites)) & 1
        return np.asarray(probability @ filled.astype(np.float64))

    def bond_currents(self, voltage: FloatArray) -> BondCurrents:
        """Net flow along every bond, (n_points, n_electrodes) V to holes per 1 / nu0."""
        probability, _ = _steady_states(voltage, self.model.kt_ev, *self._constants, self.rule)
        return BondCurrents(
            *_bond_currents(voltage, probability, self.model.kt_ev, *self._constants, self.rule)
        )

    def gradient(self, voltage: FloatArray, outputs: tuple[int, ...]) -> FloatArray:
        """Gradient of the currents into some electrodes to all voltages, by one adjoint solve.

        Returns
        -------
        (n_points, n_outputs, n_electrodes) array, holes per 1 / nu0 and V
        """
        probability, _ = _steady_states(voltage, self.model.kt_ev, *self._constants, self.rule)
        wanted = np.asarray(outputs, dtype=np.int64)
        gradient = np.empty((len(voltage), len(wanted), self.model.n_electrodes))
        for point, p in enumerate(probability):
            arguments = (voltage[point], self.model.kt_ev, *self._constants, self.rule)
            generator = _generator(*arguments)
            reward = _rewards(*arguments, wanted)
            mean = p @ reward
            # Poisson's equation Q h = mean - reward; the rank-one shift picks one of its solutions.
            bordered = generator + np.ones((len(p), 1)) * p
            try:
                bias = np.linalg.solve(bordered, mean - reward)
            except np.linalg.LinAlgError as error:
                raise ConvergenceError(
                    f"the master equation has no unique steady state at point {point}: {error}; "
                    "check that every site can reach an electrode"
                ) from error
            _perturb(p, np.ascontiguousarray(bias), *arguments, wanted, gradient[point])
        return gradient


@compiled
def _energies(state, voltage, basis, eps, K, E):  # type: ignore[no-untyped-def]
    sites, electrodes = basis.shape
    for i in range(sites):
        s = eps[i]
        for e in range(electrodes):
            s += basis[i, e] * voltage[e]
        for j in range(sites):
            if (state >> j) & 1:
                s += K[i, j]
        E[i] = s


@compiled
def _generator(voltage, kt, basis, eps, K, w, we, rule):  # type: ignore[no-untyped-def]
    sites, electrodes = basis.shape
    states = 1 << sites
    Q = np.zeros((states, states))
    E = np.empty(sites)
    for s in range(states):
        _energies(s, voltage, basis, eps, K, E)
        for i in range(sites):
            full = (s >> i) & 1
            for e in range(electrodes):
                if we[i, e] > 0.0:
                    up, down, _, _ = both_ways(voltage[e] / kt - E[i], rule)
                    Q[s, s ^ (1 << i)] += we[i, e] * (up if full else down)
            if full:
                for j in range(sites):
                    if w[i, j] > 0.0 and not (s >> j) & 1:
                        up, _, _, _ = both_ways(E[j] - E[i] - K[i, j], rule)
                        Q[s, s ^ (1 << i) ^ (1 << j)] += w[i, j] * up
        Q[s, s] = 0.0
        Q[s, s] = -Q[s].sum()
    return Q


@compiled
def _stationary(Q):  # type: ignore[no-untyped-def]
    """Left null vector of a generator, in place, without a subtraction."""
    states = Q.shape[0]
    for k in range(states - 1, 0, -1):
        out = 0.0
        for j in range(k):
            out += Q[k, j]
        for i in range(k):
            Q[i, k] /= out
            f = Q[i, k]
            if f != 0.0:
                for j in range(k):
                    Q[i, j] += f * Q[k, j]
    p = np.zeros(states)
    p[0] = 1.0
    for k in range(1, states):
        for i in range(k):
            p[k] += p[i] * Q[i, k]
    return p / p.sum()


@compiled
def _rewards(voltage, kt, basis, eps, K, _w, we, rule, outputs):  # type: ignore[no-untyped-def]
    """Net rate of holes into each chosen electrode, state by state."""
    sites = basis.shape[0]
    states = 1 << sites
    reward = np.zeros((states, outputs.shape[0]))
    E = np.empty(sites)
    for s in range(states):
        _energies(s, voltage, basis, eps, K, E)
        for c in range(outputs.shape[0]):
            e = outputs[c]
            for i in range(sites):
                if we[i, e] > 0.0:
                    up, down, _, _ = both_ways(voltage[e] / kt - E[i], rule)
                    reward[s, c] += we[i, e] * (up if (s >> i) & 1 else -down)
    return reward


@compiled_parallel
def _steady_states(voltage, kt, basis, eps, K, w, we, rule):  # type: ignore[no-untyped-def]
    points, electrodes = voltage.shape
    states = 1 << basis.shape[0]
    probability = np.empty((points, states))
    current = np.empty((points, electrodes))
    every = np.arange(electrodes)
    for p in numba.prange(points):
        probability[p] = _stationary(_generator(voltage[p], kt, basis, eps, K, w, we, rule))
        reward = _rewards(voltage[p], kt, basis, eps, K, w, we, rule, every)
        for e in range(electrodes):
            total = 0.0
            for s in range(states):
                total += probability[p, s] * reward[s, e]
            current[p, e] = total
    return probability, current


@compiled_parallel
def _bond_currents(voltage, probability, kt, basis, eps, K, w, we, rule):  # type: ignore[no-untyped-def]
    points, electrodes = voltage.shape
    sites = basis.shape[0]
    between = np.zeros((points, sites, sites))
    into = np.zeros((points, sites, electrodes))
    for q in numba.prange(points):
        E = np.empty(sites)
        for s in range(probability.shape[1]):
            p = probability[q, s]
            _energies(s, voltage[q], basis, eps, K, E)
            for i in range(sites):
                full = (s >> i) & 1
                for e in range(electrodes):
                    if we[i, e] > 0.0:
                        up, down, _, _ = both_ways(voltage[q, e] / kt - E[i], rule)
                        into[q, i, e] += p * we[i, e] * (up if full else -down)
                if full:
                    for j in range(sites):
                        if w[i, j] > 0.0 and not (s >> j) & 1:
                            up, _, _, _ = both_ways(E[j] - E[i] - K[i, j], rule)
                            between[q, i, j] += p * w[i, j] * up
                            between[q, j, i] -= p * w[i, j] * up
    return between, into


@compiled
def _perturb(p, bias, voltage, kt, basis, eps, K, w, we, rule, outputs, gradient):  # type: ignore[no-untyped-def]
    """p (dQ/dV) h + p dr/dV for every electrode, into `gradient`."""
    sites, electrodes = basis.shape
    E = np.empty(sites)
    gradient[:] = 0.0
    for s in range(p.shape[0]):
        _energies(s, voltage, basis, eps, K, E)
        for i in range(sites):
            full = (s >> i) & 1
            for e in range(electrodes):
                if we[i, e] > 0.0:
                    _, _, d_up, d_down = both_ways(voltage[e] / kt - E[i], rule)
                    slope = p[s] * we[i, e] * (d_up if full else -d_down)
                    after = s ^ (1 << i)
                    for c in range(outputs.shape[0]):
                        gain = slope * (bias[after, c] - bias[s, c])
                        if outputs[c] == e:
                            gain += slope if full else -slope
                        gradient[c, e] += gain / kt
                        for k in range(electrodes):
                            gradient[c, k] -= gain * basis[i, k]
            if full:
                for j in range(sites):
                    if w[i, j] > 0.0 and not (s >> j) & 1:
                        _, _, d_up, _ = both_ways(E[j] - E[i] - K[i, j], rule)
                        slope = p[s] * w[i, j] * d_up
                        after = s ^ (1 << i) ^ (1 << j)
                        for c in range(outputs.shape[0]):
                            gain = slope * (bias[after, c] - bias[s, c])
                            for k in range(electrodes):
                                gradient[c, k] += gain * (basis[j, k] - basis[i, k])
