"""Rejection-free kinetic Monte Carlo (n-fold way) without an exponential in the loop.

Nodes are the sites and, behind them, the electrodes. With E_i = r_i + d_i, r a
fixed reference per operating point, a hop from node i to node j has the
Boltzmann factor

    A_ij = exp(E_i - E_j + K_ij) = X_i G_ij Y_j
    X_i = exp(d_i),  Y_j = exp(-d_j),  G_ij = exp(r_i - r_j + K_ij)

and the rate w min(1, A) (Miller-Abrahams) or w / (1 + 1 / A) (Glauber). K_ij is
zero and d vanishes for electrodes. G is made once per operating point; a hop
a -> b multiplies X_k by exp(K_kb - K_ka), a product of stored numbers. r is
what mean occupations give, so d holds fluctuations only.

Every state counts with its mean waiting time 1 / (sum of rates), and what is
summed is the expected net rate into every node, not the hops that happen:
both have less variance than drawn times and counted hops.

Source: A. B. Bortz, M. H. Kalos and J. L. Lebowitz, J. Comput. Phys. 17, 10
(1975).
"""

from __future__ import annotations

import math

import numpy as np

from inmateria.compiled import compiled
from inmateria.devices.dopant.kmc_random import uniform
from inmateria.devices.dopant.rates import GLAUBER

# G is held inside exp(+-350). With fluctuations of at most 155 kT (`kmc.MOST_SPREAD_KT`)
# X_i G_ij Y_j stays below exp(660), inside a double, and a clipped factor still means a rate
# of w or of less than w exp(-40).
LARGEST_FACTOR_KT = 350.0
# Stands for X of a full site, which no hole may enter: X_j / (X_i G_ij) is then exp(45) at
# least. Larger would make rates that are denormal numbers, which processors are slow at.
FULL = math.exp(550.0)


@compiled
def factors(r, K, rule, F):  # type: ignore[no-untyped-def]
    """G (Miller-Abrahams) or 1 / G (Glauber) of every pair of nodes, into F."""
    nodes, sites = r.shape[0], K.shape[0]
    for i in range(nodes):
        for j in range(nodes):
            g = r[i] - r[j]
            if i < sites and j < sites:
                g += K[i, j]
            g = min(max(g, -LARGEST_FACTOR_KT), LARGEST_FACTOR_KT)
            F[i, j] = math.exp(-g if rule == GLAUBER else g)


@compiled
def sweep(source, target, rows, active, W, F, rule, out, net):  # type: ignore[no-untyped-def]
    """Rates of all hops from the first `active` of the nodes `rows`, summed.

    `out` gets every row's sum, `net` the net inflow of every node. One function
    for all rows, because a call per row would cost as much as the row.
    """
    width = W.shape[1]
    everything = 0.0
    for j in range(width):
        net[j] = 0.0
    for k in range(active):
        a = rows[k]
        f = source[a]
        s = 0.0
        if rule == GLAUBER:
            for j in range(width):
                rate = W[a, j] / (1.0 + f * F[a, j] * target[j])
                net[j] += rate
                s += rate
        else:
            for j in range(width):
                rate = W[a, j] * min(1.0, f * F[a, j] * target[j])
                net[j] += rate
                s += rate
        out[k] = s
        everything += s
    for k in range(active):
        net[rows[k]] -= out[k]
    return everything


@compiled
def prepare(x, n, rule, source, target):  # type: ignore[no-untyped-def]
    """What rows and columns of the rates are multiplied by.

    X and Y for Miller-Abrahams; the other way round for Glauber, whose factors
    are inverse.
    """
    for i in range(n.shape[0]):
        y = 1.0 / x[i]
        if rule == GLAUBER:
            source[i] = y
            target[i] = FULL if n[i] > 0.5 else x[i]
        else:
            source[i] = x[i]
            target[i] = 0.0 if n[i] > 0.5 else y


@compiled
def add_bonds(source, target, n, rows, active, W, F, rule, time, bonds):  # type: ignore[no-untyped-def]
    """The holes that every bond carries in `time`, added to `bonds`."""
    for k in range(active):
        a = rows[k]
        for j in range(bonds.shape[1]):
            if W[a, j] > 0.0 and (j >= n.shape[0] or n[j] < 0.5):
                f = source[a] * F[a, j] * target[j]
                bonds[a, j] += (
                    time * W[a, j] * (1.0 / (1.0 + f) if rule == GLAUBER else min(1.0, f))
                )


@compiled
def hop_rejection_free(n, d, W, F, Q, rule, hops, random, total, bonds, keep_bonds):  # type: ignore[no-untyped-def]
    """Some hops from occupations n, moved on in place; sums into `total` and `bonds`.

    Parameters
    ----------
    n : (n_sites,) array of 0.0 and 1.0
    d : (n_sites,) array, kT
        Energies above the reference at n, moved on in place.
    W, F : (n_nodes, width) arrays
        Weights, and what `factors` gives; columns past n_nodes hold zero weights.
    Q : (n_sites, n_sites) array
        exp(K).
    hops : int
    random : (4,) array
        A stream of `kmc_random`.
    total : (1 + n_nodes + n_sites,) array
        Gains the time, the net inflow of every node and the occupations, all
        weighted with time.
    bonds : (n_nodes, n_nodes) array
        Gains the holes over every bond, if `keep_bonds`.
    """
    sites = n.shape[0]
    nodes, width = W.shape
    x = np.empty(sites)
    source = np.ones(nodes)
    target = np.ones(width)
    net = np.zeros(width)
    out = np.zeros(nodes)
    # Nodes that hold a hole: electrodes always do.
    rows = np.empty(nodes, dtype=np.int64)
    place = np.zeros(nodes, dtype=np.int64)
    active = nodes - sites
    for e in range(active):
        rows[e] = sites + e
    for i in range(sites):
        x[i] = math.exp(d[i])
        if n[i] > 0.5:
            rows[active] = i
            place[i] = active
            active += 1
    for _ in range(hops):
        prepare(x, n, rule, source, target)
        everything = sweep(source, target, rows, active, W, F, rule, out, net)
        time = 1.0 / everything
        total[0] += time
        for k in range(nodes):
            total[1 + k] += time * net[k]
        for i in range(sites):
            total[1 + nodes + i] += time * n[i]
        if keep_bonds:
            add_bonds(source, target, n, rows, active, W, F, rule, time, bonds)
        level = uniform(random) * everything
        k = 0
        while k < active - 1 and level >= out[k]:
            level -= out[k]
            k += 1
        a = rows[k]
        b = -1
        for j in range(nodes):
            # Rounding at the end of a row must not choose a full site.
            if W[a, j] > 0.0 and (j >= sites or n[j] < 0.5):
                f = source[a] * F[a, j] * target[j]
                b = j
                level -= W[a, j] / (1.0 + f) if rule == GLAUBER else W[a, j] * min(1.0, f)
                if level < 0.0:
                    break
        if b < 0:
            continue
        if a < sites:
            n[a] = 0.0
            active -= 1
            moved = rows[active]
            rows[place[a]] = moved
            place[moved] = place[a]
            if b < sites:
                for i in range(sites):
                    x[i] *= Q[b, i] / Q[a, i]
            else:
                for i in range(sites):
                    x[i] /= Q[a, i]
        else:
            for i in range(sites):
                x[i] *= Q[b, i]
        if b < sites:
            n[b] = 1.0
            rows[active] = b
            place[b] = active
            active += 1
    for i in range(sites):
        d[i] = math.log(x[i])
