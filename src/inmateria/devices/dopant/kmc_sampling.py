"""How long to walk: warm up until the start is forgotten, go on until the error is small.

Warm-up: `BLOCKS` blocks of hops; where the marginal standard error rule (see
`kmc_blocks`) wants more than half of them left out, the walk goes on with
blocks twice as long. All of it is thrown away.

Sampling: after `BLOCKS` / 2 blocks, and then after every eighth part of
`BLOCKS`, the points whose standard error is small enough leave. When all blocks
are full neighbours are added, which halves their number and doubles their
length, so blocks grow with the run and outgrow any correlation time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inmateria.devices.dopant.kmc_blocks import pairs, ratio, truncation
from inmateria.devices.dopant.kmc_walk import Walks

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

BLOCKS = 64
# Hops per site of the shortest block, and its hops at least.
FIRST_BLOCK = 8
SHORTEST_BLOCK = 64
# Warm-up gives up, and says so, after this share of the most hops.
WARM_UP_SHARE = 0.5


@dataclass(frozen=True)
class Plan:
    """When to stop.

    Attributes
    ----------
    hops : int, optional
        Walk that many hops, whatever the error.
    error : (n_points,) array, optional
        Else walk to this standard error of every electrode in `watched`.
    relative : bool
        `error` is in units of the point's largest electrode current.
    most_hops : int
        At most that many hops, if walking to an error.
    """

    hops: int | None
    error: FloatArray | None
    relative: bool
    most_hops: int
    watched: tuple[int, ...]


@dataclass(frozen=True)
class Samples:
    """What the walks gave, one row per point; currents in holes per 1 / nu0."""

    current: FloatArray
    current_error: FloatArray
    occupation: FloatArray
    occupation_error: FloatArray
    bonds: FloatArray | None
    hops: IntArray
    warm_up: IntArray
    settled: BoolArray
    reached: BoolArray
    blocks: IntArray

    @classmethod
    def joined(cls, parts: list[Samples]) -> Samples:
        """Several groups of points as one."""
        columns: dict[str, Any] = {}
        for field in fields(cls):
            found = [getattr(part, field.name) for part in parts]
            columns[field.name] = None if found[0] is None else np.concatenate(found)
        return cls(**columns)


def warm_up(
    walks: Walks, most_hops: int, after: Callable[[int], None] | None
) -> tuple[IntArray, IntArray, BoolArray]:
    """Walk until the start is forgotten: block length, hops walked, whether it was forgotten."""
    points, sites = walks.n.shape
    nodes = walks.reference.shape[1]
    length = np.full(points, max(FIRST_BLOCK * sites, SHORTEST_BLOCK))
    walked = np.zeros(points, dtype=np.int64)
    settled = np.zeros(points, dtype=bool)
    pending = np.arange(points)
    while len(pending):
        record = np.zeros((len(pending), BLOCKS, walks.width))
        walks.walk(pending, length[pending], record, after=after)
        walked[pending] += record[..., -1].sum(axis=1).astype(np.int64)
        flow = record[..., 1 + sites : 1 + nodes]
        filled = record[..., 1 + nodes : 1 + nodes + sites].sum(axis=-1, keepdims=True)
        series = np.concatenate([flow, filled], axis=-1) / record[..., :1]
        settled[pending] = truncation(series) <= BLOCKS // 2
        pending = pending[~settled[pending]]
        pending = pending[2 * length[pending] * BLOCKS <= WARM_UP_SHARE * most_hops]
        length[pending] *= 2
    return length, walked, settled


def sample(
    walks: Walks,
    control: FloatArray,
    plan: Plan,
    *,
    keep_bonds: bool = False,
    after: Callable[[int], None] | None = None,
) -> Samples:
    """Warm up, then walk as planned.

    Parameters
    ----------
    control : (n_points, n_electrodes, n_sites) array
        See `kmc_control`.
    after : function, optional
        Called with the number of hops after each compiled call.
    """
    points, sites = walks.n.shape
    nodes = walks.reference.shape[1]
    length, walked, settled = warm_up(walks, plan.most_hops, after)
    record = np.zeros((points, BLOCKS, walks.width))
    bonds = np.zeros((points, nodes, nodes)) if keep_bonds else None
    blocks = np.zeros(points, dtype=np.int64)
    reached = np.zeros(points, dtype=bool)
    active = np.arange(points)
    if plan.hops is not None:
        length[:] = -(-plan.hops // BLOCKS)
    have = 0
    while len(active):
        add = BLOCKS if plan.hops is not None else (BLOCKS // 2 if have == 0 else BLOCKS // 8)
        fresh = np.zeros((len(active), add, walks.width))
        walks.walk(active, length[active], fresh, bonds, after=after)
        record[active, have : have + add] = fresh
        have += add
        blocks[active] = have
        if plan.hops is not None:
            reached[:] = True
            break
        mean, error = _currents(record[active, :have], control[active], sites, nodes)
        assert plan.error is not None
        wanted = plan.error[active]
        if plan.relative:
            wanted = wanted * np.abs(mean).max(axis=-1)
        good = (error[:, list(plan.watched)] <= wanted[:, None]).all(axis=-1)
        reached[active[good]] = True
        spent = record[active, :have, -1].sum(axis=1) >= plan.most_hops
        active = active[~good & ~spent]
        if have == BLOCKS:
            have = BLOCKS // 2
            record[active, :have] = pairs(record[active])
            record[active, have:] = 0.0
            length[active] *= 2
    # Blocks not walked hold zeros and must not count as blocks.
    current, current_error, occupation, occupation_error = (
        np.zeros((points, k)) for k in (nodes - sites, nodes - sites, sites, sites)
    )
    for have in np.unique(blocks):
        some = np.flatnonzero(blocks == have)
        part = record[some, :have]
        current[some], current_error[some] = _currents(part, control[some], sites, nodes)
        occupation[some], occupation_error[some] = ratio(
            part[..., 1 + nodes : 1 + nodes + sites], part[..., 0]
        )
    if bonds is not None:
        bonds /= record[..., 0].sum(axis=1)[:, None, None]
        bonds -= bonds.swapaxes(1, 2).copy()
    return Samples(
        current=current,
        current_error=current_error,
        occupation=occupation,
        occupation_error=occupation_error,
        bonds=bonds,
        hops=record[..., -1].sum(axis=1).astype(np.int64),
        warm_up=walked,
        settled=settled,
        reached=reached,
        blocks=blocks,
    )


def _currents(
    record: FloatArray, control: FloatArray, sites: int, nodes: int
) -> tuple[FloatArray, FloatArray]:
    into = record[..., 1 : 1 + sites] @ control.swapaxes(-1, -2)
    return ratio(record[..., 1 + sites : 1 + nodes] + into, record[..., 0])
