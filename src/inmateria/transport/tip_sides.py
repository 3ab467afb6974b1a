"""A sample's two sides, which a tip at any position can be put between.

Let c_i be G b on the last slice before slice i and d_i be b^T G b, with b the source's open
modes and G that of the part before slice i alone. From c_0 = -b, d_0 = 0,

    c_{i+1} = -S_i c_i,    d_{i+1} = d_i + c_i^T S_i c_i.

The part from slice i on is, for the slice before it, the self-energy Z_i,

    Z_n = Sigma_drain,    Z_i = (A_i - Z_{i+1})^-1,

complex, as the drain is part of it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inmateria.compiled import compiled, compiled_unlocked
from inmateria.transport.sweep import Plan, assemble
from inmateria.transport.transforms import cosine_transform


class Sides(NamedTuple):
    """A sample without a tip, eliminated from both of its ends.

    Attributes
    ----------
    kept : (sum of counts^2,) array
        S_i.
    c : (n_x, n_open, n_y) array
    d : (n_x, n_open, n_open) array
    ready : (n_x,) bool array
        Where c_i, d_i and S_{i-1} stand: not where slice i - 1 waited for slice i.
    beyond : (sum of counts^2 + counts[-1]^2,) complex array
        Z_i from i = 1 on, each where S_i stands, and that of the drain last.
    """

    kept: NDArray[np.float64]
    c: NDArray[np.float64]
    d: NDArray[np.float64]
    ready: NDArray[np.bool_]
    beyond: NDArray[np.complex128]


def make_sides(plan: Plan) -> Sides:
    """Room for the sides of a sample; nothing is ready but its first slice."""
    n_x, n_y = plan.tail.shape
    n_open, last = plan.velocity_in.size, int(plan.counts[-1])
    size = int((plan.counts**2).sum())
    sides = Sides(
        np.empty(size),
        np.zeros((n_x, n_open, n_y)),
        np.zeros((n_x, n_open, n_open)),
        np.zeros(n_x, dtype=np.bool_),
        np.empty(size + last**2, dtype=np.complex128),
    )
    sides.c[0] = -plan.into.T
    sides.ready[0] = True
    sides.beyond[size:] = -(plan.drain + 1j * plan.drain_imag)[:last, :last].ravel()
    return sides


@compiled
def self_energy(plan, sides, i):  # type: ignore[no-untyped-def]
    """Z_i, a view."""
    n_x = plan.counts.size
    n = plan.counts[min(i, n_x - 1)]
    start = plan.starts[i] if i < n_x else sides.kept.size
    return sides.beyond[start : start + n * n].reshape((n, n))


@compiled
def with_slice(plan, waiting, i, B):  # type: ignore[no-untyped-def]
    """A symmetric matrix of slices that wait, none perhaps, and of slice i's lower triangle B."""
    n_before, n = waiting.shape[0], plan.counts[i]
    matrix = np.zeros((n_before + n, n_before + n))
    for m in range(n_before):
        for k in range(n_before):
            matrix[m, k] = waiting[m, k]
    for m in range(n):
        for k in range(m + 1):
            matrix[n_before + m, n_before + k] = B[m, k]
            matrix[n_before + k, n_before + m] = B[m, k]
    if n_before:
        neighbour = plan.counts[i - 1]
        for m in range(min(n, neighbour)):
            matrix[n_before - neighbour + m, n_before + m] = 1.0
            matrix[n_before + m, n_before - neighbour + m] = 1.0
    return matrix


@compiled
def minus_self_energy(matrix, n, Z):  # type: ignore[no-untyped-def]
    """A matrix minus Z at its last n modes, complex."""
    n_all = matrix.shape[0]
    start, shared = n_all - n, min(n, Z.shape[0])
    found = np.empty((n_all, n_all), dtype=np.complex128)
    for m in range(n_all):
        for k in range(n_all):
            found[m, k] = matrix[m, k]
    for m in range(shared):
        for k in range(shared):
            found[start + m, start + k] -= Z[m, k]
    return found


@compiled_unlocked
def from_drain(plan, potential, first, sides):  # type: ignore[no-untyped-def]
    """Z_i of the slices from `first` on, of a potential (n_x, n_y) in t."""
    n_x, n_y = potential.shape
    B = np.empty((n_y, n_y))
    terms = np.empty((1, 2 * n_y + 4))
    scratch = np.empty((2, 1, n_y + 2))
    nothing = np.empty((0, 0))
    for i in range(n_x - 1, first - 1, -1):
        n = plan.counts[i]
        cosine_transform(plan, potential[i : i + 1], 2 * n + 1, terms, scratch)
        assemble(plan, i, terms[0], nothing, B)
        alone = with_slice(plan, nothing, i, B)
        matrix = minus_self_energy(alone, n, self_energy(plan, sides, i + 1))
        inverse, Z = np.linalg.inv(matrix), self_energy(plan, sides, i)
        for m in range(n):
            for k in range(n):
                Z[m, k] = inverse[m, k]
