"""Many operating points walking at once: their states, and how they move on.

A point's walk is cut into blocks of hops, and long blocks into pieces; every
piece starts by computing all energies from the occupations afresh, so rounding
errors of multiplied factors do not pile up: a hop adds two roundings of 1.1e-16
to each factor, a piece of `PIECE` hops 5e-12 at most.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from inmateria.compiled import compiled_parallel
from inmateria.devices.dopant.kmc_null_event import alias_table, bond_list, hop_null_event, packed
from inmateria.devices.dopant.kmc_random import streams
from inmateria.devices.dopant.kmc_rejection_free import factors, hop_rejection_free
from inmateria.devices.dopant.model import HoppingModel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Hops between two computations of all energies.
PIECE = 20_000
# Hops times sites of one compiled call for each core: about half a second, after which Python
# looks for Ctrl-C.
CALL = 10_000_000
# A piece of null-event walk ends after this many trials per hop that was asked for.
MOST_TRIALS = 1000
# Columns of the rate matrices: a multiple of two vectors of four doubles.
COLUMNS = 8
# Coulomb energies may differ by this much from those of the mean occupations before factors
# would leave the range of a double.
MOST_SPREAD_KT = 155.0


@dataclass
class Network:
    """What all points share: weights, Coulomb factors, the table of bonds."""

    W: FloatArray
    K: FloatArray
    Q: FloatArray
    stay: FloatArray
    ends: NDArray[np.uint16]
    rate: float
    rule: int
    wide: bool

    @classmethod
    def of(cls, model: HoppingModel, rule: int) -> Network:
        """The arrays of a model."""
        _, _, K, w, we, _ = model.kernel_arrays()
        sites, nodes = model.n_sites, model.n_sites + model.n_electrodes
        W = np.zeros((nodes, -(-nodes // COLUMNS) * COLUMNS))
        W[:sites, :sites] = w
        W[:sites, sites:nodes] = we
        W[sites:, :sites] = we.T
        wide = bool(K.sum(axis=1).max() > MOST_SPREAD_KT)
        Q = np.exp(np.minimum(K, MOST_SPREAD_KT))
        bond, weight = bond_list(W, sites)
        stay, other = alias_table(weight)
        return cls(W, K, Q, stay, packed(bond, other), float(weight.sum()), rule, wide)


@dataclass
class Walks:
    """States of all points: reference energies, occupations, random streams.

    Attributes
    ----------
    mean : (n_points, n_sites) array
        Mean occupations that the reference energies belong to.
    reference : (n_points, n_nodes) array, kT
    n : (n_points, n_sites) array of 0.0 and 1.0
    random : (n_points, 4) array
    null_event : (n_points,) array of bool
    """

    network: Network
    mean: FloatArray
    reference: FloatArray
    n: FloatArray
    random: NDArray[np.uint64]
    null_event: NDArray[np.bool_]

    @classmethod
    def begin(
        cls, model: HoppingModel, network: Network, voltage: FloatArray, mean: FloatArray, seed: int
    ) -> Walks:
        """Every point at its mean occupations, rounded."""
        basis, eps, K, _, _, _ = model.kernel_arrays()
        site = voltage @ basis.T + eps + mean @ K
        reference = np.concatenate([site, voltage / model.kt_ev], axis=1)
        points = len(voltage)
        n = (mean > 0.5).astype(np.float64)
        return cls(network, mean, reference, n, streams(seed, 0, points), np.zeros(points, bool))

    def part(self, points: slice) -> Walks:
        """Some of the points; they share their arrays with these."""
        return Walks(
            self.network,
            self.mean[points],
            self.reference[points],
            self.n[points],
            self.random[points],
            self.null_event[points],
        )

    @property
    def width(self) -> int:
        """Numbers in a record: time, inflow of every node, occupations, hops."""
        return 2 + int(self.reference.shape[1] + self.n.shape[1])

    def walk(
        self,
        chosen: IntArray,
        hops: IntArray,
        record: FloatArray,
        bonds: FloatArray | None = None,
        *,
        after: Callable[[int], None] | None = None,
    ) -> None:
        """Blocks of `hops` hops at the points `chosen`, added to their records.

        Parameters
        ----------
        chosen, hops : (n_chosen,) arrays
        record : (n_chosen, n_blocks, width) array
        bonds : (n_points, n_nodes, n_nodes) array, optional
            Gains the holes over every bond.
        after : function, optional
            Called with the number of hops after each compiled call.
        """
        net = self.network
        keep = bonds is not None
        into = bonds if bonds is not None else np.empty((len(self.n), 1, 1))
        budget = CALL // self.n.shape[1] * numba.get_num_threads()
        blocks = record.shape[1]
        begin = 0
        while begin < len(chosen):
            # As many points as fit into a call with one block each, then as many blocks.
            end = begin + 1 + int((hops[begin:].cumsum() + hops[begin] < budget).sum())
            end = min(end, len(chosen))
            part = slice(begin, end)
            longest, together = int(hops[part].max()), int(hops[part].sum())
            at_once = max(1, min(blocks, budget // together)) if longest <= PIECE else 1
            for block in range(0, blocks, at_once):
                for done in range(0, longest, PIECE):
                    some = np.minimum(hops[part] - done, PIECE).clip(0)
                    _walk(
                        chosen[part],
                        some,
                        record[part, block : block + at_once],
                        self.reference,
                        self.mean,
                        self.n,
                        self.random,
                        self.null_event,
                        net.W,
                        net.K,
                        net.Q,
                        net.stay,
                        net.ends,
                        net.rate,
                        net.rule,
                        net.wide,
                        into,
                        keep,
                    )
                    if after is not None:
                        after(int(some.sum()) * min(at_once, blocks - block))
            begin = end


@compiled_parallel
def _walk(  # type: ignore[no-untyped-def]
    chosen,
    hops,
    record,
    reference,
    mean,
    n,
    random,
    null_event,
    W,
    K,
    Q,
    stay,
    ends,
    rate,
    rule,
    wide,
    bonds,
    keep_bonds,
):
    for c in numba.prange(chosen.shape[0]):
        p = chosen[c]
        r = reference[p]
        F = np.ones(W.shape)
        state = n[p]
        d = np.empty(state.shape[0])
        flow = bonds[p]
        if not wide:
            factors(r, K, rule, F)
        for block in range(record.shape[1]):
            total = record[c, block]
            for i in range(d.shape[0]):
                s = 0.0
                for j in range(d.shape[0]):
                    s += K[i, j] * (state[j] - mean[p, j])
                d[i] = s
            if null_event[p]:
                done = hop_null_event(
                    state, d, r, K, W, F, Q, stay, ends, rate, rule, wide,
                    hops[c], MOST_TRIALS * hops[c], random[p], total, flow, keep_bonds,
                )  # fmt: skip
            else:
                done = hops[c]
                hop_rejection_free(
                    state, d, W, F, Q, rule, done, random[p], total, flow, keep_bonds
                )
            total[total.shape[0] - 1] += done
