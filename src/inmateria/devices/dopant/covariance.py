"""One correction by the covariances of the occupations, on top of the mean field of clusters.

The clusters' states fluctuate. To first order their covariances C solve the
Lyapunov equation of a linear noise process,

    M C + C M^T + D = 0,    D = sum over hops of (gross flow) delta delta^T

with delta the change that a hop makes. Inside a cluster they are known exactly
(diag P - P P^T); all others are held inside the Frechet bounds of two
indicators, by a smooth function. The flows' second derivatives, contracted with
C, then give what fluctuations add:

    S_t = (1/2) J_t'' : C,    R + S -> dP = -M^-1 sum_t S_t delta_t,
    J_t -> J_t + S_t + J_t' . dP

Source for the linear noise: N. G. van Kampen, Stochastic Processes in Physics
and Chemistry, ch. X.
"""

from __future__ import annotations

import math

from inmateria.compiled import compiled
from inmateria.devices.dopant.cluster_kernel import jacobian
from inmateria.devices.dopant.lu import factorise, solve
from inmateria.devices.dopant.lyapunov import balance, multiply
from inmateria.devices.dopant.rates import expansion


@compiled
def expand(hops, rule, n, level, rows):  # type: ignore[no-untyped-def]
    """g, h and their first three derivatives (see `rates.expansion`) of every hop, into `rows`."""
    ends, rates, own, pull, _, _, _, _ = hops
    for t in range(ends.shape[0]):
        x = level[ends[t, 1]] - level[ends[t, 0]] + rates[t, 1]
        for k in range(4):
            x -= pull[t, k] * n[own[t, k]]
        g, h, g1, h1, g2, h2, g3, h3 = expansion(x, rule)
        rows[t, 0], rows[t, 1], rows[t, 2], rows[t, 3] = g, h, g1, h1
        rows[t, 4], rows[t, 5], rows[t, 6], rows[t, 7] = g2, h2, g3, h3


@compiled
def diffusion(hops, rows, P, unknowns, D):  # type: ignore[no-untyped-def]
    """D = sum of gross flow times delta delta^T over the hops, for the unknowns."""
    ends, rates, _, _, _, _, n_bonds, n_contacts = hops
    for k in range(unknowns):
        for m in range(unknowns):
            D[k, m] = 0.0
    for t in range(ends.shape[0]):
        there = P[ends[t, 2]] * P[ends[t, 3]] * rows[t, 0]
        gross = rates[t, 0] * (there + P[ends[t, 4]] * P[ends[t, 5]] * rows[t, 1])
        s, r = ends[t, 2], ends[t, 5]
        if t < n_bonds:
            D[s, s] += gross
            D[r, r] += gross
            D[s, r] -= gross
            D[r, s] -= gross
        elif t < n_bonds + n_contacts:
            D[s, s] += gross
        else:
            for a in range(2, 6):
                k = ends[t, a]
                if k < unknowns:
                    for b in range(2, 6):
                        m = ends[t, b]
                        if m < unknowns:
                            D[k, m] += gross if (a < 4) == (b < 4) else -gross


@compiled
def bounded(c, p, q):  # type: ignore[no-untyped-def]
    """A covariance of two indicators inside its bounds, and its derivatives to c, p and q.

    c / (1 + (c / bound)^8)^(1/8): within 2e-4 of c up to a third of the bound.
    """
    if c >= 0.0:
        if p < q:
            bound, by_p, by_q = p * (1.0 - q), 1.0 - q, -p
        else:
            bound, by_p, by_q = q * (1.0 - p), -q, 1.0 - p
    elif p + q < 1.0:
        bound, by_p, by_q = p * q, q, p
    else:
        bound, by_p, by_q = (1.0 - p) * (1.0 - q), q - 1.0, p - 1.0
    if bound <= 0.0:
        return 0.0, 0.0, 0.0, 0.0
    y = abs(c) / bound
    if y > 1e6:
        sign = 1.0 if c >= 0.0 else -1.0
        return sign * bound, 0.0, sign * by_p, sign * by_q
    y2 = y * y
    y4 = y2 * y2
    y8 = y4 * y4
    root = 1.0 / math.sqrt(math.sqrt(math.sqrt(1.0 + y8)))
    by_c = root / (1.0 + y8)
    by_bound = by_c * y8 * c / bound
    return c * root, by_c, by_bound * by_p, by_bound * by_q


@compiled
def bound_covariance(C, z, reference, bound):  # type: ignore[no-untyped-def]
    """Frechet bounds between clusters, exact covariances inside them, into `bound`."""
    unknowns = z.shape[0]
    for k in range(unknowns):
        for m in range(k + 1):
            if reference[k] == reference[m]:
                c = -z[k] * z[m]
                if k == m:
                    c += z[k]
            else:
                c, _, _, _ = bounded(C[k, m], z[k], z[m])
            bound[k, m] = c
            bound[m, k] = c


@compiled
def extend(bound, reference, states, K, X, Xs, H, Cs, Hs, Ks):  # type: ignore[no-untyped-def]
    """Covariances of states, occupations and potentials, from those of the unknowns.

    X of two states, Xs and H of a state with a site's occupation and with the
    potential there, Cs, Hs and Ks of two occupations, an occupation and a
    potential, two potentials. The last site stands for an electrode and for no
    site at all: zero, as in the last row and column of K.
    """
    unknowns, sites = bound.shape[0], states.shape[0]
    total = X.shape[0]
    for s in range(total):
        for r in range(total):
            X[s, r] = 0.0
    for k in range(unknowns):
        for m in range(unknowns):
            X[k, m] = bound[k, m]
            X[k, reference[m]] -= bound[k, m]
    for k in range(unknowns):
        for s in range(total):
            X[reference[k], s] -= X[k, s]
    for s in range(total):
        for i in range(sites):
            Xs[s, i] = X[s, states[i, 0]]
            if states[i, 1] != states[i, 0]:
                Xs[s, i] += X[s, states[i, 1]]
        Xs[s, sites] = 0.0
    # an empty state's row is minus the sum of its cluster's others
    multiply(Xs[:unknowns], K, H[:unknowns])
    H[unknowns:] = 0.0
    for k in range(unknowns):
        for i in range(sites):
            H[reference[k], i] -= H[k, i]
    for k in range(sites + 1):
        Cs[sites, k] = 0.0
        Hs[sites, k] = 0.0
    for i in range(sites):
        a, b = states[i, 0], states[i, 1]
        for k in range(sites + 1):
            Cs[i, k] = Xs[a, k]
            Hs[i, k] = H[a, k]
        if b != a:
            for k in range(sites + 1):
                Cs[i, k] += Xs[b, k]
                Hs[i, k] += H[b, k]
    multiply(K, Hs, Ks)


@compiled
def fluctuations(hops, rows, P, n, X, Xs, H, Cs, Hs, Ks, S):  # type: ignore[no-untyped-def]
    """S_t = (1/2) J_t'' : C of every hop, into `S`."""
    ends, rates, own, pull, states, _, n_bonds, n_contacts = hops
    sites = states.shape[0]
    for t in range(n_bonds):
        i, j, K = ends[t, 0], ends[t, 1], pull[t, 0]
        # covariances of the two occupations with the cost, and its variance
        c_i = Hs[i, j] - Hs[i, i] - K * (Cs[i, i] - Cs[i, j])
        c_j = Hs[j, j] - Hs[j, i] - K * (Cs[i, j] - Cs[j, j])
        z = Ks[i, i] + Ks[j, j] - 2.0 * Ks[i, j]
        z -= 2.0 * K * (Hs[i, j] - Hs[i, i] - Hs[j, j] + Hs[j, i])
        z += K * K * (Cs[i, i] + Cs[j, j] - 2.0 * Cs[i, j])
        there, back = n[i] * (1.0 - n[j]), n[j] * (1.0 - n[i])
        s = (rows[t, 1] - rows[t, 0]) * Cs[i, j]
        s += rows[t, 2] * ((1.0 - n[j]) * c_i - n[i] * c_j)
        s -= rows[t, 3] * ((1.0 - n[i]) * c_j - n[j] * c_i)
        s += 0.5 * (there * rows[t, 4] - back * rows[t, 5]) * z
        S[t] = rates[t, 0] * s
    for t in range(n_bonds, n_bonds + n_contacts):
        i = ends[t, 0]
        s = (rows[t, 2] + rows[t, 3]) * -Hs[i, i]
        s += 0.5 * (n[i] * rows[t, 4] - (1.0 - n[i]) * rows[t, 5]) * Ks[i, i]
        S[t] = rates[t, 0] * s
    for t in range(n_bonds + n_contacts, ends.shape[0]):
        i, j = ends[t, 0], min(ends[t, 1], sites)
        s1, s2, t1, t2 = ends[t, 2], ends[t, 3], ends[t, 4], ends[t, 5]
        x_s1, x_s2 = H[s1, j] - H[s1, i], H[s2, j] - H[s2, i]
        x_t1, x_t2 = H[t1, j] - H[t1, i], H[t2, j] - H[t2, i]
        z = Ks[i, i] + Ks[j, j] - 2.0 * Ks[i, j]
        for k in range(ends[t, 6]):
            f, a = pull[t, k], own[t, k]
            x_s1 -= f * Xs[s1, a]
            x_s2 -= f * Xs[s2, a]
            x_t1 -= f * Xs[t1, a]
            x_t2 -= f * Xs[t2, a]
            z -= 2.0 * f * (Hs[a, j] - Hs[a, i])
            for m in range(ends[t, 6]):
                z += f * pull[t, m] * Cs[a, own[t, m]]
        s = rows[t, 0] * X[s1, s2] - rows[t, 1] * X[t1, t2]
        s += rows[t, 2] * (P[s2] * x_s1 + P[s1] * x_s2)
        s -= rows[t, 3] * (P[t2] * x_t1 + P[t1] * x_t2)
        s += 0.5 * (P[s1] * P[s2] * rows[t, 4] - P[t1] * P[t2] * rows[t, 5]) * z
        S[t] = rates[t, 0] * s


@compiled
def response(hops, rows, P, dz, dP, dn, dlevel, K, dJ):  # type: ignore[no-untyped-def]
    """dJ_t = J_t' . dz of every hop for a change of the unknowns, into `dJ`."""
    ends, rates, own, pull, states, reference, _, _ = hops
    sites = states.shape[0]
    for r in range(dP.shape[0]):
        dP[r] = 0.0
    for k in range(dz.shape[0]):
        dP[k] += dz[k]
        dP[reference[k]] -= dz[k]
    for i in range(sites):
        dn[i] = dz[states[i, 0]]
        if states[i, 1] != states[i, 0]:
            dn[i] += dz[states[i, 1]]
    dn[sites] = 0.0
    for q in range(dlevel.shape[0]):
        dlevel[q] = 0.0
    for i in range(sites):
        s = 0.0
        for j in range(sites):
            s += K[i, j] * dn[j]
        dlevel[i] = s
    for t in range(ends.shape[0]):
        s1, s2, t1, t2 = ends[t, 2], ends[t, 3], ends[t, 4], ends[t, 5]
        dx = dlevel[ends[t, 1]] - dlevel[ends[t, 0]]
        for k in range(4):
            dx -= pull[t, k] * dn[own[t, k]]
        dJ[t] = rates[t, 0] * (
            rows[t, 0] * (P[s2] * dP[s1] + P[s1] * dP[s2])
            - rows[t, 1] * (P[t2] * dP[t1] + P[t1] * dP[t2])
            + (P[s1] * P[s2] * rows[t, 2] - P[t1] * P[t2] * rows[t, 3]) * dx
        )


@compiled
def correct(z, K, hops, rule, W, LU, pivot, V, J):  # type: ignore[no-untyped-def]
    """The corrected flow of every hop into `J`, at unknowns that solve the mean field.

    W is as `flows` or `relax` left it at z; K has a last row and column of zeros.
    Leaves the Jacobian, its factors and all that the gradient wants in W, LU and
    V, the change of the unknowns in dz. Returns whether there is a correction:
    none where the Jacobian is singular or the fluctuations have no bound.
    """
    _, _, P, n, level, total, _, _, Q, B, L, M, _, _ = W
    C, D, bound, space, X, Xs, H, Cs, Hs, Ks, dz, dP, dn, dlevel, S, rows = V
    ends, rates, _, _, states, reference, _, _ = hops
    unknowns = z.shape[0]
    jacobian(K, hops, rule, P, n, level, Q, B, L, M)
    expand(hops, rule, n, level, rows)
    diffusion(hops, rows, P, unknowns, D)
    if not balance(M, D, C, space[0], space[1], space[2], pivot):
        return False
    bound_covariance(C, z, reference, bound)
    extend(bound, reference, states, K, X, Xs, H, Cs, Hs, Ks)
    fluctuations(hops, rows, P, n, X, Xs, H, Cs, Hs, Ks, S)
    for s in range(total.shape[0]):
        total[s] = 0.0
    for t in range(ends.shape[0]):
        total[ends[t, 2]] += S[t]
        total[ends[t, 3]] += S[t]
        total[ends[t, 4]] -= S[t]
        total[ends[t, 5]] -= S[t]
    for k in range(unknowns):
        dz[k] = total[k]
        for m in range(unknowns):
            LU[k, m] = M[k, m]
    if not factorise(LU, pivot):
        return False
    solve(LU, pivot, dz)
    response(hops, rows, P, dz, dP, dn, dlevel, K, J)
    for t in range(ends.shape[0]):
        there = P[ends[t, 2]] * P[ends[t, 3]] * rows[t, 0]
        J[t] += S[t] + rates[t, 0] * (there - P[ends[t, 4]] * P[ends[t, 5]] * rows[t, 1])
    return True
