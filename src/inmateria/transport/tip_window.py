"""A tip at one position, exactly: only the slices that it reaches are eliminated again.

With c, d and Z of the sample's two sides (`tip_sides`), a tip that reaches slices p to q - 1 goes
on from c_p, d_p and S_{p-1} with its own S_i, all real, and closes at its last slice with
what is beyond:

    b^T G b = d_{q-1} + c_{q-1}^T (A_{q-1} - S_{q-2} - Z_q)^-1 c_{q-1},

still without the source's absorption, as in `real_engine`.

Among millions of S_i some are next to a pole, and no correction takes their rounding out
here. Such a slice waits for the next ones and is eliminated together with them: a level of
the part before slice i is none of the part before slice i + 1.
"""

from __future__ import annotations

import numpy as np

from inmateria.compiled import compiled, compiled_unlocked
from inmateria.transport.row_products import add_product
from inmateria.transport.sweep import assemble, invert_slice
from inmateria.transport.symmetric_inverse import BLOCK
from inmateria.transport.tip_sides import minus_self_energy, self_energy, with_slice
from inmateria.transport.transforms import cosine_transform


@compiled
def largest_element(matrix):  # type: ignore[no-untyped-def]
    """Largest modulus; NaN where there is one."""
    largest = 0.0
    for m in range(matrix.shape[0]):
        for k in range(matrix.shape[1]):
            if not abs(matrix[m, k]) <= largest:
                largest = abs(matrix[m, k])
    return largest


@compiled
def block(matrix, top, left, n_rows, n_columns):  # type: ignore[no-untyped-def]
    """A copy of a part of a matrix, contiguous."""
    found = np.empty((n_rows, n_columns))
    for m in range(n_rows):
        for k in range(n_columns):
            found[m, k] = matrix[top + m, left + k]
    return found


@compiled
def keep_slice(plan, i, S, c, d, sides):  # type: ignore[no-untyped-def]
    """Put S_i, c_{i+1} and d_{i+1} where they stand."""
    n = S.shape[0]
    for m in range(n):
        for k in range(n):
            sides.kept[plan.starts[i] + m * n + k] = S[m, k]
    for a in range(c.shape[0]):
        for m in range(c.shape[1]):
            sides.c[i + 1, a, m] = c[a, m]
        for b in range(c.shape[0]):
            sides.d[i + 1, a, b] = d[a, b]
    sides.ready[i + 1] = True


@compiled
def add_response(inverse, n, shared, before, after, d):  # type: ignore[no-untyped-def]
    """c past some slices, from `before` to `after`, and what they add to d.

    Parameters
    ----------
    inverse : (n_all, n_all) array
        Of all of them.
    n : int
        Modes of the last of them.
    shared : int
        Modes of the first of them that `before` holds.
    before, after : (n_open, n_y) arrays
    d : (n_open, n_open) array
    """
    n_open = before.shape[0]
    near = np.zeros((n_open, shared))
    add_product(near, before, inverse, n_open, shared, shared, 1.0)
    after[:] = 0.0
    across = block(inverse, 0, inverse.shape[0] - n, shared, n)
    add_product(after, before, across, n_open, shared, n, -1.0)
    for a in range(n_open):
        for b in range(n_open):
            for m in range(shared):
                d[a, b] += before[a, m] * near[b, m]


@compiled
def close(plan, whole, i, shared, c, d, sides, g):  # type: ignore[no-untyped-def]
    """b^T G b into `g`, by the last slice i of a window and those that waited for it.

    Parameters
    ----------
    whole : (n_all, n_all) array
        Their matrix.
    shared : int
        Modes of the first of them that c holds.
    c, d : (n_open, n_y) and (n_open, n_open) arrays
        Before them.
    """
    n_open = c.shape[0]
    right = np.zeros((whole.shape[0], n_open), dtype=np.complex128)
    for m in range(shared):
        for a in range(n_open):
            right[m, a] = c[a, m]
    matrix = minus_self_energy(whole, plan.counts[i], self_energy(plan, sides, i + 1))
    found = np.linalg.solve(matrix, right)
    for a in range(n_open):
        for b in range(n_open):
            g[a, b] = d[a, b]
            for m in range(shared):
                g[a, b] += c[a, m] * found[m, b]


@compiled_unlocked
def with_tips(  # type: ignore[no-untyped-def]
    plan, potential, tip, positions, half_width, growth, keep, sides, g
):
    """b^T G b with a tip at each of some positions, the source's open part left out.

    Parameters
    ----------
    potential : (n_x, n_y) array, in t
    tip : (n_x, n_y) array, in t
        The tip's potential by distances along x and y, in sites.
    positions : (n_positions, 2) integer array
        Sites (i, j).
    half_width : int
        Slices that the tip reaches to either side.
    growth : float
        Largest product that an inverse without pivoting, or element that one with it, may have.
    keep : bool
        Whether to keep S_i, c_i and d_i, of a tip that is zero.
    sides : Sides
    g : (n_positions, n_open, n_open) complex array
    """
    n_x, n_y = potential.shape
    n_open = g.shape[1]
    size = (n_y + BLOCK - 1) // BLOCK * BLOCK
    B, swept = np.empty((size, size)), np.empty((size, size))
    rows = np.empty((3, 8, size))
    shifted, terms = np.empty((n_x, n_y)), np.empty((n_x, 2 * n_y + 4))
    scratch = np.empty((2, n_x, n_y + 2))
    before, after = np.empty((n_open, n_y)), np.empty((n_open, n_y))
    d = np.empty((n_open, n_open))
    nothing = np.empty((0, 0))
    for p in range(positions.shape[0]):
        x, y = positions[p, 0], positions[p, 1]
        first, stop = max(0, x - half_width), min(n_x, x + half_width + 1)
        while not sides.ready[first]:
            first -= 1
        n_terms = 0
        for i in range(first, stop):
            n_terms = max(n_terms, 2 * plan.counts[i] + 1)
            for j in range(n_y):
                shifted[i - first, j] = potential[i, j] + tip[abs(i - x), abs(j - y)]
        cosine_transform(plan, shifted[: stop - first], n_terms, terms, scratch)
        for a in range(n_open):
            for m in range(n_y):
                before[a, m] = sides.c[first, a, m]
            for b in range(n_open):
                d[a, b] = sides.d[first, a, b]
        n_before = plan.counts[first - 1] if first else 0
        start = plan.starts[first - 1]
        S = sides.kept[start : start + n_before * n_before].reshape((n_before, n_before))
        # Slices that wait, and how many modes of the first of them c holds.
        waiting, shared = nothing, 0
        for i in range(first, stop):
            n = plan.counts[i]
            assemble(plan, i, terms[i - first], S, B)
            if not waiting.shape[0]:
                shared = min(n, n_before) if i else n
            if i == stop - 1:
                break
            inverse = np.empty((n, n))
            if waiting.shape[0] or not invert_slice(B, growth, swept, rows, inverse):
                S = nothing
                alone = not waiting.shape[0]
                waiting = with_slice(plan, waiting, i, B)
                if alone:
                    continue
                inverse = np.ascontiguousarray(np.linalg.inv(waiting))
                if not largest_element(inverse) < growth:
                    continue
            add_response(inverse, n, shared, before, after, d)
            before, after = after, before
            last = inverse.shape[0] - n
            S = block(inverse, last, last, n, n)
            waiting, n_before = nothing, n
            if keep:
                keep_slice(plan, i, S, before, d, sides)
        whole = with_slice(plan, waiting, stop - 1, B)
        close(plan, whole, stop - 1, shared, before, d, sides, g[p])
