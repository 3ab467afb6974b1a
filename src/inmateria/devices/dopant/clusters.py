"""Tight pairs of sites, and the table of hops between the states of clusters.

Two acceptors whose holes feel each other strongly, or that exchange a hole much
faster than either does anything else, are one cluster whose joint occupation is
a variable of its own; every other site is a cluster by itself. The clusters
follow from the device alone, so I(V) stays smooth.

A single site has one unknown, its occupation; a pair has three, the
probabilities of (1, 0), (0, 1) and (1, 1). What is left to one is the state
with no hole, which stands behind the unknowns, one per cluster; the last entry
of the vector of probabilities is the constant 1, so that a hop that involves
one cluster only has the same form as one between two:

    J = w [P_s1 P_s2 g(x) - P_t1 P_t2 g(-x)]

with s the states that the hop leaves and t those that it reaches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inmateria.devices.dopant.model import HoppingModel

FloatArray = NDArray[np.float64]
# Unsigned, so that compiled code need not look for negative ones; short, to stay in the cache.
IndexArray = NDArray[np.uint32]

# Coulomb energy (kT) from which two sites always are a pair.
STRONG_KT = 1.5
# The same for two sites that exchange a hole this many times faster than either hops elsewhere.
COUPLED_KT = 0.4
FASTER = 5.0


def tight_pairs(model: HoppingModel) -> tuple[tuple[int, int], ...]:
    """Disjoint pairs of sites to be treated exactly, the most strongly interacting first."""
    K, w = model.pair_coulomb_kt, model.pair_weight
    total = w.sum(axis=1) + model.electrode_weight.sum(axis=1)
    rest = np.maximum(total[:, None] - w, total[None, :] - w)
    tight = (K >= STRONG_KT) | ((K >= COUPLED_KT) & (w >= FASTER * rest))
    rows, columns = np.nonzero(np.triu(tight, 1))
    taken: set[int] = set()
    pairs = []
    for k in np.argsort(-K[rows, columns], kind="stable"):
        i, j = int(rows[k]), int(columns[k])
        if not {i, j} & taken:
            taken |= {i, j}
            pairs.append((i, j))
    return tuple(pairs)


@dataclass(frozen=True)
class Hops:
    """Every hop of a network, as the compiled kernels want it.

    Attributes
    ----------
    ends : (n_hops, 7) array
        Level that the hop leaves and level that it reaches (sites first, then
        electrodes), the states s1, s2, t1, t2, and how many own sites follow.
    rates : (n_hops, 2) array
        Weight, and what the hop's cost is shifted by for the states of the
        partners in its clusters, kT.
    own, pull : (n_hops, 4) arrays
        Sites of the hop's own clusters (`n_sites` where there are fewer) and
        what each would add to the cost per hole, kT; the cost counts their
        actual states instead of their means.
    states : (n_sites, 2) array
        The two states of a site's cluster in which it is full; the same one
        twice for a single site.
    reference : (n_unknowns,) array
        For each unknown the empty state of its cluster.
    n_bonds, n_contacts : int
        Hops between two single sites stand first, those from a single site to
        an electrode after them.
    n_unknowns, n_states : int
        Without and with the empty states and the constant.
    """

    ends: IndexArray
    rates: FloatArray
    own: IndexArray
    pull: FloatArray
    states: IndexArray
    reference: IndexArray
    n_bonds: int
    n_contacts: int
    n_unknowns: int
    n_states: int


def list_hops(model: HoppingModel, pairs: tuple[tuple[int, int], ...] = ()) -> Hops:
    """The hops of a network whose `pairs` are clusters; with none, those of the mean field."""
    n, K = model.n_sites, model.pair_coulomb_kt
    partner = np.full(n, -1)
    for i, j in pairs:
        partner[i], partner[j] = j, i
    n_clusters = n - len(pairs)
    n_unknowns = n + len(pairs)
    constant = n_unknowns + n_clusters
    # full[i, a], empty[i, a]: state of i's cluster with i full or empty and its partner at a
    full = np.empty((n, 2), dtype=np.uint32)
    empty = np.empty((n, 2), dtype=np.uint32)
    reference = np.empty(n_unknowns, dtype=np.uint32)
    at, cluster = 0, n_unknowns
    for i in range(n):
        j = int(partner[i])
        if j < 0:
            full[i], empty[i] = at, cluster
            reference[at] = cluster
            at += 1
        elif i < j:
            full[i], full[j] = (at, at + 2), (at + 1, at + 2)
            empty[i], empty[j] = (cluster, at + 1), (cluster, at)
            reference[at : at + 3] = cluster
            at += 3
        else:
            continue
        cluster += 1
    ends, rates, own, pull = [], [], [], []

    def add(levels: tuple[int, int], s: tuple[int, int], t: tuple[int, int], w: float,
            members: list[tuple[int, float, int]]) -> None:  # fmt: skip
        # members: site, its pull, its state in this hop beyond what E_j - E_i - K_ij counts
        members = [m for m in members if m[0] >= 0]
        spare = 4 - len(members)
        ends.append((*levels, *s, *t, len(members)))
        rates.append((w, sum(pull_kt * state for _, pull_kt, state in members)))
        own.append([m[0] for m in members] + [n] * spare)
        pull.append([m[1] for m in members] + [0.0] * spare)

    bonds = [(int(i), int(j)) for i, j in np.argwhere(np.triu(model.pair_weight, 1) > 0)]
    bonds.sort(key=lambda bond: bool(partner[bond[0]] >= 0 or partner[bond[1]] >= 0))
    n_bonds = sum(partner[i] < 0 and partner[j] < 0 for i, j in bonds)
    contacts = [(int(i), int(e)) for i, e in np.argwhere(model.electrode_weight > 0)]
    contacts.sort(key=lambda contact: bool(partner[contact[0]] >= 0))
    n_contacts = sum(partner[i] < 0 for i, _ in contacts)

    def add_bond(i: int, j: int) -> None:
        w, p, q = float(model.pair_weight[i, j]), int(partner[i]), int(partner[j])
        two = [(i, float(K[i, j]), 0), (j, -float(K[i, j]), 0)]
        if p == j:
            add((i, j), (int(full[i, 0]), constant), (int(full[j, 0]), constant), w, two)
            return
        for a in range(2 if p >= 0 else 1):
            for b in range(2 if q >= 0 else 1):
                there = (int(full[i, a]), int(empty[j, b]))
                back = (int(empty[i, a]), int(full[j, b]))
                beside = [
                    (p, float(K[j, p] - K[i, p]) if p >= 0 else 0.0, a),
                    (q, float(K[j, q] - K[i, q]) if q >= 0 else 0.0, b),
                ]
                add((i, j), there, back, w, two + beside)

    def add_contact(i: int, e: int) -> None:
        p = int(partner[i])
        for a in range(2 if p >= 0 else 1):
            beside = [(p, -float(K[i, p]) if p >= 0 else 0.0, a)]
            there, back = (int(full[i, a]), constant), (int(empty[i, a]), constant)
            add((i, n + e), there, back, float(model.electrode_weight[i, e]), beside)

    for bond in bonds[:n_bonds]:
        add_bond(*bond)
    for contact in contacts[:n_contacts]:
        add_contact(*contact)
    for bond in bonds[n_bonds:]:
        add_bond(*bond)
    for contact in contacts[n_contacts:]:
        add_contact(*contact)
    return Hops(
        ends=np.array(ends, dtype=np.uint32).reshape(-1, 7),
        rates=np.array(rates, dtype=np.float64).reshape(-1, 2),
        own=np.array(own, dtype=np.uint32).reshape(-1, 4),
        pull=np.array(pull, dtype=np.float64).reshape(-1, 4),
        states=full,
        reference=reference,
        n_bonds=int(n_bonds),
        n_contacts=int(n_contacts),
        n_unknowns=n_unknowns,
        n_states=constant + 1,
    )
