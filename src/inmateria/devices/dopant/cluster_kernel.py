"""Compiled inner loops of the mean field of clusters: flows, Jacobian, Newton.

Notation, energies in kT. P_s is the probability of cluster state s, n_i the
mean occupation of site i, both from the unknowns (see `clusters`). A level is a
site's energy E_i = v_i + eps_i + sum_j K_ij n_j or an electrode's voltage. For
the hop t between levels,

    x_t = E_to - E_from + shift_t - sum_own pull_l n_l
    J_t = w_t [P_s1 P_s2 g(x_t) - P_t1 P_t2 g(-x_t)]
    R_s = sum_t J_t ([s in t1, t2] - [s in s1, s2])     vanishes in the steady state

The sites of the hop's own clusters count with their actual states, all others
with their means: dx_t / dn_l = K_to,l - K_from,l for others, 0 for the own. With
no pairs this is the mean field with the pair term,
x_ij = E_j - E_i + (n_j - n_i) K_ij.
"""

from __future__ import annotations

from inmateria.compiled import compiled
from inmateria.devices.dopant.lu import factorise, solve
from inmateria.devices.dopant.lyapunov import add_product
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
def spread_states(z, states, reference, P, n):  # type: ignore[no-untyped-def]
    """All state probabilities P and site occupations n that belong to the unknowns z."""
    unknowns = z.shape[0]
    for s in range(unknowns, P.shape[0]):
        P[s] = 1.0
    for k in range(unknowns):
        P[k] = z[k]
        P[reference[k]] -= z[k]
    for i in range(states.shape[0]):
        n[i] = z[states[i, 0]]
        if states[i, 1] != states[i, 0]:
            n[i] += z[states[i, 1]]
    n[states.shape[0]] = 0.0


@compiled
def set_levels(v, volt, eps, K, n, level):  # type: ignore[no-untyped-def]
    """Site energies and electrode voltages, kT."""
    sites = eps.shape[0]
    for i in range(sites):
        s = 0.0
        for j in range(sites):
            s += K[i, j] * n[j]
        level[i] = v[i] + eps[i] + s
    for e in range(volt.shape[0]):
        level[sites + e] = volt[e]


@compiled
def flows(v, volt, z, eps, K, hops, rule, R, G, P, n, level):  # type: ignore[no-untyped-def]
    """R and the gross flow G of every unknown state at z, into the arrays given."""
    ends, rates, own, pull, states, reference, n_bonds, n_contacts = hops
    spread_states(z, states, reference, P, n)
    set_levels(v, volt, eps, K, n, level)
    for s in range(R.shape[0]):
        R[s] = 0.0
        G[s] = 0.0
    for t in range(n_bonds):
        i, j = ends[t, 0], ends[t, 1]
        up, down, _, _ = both_ways(level[j] - level[i] + K[i, j] * (n[j] - n[i]), rule)
        there = rates[t, 0] * n[i] * (1.0 - n[j]) * up
        back = rates[t, 0] * n[j] * (1.0 - n[i]) * down
        s, r = ends[t, 2], ends[t, 5]
        R[s] += back - there
        R[r] += there - back
        G[s] += back + there
        G[r] += back + there
    for t in range(n_bonds, n_bonds + n_contacts):
        i, s = ends[t, 0], ends[t, 2]
        up, down, _, _ = both_ways(level[ends[t, 1]] - level[i], rule)
        out = rates[t, 0] * n[i] * up
        into = rates[t, 0] * (1.0 - n[i]) * down
        R[s] += into - out
        G[s] += into + out
    for t in range(n_bonds + n_contacts, ends.shape[0]):
        x = level[ends[t, 1]] - level[ends[t, 0]] + rates[t, 1]
        for k in range(4):
            x -= pull[t, k] * n[own[t, k]]
        up, down, _, _ = both_ways(x, rule)
        s1, s2, t1, t2 = ends[t, 2], ends[t, 3], ends[t, 4], ends[t, 5]
        there = rates[t, 0] * P[s1] * P[s2] * up
        back = rates[t, 0] * P[t1] * P[t2] * down
        net, gross = there - back, there + back
        R[s1] -= net
        R[s2] -= net
        R[t1] += net
        R[t2] += net
        G[s1] += gross
        G[s2] += gross
        G[t1] += gross
        G[t2] += gross


@compiled
def jacobian(K, hops, rule, P, n, level, Q, B, L, M):  # type: ignore[no-untyped-def]
    """M = dR/dz at the probabilities and levels of the last `flows`, into the array given.

    Gathered in three parts: B = dR/dP, Q = dR/dlevel and L = dR/dn of the own sites.
    """
    ends, rates, own, pull, states, reference, n_bonds, n_contacts = hops
    unknowns, sites = M.shape[0], states.shape[0]
    for s in range(unknowns):
        for k in range(B.shape[1]):
            B[s, k] = 0.0
        for k in range(Q.shape[1]):
            Q[s, k] = 0.0
        for k in range(L.shape[1]):
            L[s, k] = 0.0
    for t in range(n_bonds):
        i, j = ends[t, 0], ends[t, 1]
        s, r = ends[t, 2], ends[t, 5]
        pair, w = K[i, j], rates[t, 0]
        up, down, d_up, d_down = both_ways(level[j] - level[i] + pair * (n[j] - n[i]), rule)
        slope = w * (n[i] * (1.0 - n[j]) * d_up + n[j] * (1.0 - n[i]) * d_down)
        # the own sites' pull cancels what their potential gives them
        by_i = w * ((1.0 - n[j]) * up + n[j] * down) - slope * pair
        by_j = w * (n[i] * up + (1.0 - n[i]) * down) - slope * pair
        B[s, s] -= by_i
        B[r, s] += by_i
        B[s, r] += by_j
        B[r, r] -= by_j
        Q[s, j] -= slope
        Q[s, i] += slope
        Q[r, j] += slope
        Q[r, i] -= slope
    for t in range(n_bonds, n_bonds + n_contacts):
        i, s, w = ends[t, 0], ends[t, 2], rates[t, 0]
        up, down, d_up, d_down = both_ways(level[ends[t, 1]] - level[i], rule)
        B[s, s] -= w * (up + down)
        Q[s, i] += w * (n[i] * d_up + (1.0 - n[i]) * d_down)
    for t in range(n_bonds + n_contacts, ends.shape[0]):
        i, j, w = ends[t, 0], ends[t, 1], rates[t, 0]
        x = level[j] - level[i] + rates[t, 1]
        for k in range(4):
            x -= pull[t, k] * n[own[t, k]]
        up, down, d_up, d_down = both_ways(x, rule)
        s1, s2, t1, t2 = ends[t, 2], ends[t, 3], ends[t, 4], ends[t, 5]
        slope = w * (P[s1] * P[s2] * d_up + P[t1] * P[t2] * d_down)
        by_s1, by_s2 = w * P[s2] * up, w * P[s1] * up
        by_t1, by_t2 = w * P[t2] * down, w * P[t1] * down
        members = ends[t, 6]
        for k in range(2, 6):
            row = ends[t, k]
            # the rows of empty states and of the constant are not wanted
            if row >= unknowns:
                continue
            sign = -1.0 if k < 4 else 1.0
            B[row, s1] += sign * by_s1
            B[row, s2] += sign * by_s2
            B[row, t1] -= sign * by_t1
            B[row, t2] -= sign * by_t2
            Q[row, j] += sign * slope
            Q[row, i] -= sign * slope
            for q in range(members):
                L[row, own[t, q]] -= sign * slope * pull[t, q]
    add_product(Q[:, :sites], K, L)
    for k in range(unknowns):
        for s in range(unknowns):
            M[k, s] = B[k, s] - B[k, reference[s]]
        for i in range(sites):
            M[k, states[i, 0]] += L[k, i]
            if states[i, 1] != states[i, 0]:
                M[k, states[i, 1]] += L[k, i]


@compiled
def bounded_step(z, P, step, reference, total, trial):  # type: ignore[no-untyped-def]
    """z + step into `trial`, each state at most nine tenths of the way to probability zero.

    Where a state was held back its cluster is brought back to a total of one.
    Returns whether the whole step was taken.
    """
    unknowns = z.shape[0]
    whole = True
    for s in range(total.shape[0]):
        total[s] = P[s]
    for k in range(unknowns):
        total[reference[k]] -= step[k]
    for s in range(unknowns, total.shape[0]):
        total[s] = max(total[s], 0.1 * P[s])
    for k in range(unknowns):
        trial[k] = max(z[k] + step[k], 0.1 * z[k])
        total[reference[k]] += trial[k]
    for k in range(unknowns):
        trial[k] /= total[reference[k]]
        whole = whole and abs(trial[k] - z[k] - step[k]) <= 1e-14
    return whole


@compiled
def relax(v, volt, z, eps, K, hops, rule, S, A, pivot, near, factorised, W):  # type: ignore[no-untyped-def]
    """Steady state by pseudo-transient Newton; z is the start and the answer.

    The step d solves M d - shift diag(|M|) d = -R: an implicit Euler step whose
    time is local to each state. The shift falls with the residual, down to plain
    Newton. With `near`, the shift starts at zero; with `factorised`, A still
    holds a factorisation from a neighbouring point, which serves as long as it
    gains enough (chord steps cost a tenth of a full one).

    Returns the number of flow evaluations, negative where it did not converge,
    the residual, and whether A holds a factorisation now: a start that already
    is the solution needs none.
    """
    unknowns = z.shape[0]
    holds = factorised
    R, G, P, n, level, total, step, trial, Q, B, L, M, past, length = W
    reference = hops[5]
    flows(v, volt, z, eps, K, hops, rule, R, G, P, n, level)
    worst = imbalance(R, G, S)
    evaluations = 1
    shift = 0.0 if near else 1.0
    stale = False
    updates = 0
    while evaluations < MOST_STEPS:
        if worst < TOLERANCE:
            return evaluations, worst, holds
        if stale:
            flows(v, volt, z, eps, K, hops, rule, R, G, P, n, level)
            stale = False
        if not factorised:
            jacobian(K, hops, rule, P, n, level, Q, B, L, M)
            for i in range(unknowns):
                for j in range(unknowns):
                    A[i, j] = M[i, j]
                A[i, i] += shift * M[i, i]
            holds = factorise(A, pivot)
            if not holds:
                return -evaluations, worst, holds
            updates = 0
        for i in range(unknowns):
            step[i] = -R[i]
        solve(A, pivot, step)
        update_step(step, past, length, updates)
        whole = bounded_step(z, P, step, reference, total, trial)
        flows(v, volt, trial, eps, K, hops, rule, R, G, P, n, level)
        evaluations += 1
        now = imbalance(R, G, S)
        gained = now < CHORD_GAIN * worst
        if factorised and not gained:
            factorised = False
            stale = True
            continue
        updates = updates + 1 if whole and updates < MEMORY else 0
        if updates > 0:
            length[updates - 1] = 0.0
            for i in range(unknowns):
                past[updates - 1, i] = step[i]
                length[updates - 1] += step[i] * step[i]
        for i in range(unknowns):
            z[i] = trial[i]
        shift = relaxed(shift, now < worst)
        worst = now
        factorised = gained and shift == 0.0
    return -evaluations, worst, holds


@compiled
def anneal(v, volt, z, begin, eps, K, hops, rule, S, A, pivot, W):  # type: ignore[no-untyped-def]
    """Steady state by continuation from infinite temperature, for points that defeat `relax`.

    All energies are multiplied by s. At s = 0 every state of a cluster is as
    likely as the others, which is `begin`; the solution is followed to s = 1 in
    strides that adapt to Newton's effort. Where the branch folds back, a stride
    across the fold lands on the next one; where no stride gets across, the walk
    starts again with another first stride. Returns as `relax` does.
    """
    ends, rates, own, pull, states, reference, n_bonds, n_contacts = hops
    trial = z.copy()
    total = 0
    worst = 1.0
    holds = False
    for attempt in range(WALKS):
        z[:] = begin
        s = 0.0
        stride = FIRST_STRIDE * SHRINK**attempt
        while s < 1.0 and stride > SHORTEST_STRIDE:
            ahead = min(1.0, s + stride)
            trial[:] = z
            scaled = rates.copy()
            scaled[:, 1] *= ahead
            weaker = (ends, scaled, own, pull * ahead, states, reference, n_bonds, n_contacts)
            effort, worst, holds = relax(
                v * ahead,
                volt * ahead,
                trial,
                eps * ahead,
                K * ahead,
                weaker,
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
                z[:] = trial
                s = ahead
                if effort <= EASY:
                    stride *= 1.6
            else:
                stride *= 0.4
        if s == 1.0:
            return total, worst, holds
    return -total, max(worst, TOLERANCE), False
