"""The exact gradient of a corrected current, by going backwards through its making.

A corrected current is I = sum_t e_t J_t + sum_t c_t S_t with e_t = 1 for hops
into the electrode, c_t = e_t - a . delta_t and M^T a = dI0/dz (see
`covariance`). It depends on the voltages directly, through the unknowns z, and
through the covariances C; backwards, that takes

    the derivatives of S_t to probabilities, cost and C, hop by hop,
    M^T Y + Y M + dI/dC = 0           the adjoint Lyapunov equation, for D and M,
    sum_t c_t J_t'' . dz and 2 Y C : dM for what c_t and M depend on,
    M^T b = dI/dz                     the adjoint of the mean field.
"""

from __future__ import annotations

import numpy as np

from inmateria.compiled import compiled
from inmateria.devices.dopant.covariance import bounded
from inmateria.devices.dopant.lu import solve_transposed
from inmateria.devices.dopant.lyapunov import balance, multiply, transpose


@compiled
def push(t, x_bar, ends, own, pull, level_bar, n_bar):  # type: ignore[no-untyped-def]
    """What a hop's cost depends on: the derivative `x_bar` to it, added to levels and sites."""
    level_bar[ends[t, 1]] += x_bar
    level_bar[ends[t, 0]] -= x_bar
    for k in range(ends[t, 6]):
        n_bar[own[t, k]] -= pull[t, k] * x_bar


@compiled
def push_flows(c, hops, rows, P, P_bar, level_bar, n_bar):  # type: ignore[no-untyped-def]
    """Derivatives of sum_t c_t J_t, added to those of probabilities, levels and sites."""
    ends, rates, own, pull, _, _, _, _ = hops
    for t in range(ends.shape[0]):
        if c[t] != 0.0:
            f = c[t] * rates[t, 0]
            s1, s2, t1, t2 = ends[t, 2], ends[t, 3], ends[t, 4], ends[t, 5]
            P_bar[s1] += f * rows[t, 0] * P[s2]
            P_bar[s2] += f * rows[t, 0] * P[s1]
            P_bar[t1] -= f * rows[t, 1] * P[t2]
            P_bar[t2] -= f * rows[t, 1] * P[t1]
            x_bar = f * (P[s1] * P[s2] * rows[t, 2] - P[t1] * P[t2] * rows[t, 3])
            push(t, x_bar, ends, own, pull, level_bar, n_bar)


@compiled
def gather(P_bar, level_bar, n_bar, K, states, reference, z_bar):  # type: ignore[no-untyped-def]
    """Derivatives to the unknowns from those to probabilities, levels and sites."""
    for k in range(z_bar.shape[0]):
        z_bar[k] = P_bar[k] - P_bar[reference[k]]
    for i in range(states.shape[0]):
        s = n_bar[i]
        for j in range(states.shape[0]):
            s += K[i, j] * level_bar[j]
        z_bar[states[i, 0]] += s
        if states[i, 1] != states[i, 0]:
            z_bar[states[i, 1]] += s


@compiled
def along(t, a, ends):  # type: ignore[no-untyped-def]
    """a . delta_t for a given on all states."""
    return a[ends[t, 4]] + a[ends[t, 5]] - a[ends[t, 2]] - a[ends[t, 3]]


@compiled
def push_fluctuations(  # type: ignore[no-untyped-def]
    c, hops, rows, P, covariances, P_bar, level_bar, n_bar, adjoints
):
    """Derivatives of sum_t c_t S_t, added to those of all that S_t is made of."""
    ends, rates, own, pull, states, _, _, _ = hops
    X, Xs, H, Cs, Hs, Ks = covariances
    X_bar, Xs_bar, H_bar, Cs_bar, Hs_bar, Ks_bar = adjoints
    sites = states.shape[0]
    for t in range(ends.shape[0]):
        i, j = ends[t, 0], min(ends[t, 1], sites)
        s1, s2, t1, t2 = ends[t, 2], ends[t, 3], ends[t, 4], ends[t, 5]
        members = ends[t, 6]
        x_s1, x_s2 = H[s1, j] - H[s1, i], H[s2, j] - H[s2, i]
        x_t1, x_t2 = H[t1, j] - H[t1, i], H[t2, j] - H[t2, i]
        z = Ks[i, i] + Ks[j, j] - 2.0 * Ks[i, j]
        for k in range(members):
            p, a = pull[t, k], own[t, k]
            x_s1 -= p * Xs[s1, a]
            x_s2 -= p * Xs[s2, a]
            x_t1 -= p * Xs[t1, a]
            x_t2 -= p * Xs[t2, a]
            z -= 2.0 * p * (Hs[a, j] - Hs[a, i])
            for m in range(members):
                z += p * pull[t, m] * Cs[a, own[t, m]]
        f = c[t] * rates[t, 0]
        g, h = f * rows[t, 0], f * rows[t, 1]
        g1, h1, g2, h2 = f * rows[t, 2], f * rows[t, 3], f * rows[t, 4], f * rows[t, 5]
        P_bar[s1] += g1 * x_s2 + 0.5 * P[s2] * g2 * z
        P_bar[s2] += g1 * x_s1 + 0.5 * P[s1] * g2 * z
        P_bar[t1] -= h1 * x_t2 + 0.5 * P[t2] * h2 * z
        P_bar[t2] -= h1 * x_t1 + 0.5 * P[t1] * h2 * z
        x_bar = g1 * X[s1, s2] - h1 * X[t1, t2]
        x_bar += g2 * (P[s2] * x_s1 + P[s1] * x_s2) - h2 * (P[t2] * x_t1 + P[t1] * x_t2)
        x_bar += 0.5 * f * (P[s1] * P[s2] * rows[t, 6] - P[t1] * P[t2] * rows[t, 7]) * z
        push(t, x_bar, ends, own, pull, level_bar, n_bar)
        X_bar[s1, s2] += g
        X_bar[t1, t2] -= h
        y_s1, y_s2, y_t1, y_t2 = g1 * P[s2], g1 * P[s1], -h1 * P[t2], -h1 * P[t1]
        half = 0.5 * (P[s1] * P[s2] * g2 - P[t1] * P[t2] * h2)
        for state, y in ((s1, y_s1), (s2, y_s2), (t1, y_t1), (t2, y_t2)):
            H_bar[state, j] += y
            H_bar[state, i] -= y
            for k in range(members):
                Xs_bar[state, own[t, k]] -= pull[t, k] * y
        Ks_bar[i, i] += half
        Ks_bar[j, j] += half
        Ks_bar[i, j] -= 2.0 * half
        for k in range(members):
            p, a = pull[t, k], own[t, k]
            Hs_bar[a, j] -= 2.0 * half * p
            Hs_bar[a, i] += 2.0 * half * p
            for m in range(members):
                Cs_bar[a, own[t, m]] += half * p * pull[t, m]


@compiled
def pull_covariance(adjoints, K, states, reference, wide, square, C_bar):  # type: ignore[no-untyped-def]
    """Backwards through `extend`: derivatives to the bounded covariances of the unknowns.

    `wide` (n_states, n_sites + 1) and `square` (n_sites + 1)^2 are space.
    """
    X_bar, Xs_bar, H_bar, Cs_bar, Hs_bar, Ks_bar = adjoints
    sites = states.shape[0]
    # whatever stands for an electrode or for no site is a constant zero
    for i in range(sites + 1):
        Ks_bar[i, sites] = 0.0
        Ks_bar[sites, i] = 0.0
    multiply(K, Ks_bar, square)
    for i in range(sites):
        a, b = states[i, 0], states[i, 1]
        for k in range(sites):
            H_bar[a, k] += Hs_bar[i, k] + square[i, k]
            Xs_bar[a, k] += Cs_bar[i, k]
            if b != a:
                H_bar[b, k] += Hs_bar[i, k] + square[i, k]
                Xs_bar[b, k] += Cs_bar[i, k]
    multiply(H_bar, K, wide)
    for s in range(X_bar.shape[0]):
        for i in range(sites):
            c = wide[s, i] + Xs_bar[s, i]
            X_bar[s, states[i, 0]] += c
            if states[i, 1] != states[i, 0]:
                X_bar[s, states[i, 1]] += c
    for k in range(C_bar.shape[0]):
        r = reference[k]
        for m in range(C_bar.shape[0]):
            q = reference[m]
            C_bar[k, m] = X_bar[k, m] - X_bar[k, q] - X_bar[r, m] + X_bar[r, q]


@compiled
def pull_bounds(C_bar, C, z, reference, z_bar):  # type: ignore[no-untyped-def]
    """Backwards through `bound_covariance`: C_bar is turned, in place; z_bar is added to."""
    for k in range(z.shape[0]):
        for m in range(k + 1):
            both = C_bar[k, m] + C_bar[m, k]
            by_c = 0.0
            if k == m:
                z_bar[k] += 0.5 * both * (1.0 - 2.0 * z[k])
            elif reference[k] == reference[m]:
                z_bar[k] -= both * z[m]
                z_bar[m] -= both * z[k]
            else:
                _, by_c, by_k, by_m = bounded(C[k, m], z[k], z[m])
                z_bar[k] += both * by_k
                z_bar[m] += both * by_m
            C_bar[k, m] = 0.5 * both * by_c
            C_bar[m, k] = 0.5 * both * by_c


@compiled
def push_second(  # type: ignore[no-untyped-def]
    c, hops, rows, P, dP, dn, dlevel, Y, MP, Mn, ML, P_bar, level_bar, n_bar
):
    """Derivatives of sum_t J_t' . theta_t and of Y : D at fixed theta_t and Y.

    theta_t = c_t dz + M_bar^T delta_t; rows of MP, Mn and ML are those of M_bar
    as changes of probabilities, occupations and levels.
    """
    ends, rates, own, pull, _, _, _, _ = hops
    unknowns = Y.shape[0]
    for t in range(ends.shape[0]):
        w = rates[t, 0]
        i, j = ends[t, 0], ends[t, 1]
        s1, s2, t1, t2 = ends[t, 2], ends[t, 3], ends[t, 4], ends[t, 5]
        g, h, g1, h1 = w * rows[t, 0], w * rows[t, 1], w * rows[t, 2], w * rows[t, 3]
        y = 0.0
        a1, a2, b1, b2 = c[t] * dP[s1], c[t] * dP[s2], c[t] * dP[t1], c[t] * dP[t2]
        x = c[t] * (dlevel[j] - dlevel[i])
        for k in range(ends[t, 6]):
            x -= c[t] * pull[t, k] * dn[own[t, k]]
        for r in range(2, 6):
            row = ends[t, r]
            if row >= unknowns:
                continue
            sign = -1.0 if r < 4 else 1.0
            a1 += sign * MP[row, s1]
            a2 += sign * MP[row, s2]
            b1 += sign * MP[row, t1]
            b2 += sign * MP[row, t2]
            x += sign * (ML[row, j] - ML[row, i])
            for k in range(ends[t, 6]):
                x -= sign * pull[t, k] * Mn[row, own[t, k]]
            for q in range(2, 6):
                if ends[t, q] < unknowns:
                    y += Y[row, ends[t, q]] if (r < 4) == (q < 4) else -Y[row, ends[t, q]]
        P_bar[s1] += g * a2 + P[s2] * (g1 * x + g * y)
        P_bar[s2] += g * a1 + P[s1] * (g1 * x + g * y)
        P_bar[t1] -= h * b2 + P[t2] * (h1 * x - h * y)
        P_bar[t2] -= h * b1 + P[t1] * (h1 * x - h * y)
        there, back = P[s1] * P[s2], P[t1] * P[t2]
        x_bar = g1 * (P[s2] * a1 + P[s1] * a2) - h1 * (P[t2] * b1 + P[t1] * b2)
        x_bar += w * (there * rows[t, 4] - back * rows[t, 5]) * x + (there * g1 + back * h1) * y
        push(t, x_bar, ends, own, pull, level_bar, n_bar)


@compiled
def spread_rows(M_bar, states, reference, K, MP, Mn, ML):  # type: ignore[no-untyped-def]
    """Rows of a matrix over the unknowns as changes of probabilities, occupations and levels."""
    MP[:] = 0.0
    Mn[:] = 0.0
    ML[:] = 0.0
    sites = states.shape[0]
    for r in range(M_bar.shape[0]):
        for k in range(M_bar.shape[0]):
            MP[r, k] += M_bar[r, k]
            MP[r, reference[k]] -= M_bar[r, k]
        for i in range(sites):
            f = M_bar[r, states[i, 0]]
            if states[i, 1] != states[i, 0]:
                f += M_bar[r, states[i, 1]]
            Mn[r, i] = f
            for j in range(sites):
                ML[r, j] += f * K[i, j]


@compiled
def corrected_gradient(o, hops, K, basis, kt, z, W, LU, pivot, V, gradient):  # type: ignore[no-untyped-def]
    """dI/dV of the corrected current into electrode o, 1 / V, into `gradient`.

    Takes what `correct` left in W, LU, pivot and V. Returns False where the
    adjoint Lyapunov equation has no solution.
    """
    _, _, P, _, _, _, _, _, _, _, _, M, _, _ = W
    C, _, _, space, X, Xs, H, Cs, Hs, Ks, _, dP, dn, dlevel, _, rows = V
    ends, rates, _, _, states, reference, _, _ = hops
    unknowns, total = z.shape[0], P.shape[0]
    sites, electrodes = basis.shape
    c = np.zeros(ends.shape[0])
    P_bar, level_bar, n_bar = np.zeros(total), np.zeros(sites + electrodes), np.zeros(sites + 1)
    a, z_bar, z_direct = np.zeros(total), np.zeros(unknowns), np.zeros(unknowns)
    for t in range(ends.shape[0]):
        if ends[t, 1] == sites + o:
            c[t] = 1.0
    push_flows(c, hops, rows, P, P_bar, level_bar, n_bar)
    gather(P_bar, level_bar, n_bar, K, states, reference, z_bar)
    solve_transposed(LU, pivot, z_bar)
    a[:unknowns] = z_bar
    for t in range(ends.shape[0]):
        c[t] -= along(t, a, ends)

    adjoints = (
        np.zeros_like(X),
        np.zeros_like(Xs),
        np.zeros_like(H),
        np.zeros_like(Cs),
        np.zeros_like(Hs),
        np.zeros_like(Ks),
    )
    covariances = (X, Xs, H, Cs, Hs, Ks)
    push_fluctuations(c, hops, rows, P, covariances, P_bar, level_bar, n_bar, adjoints)
    C_bar, Y, MT = np.empty_like(C), np.empty_like(C), np.empty_like(C)
    pull_covariance(adjoints, K, states, reference, np.empty_like(H), np.empty_like(Ks), C_bar)
    pull_bounds(C_bar, C, z, reference, z_direct)
    transpose(M, MT)
    if not balance(MT, C_bar, Y, space[0], space[1], space[2], np.empty_like(pivot)):
        return False
    M_bar = space[0]
    multiply(Y, C, M_bar)
    for k in range(unknowns):
        for m in range(unknowns):
            M_bar[k, m] *= 2.0
    MP, Mn = np.empty((unknowns, total)), np.empty((unknowns, sites + 1))
    ML = np.empty((unknowns, sites + electrodes))
    spread_rows(M_bar, states, reference, K, MP, Mn, ML)
    push_second(c, hops, rows, P, dP, dn, dlevel, Y, MP, Mn, ML, P_bar, level_bar, n_bar)
    gather(P_bar, level_bar, n_bar, K, states, reference, z_bar)
    for k in range(unknowns):
        z_bar[k] += z_direct[k]
    solve_transposed(LU, pivot, z_bar)
    a[:unknowns] = z_bar
    for t in range(ends.shape[0]):
        there, back = P[ends[t, 2]] * P[ends[t, 3]], P[ends[t, 4]] * P[ends[t, 5]]
        slope = rates[t, 0] * (there * rows[t, 2] - back * rows[t, 3])
        level_bar[ends[t, 1]] -= slope * along(t, a, ends)
        level_bar[ends[t, 0]] += slope * along(t, a, ends)
    for e in range(electrodes):
        gradient[e] = level_bar[sites + e] / kt
    for i in range(sites):
        for e in range(electrodes):
            gradient[e] += level_bar[i] * basis[i, e]
    return True
