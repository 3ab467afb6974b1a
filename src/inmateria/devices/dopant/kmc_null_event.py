"""Null-event kinetic Monte Carlo: a bond is drawn by its weight, the hop accepted with g.

Every bond {i, j} is tried at its fixed rate w_ij, whatever the state: an alias
table draws one in constant time. Where one end is full and the other empty the
hole hops with probability g = min(1, A) or 1 / (1 + 1 / A); see
`kmc_rejection_free` for A. All other trials change nothing but time, which
advances by 1 / (sum of w) a trial. A trial costs the same at any N, a hop
that happens an update of N factors.

Each trial adds its expected flow g over the bond to the sums, whether the hop
happens or not: the same mean as counted hops, with less variance.

Where Coulomb energies exceed what a double's exponent holds (`wide`), g comes
from one exponential per trial.

Sources: A. J. Walker, ACM Trans. Math. Softw. 3, 253 (1977) and M. D. Vose,
IEEE Trans. Softw. Eng. 17, 972 (1991) for the table; T. P. Schulze, J. Comput.
Phys. 227, 2455 (2008) for rejection against rejection-free; D. Frenkel, Proc.
Natl. Acad. Sci. 101, 17571 (2004) for the use of rejected trials.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from inmateria.devices.dopant.compiled import compiled
from inmateria.devices.dopant.kmc_random import uniform
from inmateria.devices.dopant.rates import GLAUBER, both_ways


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


@compiled
def hop_null_event(  # type: ignore[no-untyped-def]
    n,
    d,
    r,
    K,
    F,
    Q,
    bond,
    stay,
    other,
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
        Energies above the reference r at n; moved on if `wide`.
    r : (n_nodes,) array, kT
    K : (n_sites, n_sites) array, kT
    F : (n_nodes, width) array
        What `kmc_rejection_free.factors` gives.
    Q : (n_sites, n_sites) array
        exp(K).
    bond, stay, other : arrays
        See `bond_list` and `alias_table`.
    rate : float
        Sum of the weights.
    random : (4,) array
        A stream of `kmc_random`.
    total : (1 + n_nodes + n_sites,) array
        Gains the time, the net inflow of every node and the occupations, all
        weighted with time.
    bonds : (n_nodes, n_nodes) array
        Gains the holes over every bond, if `keep_bonds`.

    Returns
    -------
    hops that happened, trials made
    """
    sites = n.shape[0]
    nodes = r.shape[0]
    count = bond.shape[0]
    x = np.ones(nodes)
    y = np.ones(nodes)
    since = np.zeros(sites)
    if not wide:
        for i in range(sites):
            x[i] = math.exp(d[i])
            y[i] = 1.0 / x[i]
    trial = 0
    done = 0
    while done < hops and trial < trials:
        trial += 1
        u = uniform(random) * count
        k = int(u)
        if u - k >= stay[k]:
            k = other[k]
        a = bond[k, 0]
        b = bond[k, 1]
        if b < sites:
            if n[a] == n[b]:
                continue
            if n[a] < 0.5:
                a, b = b, a
        elif n[a] < 0.5:
            a, b = b, a
        if wide:
            cost = r[b] - r[a]
            if a < sites:
                cost -= d[a]
                if b < sites:
                    cost -= K[a, b]
            if b < sites:
                cost += d[b]
            g = both_ways(cost, rule)[0]
        elif rule == GLAUBER:
            g = 1.0 / (1.0 + y[a] * F[a, b] * x[b])
        else:
            g = min(1.0, x[a] * F[a, b] * y[b])
        total[1 + a] -= g
        total[1 + b] += g
        if keep_bonds:
            bonds[a, b] += g
        if uniform(random) >= g:
            continue
        done += 1
        if a < sites:
            n[a] = 0.0
            total[1 + nodes + a] += (trial - since[a]) / rate
        if b < sites:
            n[b] = 1.0
            since[b] = trial
        if wide:
            for i in range(sites):
                d[i] += (K[b, i] if b < sites else 0.0) - (K[a, i] if a < sites else 0.0)
        elif a >= sites:
            for i in range(sites):
                x[i] *= Q[b, i]
                y[i] = 1.0 / x[i]
        elif b >= sites:
            for i in range(sites):
                x[i] /= Q[a, i]
                y[i] = 1.0 / x[i]
        else:
            for i in range(sites):
                x[i] *= Q[b, i] / Q[a, i]
                y[i] = 1.0 / x[i]
    total[0] += trial / rate
    for i in range(sites):
        if n[i] > 0.5:
            total[1 + nodes + i] += (trial - since[i]) / rate
    return done, trial
