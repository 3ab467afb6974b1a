"""Null-event kinetic Monte Carlo: a bond is drawn by its weight, the hop accepted with g.

Every bond {i, j} is tried at its fixed rate w_ij, whatever the state: an alias
table draws one in constant time. Where one end is full and the other empty the
hole hops with probability g = min(1, A) or 1 / (1 + 1 / A); see
`kmc_rejection_free` for A. All other trials change nothing but time, which
advances by 1 / (sum of w) a trial. A trial costs the same at any N, a hop
that happens an update of N factors.

After every N^2 / 10 trials the net rates into all nodes are computed once and
stand for that stretch of time: the same expectations that the rejection-free
walk sums, at times that do not depend on the state. A tenth to a fifth of the
work goes there, and the variance is orders of magnitude below that of counted
hops (docs/monte-carlo.md).

Where Coulomb energies exceed what a double's exponent holds (`wide`), rates
come from exponentials.

Sources: A. J. Walker, ACM Trans. Math. Softw. 3, 253 (1977) and M. D. Vose,
IEEE Trans. Softw. Eng. 17, 972 (1991) for the table; T. P. Schulze, J. Comput.
Phys. 227, 2455 (2008) for rejection against rejection-free.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from inmateria.compiled import compiled
from inmateria.devices.dopant.kmc_random import uniform
from inmateria.devices.dopant.kmc_rejection_free import add_bonds, prepare, sweep
from inmateria.devices.dopant.rates import GLAUBER, both_ways

# Trials between two computations of all rates, at least.
FEWEST_TRIALS = 100


def bond_list(W: NDArray[np.float64], sites: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Every bond once: (n_bonds, 2) nodes, the site first, and its (n_bonds,) weight."""
    nodes = W.shape[0]
    i, j = np.nonzero(np.triu(W[:, :nodes], 1)[:sites])
    return np.column_stack([i, j]), W[i, j]


def alias_table(weight: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Walker's table by Vose's method: how likely an entry stays, and which one it gives else."""
    count = len(weight)
    share = weight * (count / weight.sum())
    stay = np.ones(count)
    other = np.arange(count)
    small = [k for k in range(count) if share[k] < 1.0]
    large = [k for k in range(count) if share[k] >= 1.0]
    while small and large:
        low, high = small.pop(), large[-1]
        stay[low], other[low] = share[low], high
        share[high] -= 1.0 - share[low]
        if share[high] < 1.0:
            small.append(large.pop())
    return stay, other


def packed(bond: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.uint16]:
    """(n_bonds, 4): the bond of an entry and the bond that it gives else, side by side."""
    return np.ascontiguousarray(np.concatenate([bond, bond[other]], axis=1).astype(np.uint16))


@compiled
def sweep_wide(r, d, n, K, W, rule, net, time, bonds, keep_bonds):  # type: ignore[no-untyped-def]
    """Net inflow of every node, with an exponential for every rate."""
    sites = n.shape[0]
    nodes = r.shape[0]
    for k in range(nodes):
        net[k] = 0.0
    for a in range(nodes):
        if a < sites and n[a] < 0.5:
            continue
        for b in range(nodes):
            if W[a, b] > 0.0 and (b >= sites or n[b] < 0.5):
                g = W[a, b] * both_ways(_cost(r, d, K, a, b), rule)[0]
                net[a] -= g
                net[b] += g
                if keep_bonds:
                    bonds[a, b] += time * g


@compiled
def _cost(r, d, K, a, b):  # type: ignore[no-untyped-def]
    sites = d.shape[0]
    cost = r[b] - r[a]
    if a < sites:
        cost -= d[a]
        if b < sites:
            cost -= K[a, b]
    if b < sites:
        cost += d[b]
    return cost


@compiled
def hop_null_event(  # type: ignore[no-untyped-def]
    n,
    d,
    r,
    K,
    W,
    F,
    Q,
    stay,
    ends,
    rate,
    rule,
    wide,
    hops,
    trials,
    random,
    total,
    bonds,
    keep_bonds,
):
    """Trials from occupations n, moved on in place, until `hops` happened or `trials` are over.

    Parameters
    ----------
    n : (n_sites,) array of 0.0 and 1.0
    d : (n_sites,) array, kT
        Energies above the reference r at n, moved on in place.
    r : (n_nodes,) array, kT
    K : (n_sites, n_sites) array, kT
    W, F : (n_nodes, width) arrays
        Weights, and what `kmc_rejection_free.factors` gives.
    Q : (n_sites, n_sites) array
        exp(K).
    stay, ends : arrays
        See `alias_table` and `packed`.
    rate : float
        Sum of the weights of all bonds.
    random : (4,) array
        A stream of `kmc_random`.
    total : (1 + n_nodes + n_sites,) array
        Gains the time, the net inflow of every node and the occupations, all
        weighted with time.
    bonds : (n_nodes, n_nodes) array
        Gains the holes over every bond, if `keep_bonds`.

    Returns
    -------
    hops that happened
    """
    sites = n.shape[0]
    nodes, width = W.shape
    count = ends.shape[0]
    x = np.ones(nodes)
    y = np.ones(nodes)
    since = np.zeros(sites)
    filled = np.zeros(nodes, dtype=np.uint8)
    source = np.ones(nodes)
    target = np.ones(width)
    out = np.zeros(nodes)
    net = np.zeros(width)
    mean = np.zeros(width)
    rows = np.empty(nodes, dtype=np.int64)
    for i in range(sites):
        filled[i] = n[i] > 0.5
        if not wide:
            x[i] = math.exp(d[i])
            y[i] = 1.0 / x[i]
    every = max(FEWEST_TRIALS, sites * sites // 10) * (10 if wide else 1)
    # The first look comes after half a stretch, so that even a short walk has one.
    look = every // 2
    looks = 0
    trial = 0
    done = 0
    while (done < hops and trial < trials) or looks == 0:
        trial += 1
        if trial == look:
            look += every
            looks += 1
            if wide:
                sweep_wide(r, d, n, K, W, rule, net, every / rate, bonds, keep_bonds)
            else:
                active = 0
                for k in range(nodes):
                    if k >= sites or filled[k]:
                        rows[active] = k
                        active += 1
                prepare(x, n, rule, source, target)
                sweep(source, target, rows, active, W, F, rule, out, net)
                if keep_bonds:
                    time = every / rate
                    add_bonds(source, target, n, rows, active, W, F, rule, time, bonds)
            for k in range(nodes):
                mean[k] += net[k]
        u = uniform(random) * count
        k = int(u)
        which = 2 if u - k >= stay[k] else 0
        a = np.int64(ends[k, which])
        b = np.int64(ends[k, which + 1])
        if b < sites and filled[a] == filled[b]:
            continue
        if not filled[a]:
            a, b = b, a
        if wide:
            g = both_ways(_cost(r, d, K, a, b), rule)[0]
        elif rule == GLAUBER:
            g = 1.0 / (1.0 + y[a] * F[a, b] * x[b])
        else:
            g = min(1.0, x[a] * F[a, b] * y[b])
        if uniform(random) >= g:
            continue
        done += 1
        if a < sites:
            n[a] = 0.0
            filled[a] = 0
            total[1 + nodes + a] += (trial - since[a]) / rate
        if b < sites:
            n[b] = 1.0
            filled[b] = 1
            since[b] = trial
        if wide:
            for i in range(sites):
                d[i] += (K[b, i] if b < sites else 0.0) - (K[a, i] if a < sites else 0.0)
        else:
            if a >= sites:
                for i in range(sites):
                    x[i] *= Q[b, i]
            elif b >= sites:
                for i in range(sites):
                    x[i] /= Q[a, i]
            else:
                for i in range(sites):
                    x[i] *= Q[b, i] / Q[a, i]
            for i in range(sites):
                y[i] = 1.0 / x[i]
    if not wide:
        for i in range(sites):
            d[i] = math.log(x[i])
    total[0] += trial / rate
    for k in range(nodes):
        total[1 + k] += mean[k] / looks * trial / rate
    for i in range(sites):
        if n[i] > 0.5:
            total[1 + nodes + i] += (trial - since[i]) / rate
    return done
