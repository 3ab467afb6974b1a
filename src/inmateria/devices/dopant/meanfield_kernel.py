"""Compiled inner loops of the mean field: flows, Jacobian, Newton, adjoint.

Notation, energies in kT. Site i is occupied by a hole with probability n_i,

    E_i  = v_i + eps_i + sum_j K_ij n_j          v_i the potential, K_ii = 0
    x_ij = E_j - E_i + (n_j - n_i) K_ij          a hop's cost given i full and j empty
    J_ij = w_ij [n_i (1 - n_j) g(x_ij) - n_j (1 - n_i) g(-x_ij)]
    y_ie = V_e - E_i
    T_ie = w_ie [(1 - n_i) g(-y_ie) - n_i g(y_ie)]
    R_i  = sum_e T_ie - sum_j J_ij               vanishes in the steady state

The pair term in x_ij removes the interaction of a hole with its own mean: the
cost depends on the other sites only. Its derivative is therefore
dx_ij / dn_l = K_jl - K_il for l other than i and j, and zero for those two.
"""

from __future__ import annotations

from inmateria.compiled import compiled
from inmateria.devices.dopant.lu import factorise, solve, solve_transposed
from inmateria.devices.dopant.newton import (
    CHORD_GAIN,
    EASY,
    FIRST_STRIDE,
    MEMORY,
    MOST_STEPS,
    SHORTEST_STRIDE,
    SHRINK,
    TOLERANCE,
    WALKS,
    imbalance,
    relaxed,
    update_step,
)
from inmateria.devices.dopant.rates import both_ways


@compiled
def flows(v, volt, n, eps, K, w, we, rule, R, G, E):  # type: ignore[no-untyped-def]
    """R and the gross flow G at occupations n, into the arrays given."""
    sites, electrodes = we.shape
    for i in range(sites):
        s = 0.0
        for j in range(sites):
            s += K[i, j] * n[j]
        E[i] = v[i] + eps[i] + s
        R[i] = 0.0
        G[i] = 0.0
    for i in range(sites):
        for e in range(electrodes):
            if we[i, e] > 0.0:
                up, down, _, _ = both_ways(volt[e] - E[i], rule)
                into = we[i, e] * (1.0 - n[i]) * down
                out = we[i, e] * n[i] * up
                R[i] += into - out
                G[i] += into + out
        for j in range(i):
            if w[i, j] > 0.0:
                x = E[j] - E[i] + (n[j] - n[i]) * K[i, j]
                up, down, _, _ = both_ways(x, rule)
                there = w[i, j] * n[i] * (1.0 - n[j]) * up
                back = w[i, j] * n[j] * (1.0 - n[i]) * down
                R[i] += back - there
                R[j] += there - back
                G[i] += back + there
                G[j] += back + there


@compiled
def jacobian(volt, n, K, w, we, rule, E, D, T, M):  # type: ignore[no-untyped-def]
    """M = dR/dn; D = dJ/dx and T = d(inflow)/dy on the way, into the arrays given."""
    sites, electrodes = we.shape
    for i in range(sites):
        for j in range(sites):
            M[i, j] = 0.0
        D[i, i] = 0.0
    for i in range(sites):
        tsum = 0.0
        for e in range(electrodes):
            T[i, e] = 0.0
            if we[i, e] > 0.0:
                up, down, d_up, d_down = both_ways(volt[e] - E[i], rule)
                T[i, e] = -we[i, e] * ((1.0 - n[i]) * d_down + n[i] * d_up)
                M[i, i] -= we[i, e] * (down + up)
                tsum += T[i, e]
        T[i, electrodes] = tsum
        for j in range(i):
            D[i, j] = 0.0
            D[j, i] = 0.0
            if w[i, j] > 0.0:
                x = E[j] - E[i] + (n[j] - n[i]) * K[i, j]
                up, down, d_up, d_down = both_ways(x, rule)
                slope = w[i, j] * (n[i] * (1.0 - n[j]) * d_up + n[j] * (1.0 - n[i]) * d_down)
                D[i, j] = slope
                D[j, i] = slope
                by_i = w[i, j] * ((1.0 - n[j]) * up + n[j] * down)
                by_j = w[i, j] * (n[i] * up + (1.0 - n[i]) * down)
                M[i, i] -= by_i
                M[j, i] += by_i
                M[i, j] += by_j
                M[j, j] -= by_j
    for i in range(sites):
        dsum = 0.0
        for j in range(sites):
            dsum += D[i, j]
        diagonal = M[i, i]
        for j in range(sites):
            d = D[i, j]
            if d != 0.0:
                for k in range(sites):
                    M[i, k] -= d * K[j, k]
        rest = dsum - T[i, electrodes]
        for k in range(sites):
            M[i, k] += (rest - D[i, k]) * K[i, k]
        M[i, i] = diagonal


@compiled
def relax(v, volt, n, eps, K, w, we, rule, S, A, pivot, near, factorised, W):  # type: ignore[no-untyped-def]
    """Steady state by pseudo-transient Newton; n is the start and the answer.

    The step d solves M d - shift diag(|M|) d = -R: an implicit Euler step whose
    time is local to each site. The shift falls with the residual, down to plain
    Newton. With `near`, the shift starts at zero; with `factorised`, A still
    holds a factorisation from a neighbouring point, which serves as long as it
    gains enough (chord steps cost a tenth of a full one).

    Returns the number of flow evaluations, negative where it did not converge,
    the residual, and whether A holds a factorisation now: a start that already
    is the solution needs none.
    """
    sites = n.shape[0]
    holds = factorised
    R, G, E, step, trial, D, T, M, past, length = W
    flows(v, volt, n, eps, K, w, we, rule, R, G, E)
    worst = imbalance(R, G, S)
    evaluations = 1
    shift = 0.0 if near else 1.0
    stale = False
    updates = 0
    while evaluations < MOST_STEPS:
        if worst < TOLERANCE:
            return evaluations, worst, holds
        if stale:
            flows(v, volt, n, eps, K, w, we, rule, R, G, E)
            stale = False
        if not factorised:
            jacobian(volt, n, K, w, we, rule, E, D, T, M)
            for i in range(sites):
                for j in range(sites):
                    A[i, j] = M[i, j]
                A[i, i] += shift * M[i, i]
            holds = factorise(A, pivot)
            if not holds:
                return -evaluations, worst, holds
            updates = 0
        for i in range(sites):
            step[i] = -R[i]
        solve(A, pivot, step)
        update_step(step, past, length, updates)
        inside = True
        for i in range(sites):
            # A step may cover nine tenths of the way to an empty or a full site.
            trial[i] = min(max(n[i] + step[i], 0.1 * n[i]), 0.9 + 0.1 * n[i])
            inside = inside and trial[i] == n[i] + step[i]
        flows(v, volt, trial, eps, K, w, we, rule, R, G, E)
        evaluations += 1
        now = imbalance(R, G, S)
        gained = now < CHORD_GAIN * worst
        if factorised and not gained:
            factorised = False
            stale = True
            continue
        updates = updates + 1 if inside and updates < MEMORY else 0
        if updates > 0:
            length[updates - 1] = 0.0
            for i in range(sites):
                past[updates - 1, i] = step[i]
                length[updates - 1] += step[i] * step[i]
        for i in range(sites):
            n[i] = trial[i]
        shift = relaxed(shift, now < worst)
        worst = now
        factorised = gained and shift == 0.0
    return -evaluations, worst, holds


@compiled
def anneal(v, volt, n, eps, K, w, we, rule, S, A, pivot, W):  # type: ignore[no-untyped-def]
    """Steady state by continuation from infinite temperature, for points that defeat `relax`.

    All energies are multiplied by s. At s = 0 every site is half full; the
    solution is followed to s = 1 in strides that adapt to Newton's effort. Where
    the branch folds back, a stride across the fold lands on the next one; where
    no stride gets across, the walk starts again with another first stride.
    Returns as `relax` does.
    """
    trial = n.copy()
    total = 0
    worst = 1.0
    holds = False
    for attempt in range(WALKS):
        n[:] = 0.5
        s = 0.0
        stride = FIRST_STRIDE * SHRINK**attempt
        while s < 1.0 and stride > SHORTEST_STRIDE:
            ahead = min(1.0, s + stride)
            trial[:] = n
            effort, worst, holds = relax(
                v * ahead,
                volt * ahead,
                trial,
                eps * ahead,
                K * ahead,
                w,
                we,
                rule,
                S,
                A,
                pivot,
                True,
                False,
                W,
            )
            total += abs(effort)
            if effort > 0:
                n[:] = trial
                s = ahead
                if effort <= EASY:
                    stride *= 1.6
            else:
                stride *= 0.4
        if s == 1.0:
            return total, worst, holds
    return -total, max(worst, TOLERANCE), False


@compiled
def inflow(volt, n, we, rule, E, current):  # type: ignore[no-untyped-def]
    """Net holes into every electrode, added to `current`: minus the sum of T_ie over sites."""
    sites, electrodes = we.shape
    for i in range(sites):
        for e in range(electrodes):
            if we[i, e] > 0.0:
                up, down, _, _ = both_ways(volt[e] - E[i], rule)
                current[e] += we[i, e] * (n[i] * up - (1.0 - n[i]) * down)


@compiled
def adjoint_gradient(  # type: ignore[no-untyped-def]
    o, volt, K, basis, we, rule, E, D, T, LU, pivot, adjoint, gradient, kt
):
    """Gradient of the current into electrode o to all voltages, 1 / V.

    With M^T a = dI/dn the gradient is dI/dV|_n - a . dR/dV|_n, and both partial
    derivatives come from dy/dV and dx/dV, which are differences of the basis.
    """
    sites, electrodes = we.shape
    for k in range(sites):
        adjoint[k] = 0.0
    for i in range(sites):
        if we[i, o] > 0.0:
            up, down, _, _ = both_ways(volt[o] - E[i], rule)
            adjoint[i] += we[i, o] * (up + down)
            for k in range(sites):
                adjoint[k] += T[i, o] * K[i, k]
    solve_transposed(LU, pivot, adjoint)
    for e in range(electrodes):
        gradient[e] = 0.0
    for i in range(sites):
        pull = T[i, o]
        gradient[o] -= T[i, o] / kt
        for e in range(electrodes):
            gradient[e] -= adjoint[i] * T[i, e] / kt
        for j in range(sites):
            pull += D[i, j] * (adjoint[j] - adjoint[i])
        pull += adjoint[i] * T[i, electrodes]
        for e in range(electrodes):
            gradient[e] += pull * basis[i, e]
