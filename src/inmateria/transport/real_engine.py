"""Scattering states of many samples on all cores: recursion, recovery, corrections.

The error of a PLDOS is estimated from how much the last step changed it. A step that
changed it by d, when the step before changed it by d', leaves about d rho / (1 - rho)
with rho = d / d'; of the first step, `recover`, rho is taken to be 0.4 (0.05 to 0.37 was
seen in samples whose modes `mode_counts` chose).
"""

from __future__ import annotations

import numpy as np
from numba import prange

from inmateria.compiled import compiled, compiled_parallel
from inmateria.transport.dropped_modes import density, precondition, recover, residual
from inmateria.transport.sweep import (
    at_lead,
    close,
    combine,
    eliminate,
    open_source,
    solve,
)
from inmateria.transport.transforms import to_sites

ASSUMED_CONTRACTION = 0.4
# A step may gain more than the next one will.
FASTEST_CONTRACTION = 0.2
# Slower than this, more modes are cheaper than more corrections.
SLOWEST_CONTRACTION = 0.6


@compiled
def factorise(plan, potential, growth, kept, bare):  # type: ignore[no-untyped-def]
    """The recursion of one sample: what `solve` and `precondition` need.

    Returns
    -------
    closed_real, closed_imag : (n, n) arrays
    opened : (n_open, n_open) complex array
    """
    n = plan.counts[plan.counts.size - 1]
    n_open = plan.into.shape[1]
    last = np.empty((n, n))
    eliminate(plan, potential, growth, kept, last)
    closed_real, closed_imag = close(plan, last)
    bare[:] = 0.0
    for a in range(n_open):
        for m in range(plan.into.shape[0]):
            bare[0, a, m] = plan.into[m, a]
    solve(plan, kept, closed_real, closed_imag, bare)
    return closed_real, closed_imag, open_source(plan, at_lead(plan.into, bare[0]))


@compiled
def incoming(plan, from_drain, R):  # type: ignore[no-untyped-def]
    """R += i sqrt(v) chi: the right-hand side whose solution is a state of unit flux."""
    half = R.shape[1] // 2
    if from_drain:
        for a in range(half):
            for m in range(R.shape[2]):
                R[-1, half + a, m] += np.sqrt(plan.velocity_out[a]) * plan.out[m, a]
    else:
        for a in range(half):
            for m in range(R.shape[2]):
                R[0, half + a, m] += np.sqrt(plan.velocity_in[a]) * plan.into[m, a]


@compiled
def first_states(plan, kept, closed_real, closed_imag, bare, opened, from_drain, X):  # type: ignore[no-untyped-def]
    """States in the kept modes alone."""
    X[:] = 0.0
    if from_drain:
        incoming(plan, True, X)
        solve(plan, kept, closed_real, closed_imag, X)
        combine(plan, bare, -(opened @ at_lead(plan.into, X[0])), X)
    else:
        g = at_lead(plan.into, bare[0])
        coefficients = -(opened @ g)
        for a in range(coefficients.shape[0]):
            coefficients[a, a] += 1.0
        for a in range(coefficients.shape[0]):
            for b in range(coefficients.shape[1]):
                coefficients[a, b] *= 1j * np.sqrt(plan.velocity_in[b])
        combine(plan, bare, coefficients, X)


@compiled
def states_of_sample(  # type: ignore[no-untyped-def]
    plan, potential, from_drain, n_recovered, tolerance, most, growth,
    kept, bare, X, Q, sites, R, D, scratch, pldos, near, far,
):  # fmt: skip
    """States of one sample; gives the estimated error of its PLDOS and the number of corrections.

    Parameters
    ----------
    n_recovered : int
        Modes up to which `recover` brings dropped ones back.
    tolerance : float
        Of the maximum PLDOS.
    most : int
        Corrections at most.
    near, far : (n_open, n_columns) complex arrays
        chi^T psi on the columns' own lead and on the other one.

    Returns
    -------
    error : float
        Relative to the maximum; infinity where corrections did not shrink.
    n_corrections : int
    """
    n_x = potential.shape[0]
    n_y = potential.shape[1]
    closed_real, closed_imag, opened = factorise(plan, potential, growth, kept, bare)
    first_states(plan, kept, closed_real, closed_imag, bare, opened, from_drain, X)
    for i in range(n_x):
        to_sites(plan, X[i], plan.counts[i], sites[i], scratch)
    density(sites, pldos)
    Q[:] = 0.0
    recover(plan, potential, n_recovered, X, Q, sites, scratch)
    largest, change = density(sites, pldos)
    error = change / largest * ASSUMED_CONTRACTION / (1 - ASSUMED_CONTRACTION)
    done = 0
    while error > tolerance and done < most:
        R[:] = 0.0
        incoming(plan, from_drain, R)
        residual(plan, potential, X, Q, sites, R, scratch)
        precondition(plan, kept, closed_real, closed_imag, bare, opened, R, D)
        for i in range(n_x):
            for c in range(X.shape[1]):
                for m in range(n_y):
                    X[i, c, m] += R[i, c, m]
                    Q[i, c, m] += D[i, c, m]
                    scratch[3, c, m] = X[i, c, m] + Q[i, c, m]
            to_sites(plan, scratch[3], n_y, sites[i], scratch)
        before = change
        largest, change = density(sites, pldos)
        done += 1
        # A change near rounding says nothing about the next one.
        rho = max(change / before, FASTEST_CONTRACTION) if before > 0.0 else FASTEST_CONTRACTION
        if not rho < SLOWEST_CONTRACTION and change > 1e-12 * largest:
            error = np.inf
            break
        rho = min(rho, SLOWEST_CONTRACTION)
        error = change / largest * rho / (1 - rho)
    first, last = X[0] + Q[0], X[n_x - 1] + Q[n_x - 1]
    if from_drain:
        near[:], far[:] = at_lead(plan.out, last), at_lead(plan.into, first)
    else:
        near[:], far[:] = at_lead(plan.into, first), at_lead(plan.out, last)
    # Written so that NaN is infinite too.
    return (error if error >= 0.0 else np.inf), done


@compiled_parallel
def states_of_batch(  # type: ignore[no-untyped-def]
    plan, potentials, from_drain, n_recovered, tolerance, most, growth,
    kept, bare, X, Q, sites, R, D, scratch, pldos, near, far, error, corrections,
):  # fmt: skip
    """`states_of_sample` for a batch; every worker has its own part of the workspace."""
    n_workers = kept.shape[0]
    for w in prange(n_workers):
        for s in range(w, potentials.shape[0], n_workers):
            error[s], corrections[s] = states_of_sample(
                plan, potentials[s], from_drain, n_recovered, tolerance, most, growth,
                kept[w], bare[w], X[w], Q[w], sites[w], R[w], D[w], scratch[w],
                pldos[s], near[s], far[s],
            )  # fmt: skip
