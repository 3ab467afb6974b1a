"""Control variates for Monte Carlo currents from the mean field's adjoint.

In the steady state the net rate into every site has zero mean, so for any fixed
numbers a the rate

    I_e + sum_i a_ei (net rate into site i)

has the mean of I_e. It has the least variance where a undoes what a change of
occupations does to I_e; in mean field, with M = dR/dn and R the net inflow,

    M^T a_e = - dI_e / dn

The mean field only chooses a: a bad choice costs variance, not truth.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from inmateria.compiled import compiled_parallel
from inmateria.devices.dopant.lu import factorise, solve_transposed
from inmateria.devices.dopant.meanfield import MeanField
from inmateria.devices.dopant.meanfield_kernel import flows, jacobian
from inmateria.devices.dopant.model import HoppingModel
from inmateria.devices.dopant.rates import both_ways
from inmateria.errors import ConvergenceError

FloatArray = NDArray[np.float64]


def mean_occupations(model: HoppingModel, rates: str, voltage: FloatArray) -> FloatArray:
    """(n_points, n_sites) mean-field occupations; one half where the mean field gives up."""
    engine = MeanField(model, rates=rates)
    try:
        return engine.occupation(voltage)
    except ConvergenceError:
        found = np.full((len(voltage), model.n_sites), 0.5)
        for p in range(len(voltage)):
            try:
                found[p] = engine.occupation(voltage[p : p + 1])[0]
            except ConvergenceError:
                continue
        return found


def control_weights(
    model: HoppingModel, rule: int, voltage: FloatArray, occupation: FloatArray
) -> FloatArray:
    """a of every electrode's current, (n_points, n_electrodes, n_sites); zero where singular."""
    weights = np.asarray(
        _adjoints(voltage, occupation, model.kt_ev, *model.kernel_arrays()[:5], rule)
    )
    weights[~np.isfinite(weights).all(axis=(1, 2))] = 0.0
    return weights


@compiled_parallel
def _adjoints(voltage, occupation, kt, basis, eps, K, w, we, rule):  # type: ignore[no-untyped-def]
    points, electrodes = voltage.shape
    sites = eps.shape[0]
    weights = np.zeros((points, electrodes, sites))
    for p in numba.prange(points):
        volt = voltage[p] / kt
        n = occupation[p]
        v = basis @ voltage[p]
        R = np.empty(sites)
        G = np.empty(sites)
        E = np.empty(sites)
        D = np.zeros((sites, sites))
        T = np.zeros((sites, electrodes + 1))
        M = np.zeros((sites, sites))
        pivot = np.empty(sites, dtype=np.int64)
        flows(v, volt, n, eps, K, w, we, rule, R, G, E)
        jacobian(volt, n, K, w, we, rule, E, D, T, M)
        if not factorise(M, pivot):
            continue
        for e in range(electrodes):
            a = weights[p, e]
            for i in range(sites):
                if we[i, e] > 0.0:
                    up, down, _, _ = both_ways(volt[e] - E[i], rule)
                    a[i] -= we[i, e] * (up + down)
                    for k in range(sites):
                        a[k] -= T[i, e] * K[i, k]
            solve_transposed(M, pivot, a)
    return weights
