"""Block-tridiagonal recursion in transverse modes, in real arithmetic.

With A = E - H and slices coupled by -t, eliminating slices from the source on gives

    S_0 = (A_0 - Re Sigma_source)^-1,    S_i = (A_i - S_{i-1})^-1,

all real and symmetric: only the drain, which enters at the last slice, makes the
matrix complex there. The imaginary part of the source's self-energy, of rank
n_open, is put in afterwards (Woodbury), so that no slice is complex: a quarter of
the work of a complex sweep. In the mode basis the potential of a slice is Toeplitz
minus Hankel in its cosine transform, V_mn = c_{m-n} - c_{m+n}.

Columns stand as rows of real numbers, (n_x, 2 n_columns, n_y) over slices, columns
and modes: first all real parts, then all imaginary parts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inmateria.compiled import compiled, compiled_unlocked
from inmateria.transport.row_products import add_product
from inmateria.transport.symmetric_inverse import BLOCK, invert_symmetric
from inmateria.transport.transforms import cosine_transform

Real = NDArray[np.float64]

# Slices whose potential is transformed at once: rows of a product.
TOGETHER = 6


class Plan(NamedTuple):
    """Everything about a gas at one energy that no potential changes.

    Attributes
    ----------
    two_cos_k : (n_y,) array
        4 - 2 cos(pi m / (n_y + 1)) - E, for the sample's own transverse modes.
    counts : (n_x,) integer array
        How many modes each slice keeps; the rest is `dropped_modes`' concern.
    starts : (n_x,) integer array
        Where S_i starts among all of them.
    reach : (n_x,) integer array
        Modes that a narrow lead excites and that have not died out at a slice.
    tail : (n_x, n_y) array
        Minus the self-energy of modes that a neighbouring slice drops.
    chain : (n_x, n_y) array
        Pivots' inverses of the clean chains of dropped modes, 0 where a mode is kept.
    source, source_imag, drain, drain_imag : (n_y, n_y) arrays
        Minus the leads' self-energies among transverse modes.
    into, out : (n_y, n_open) arrays
        The leads' open modes in transverse modes.
    velocity_in, velocity_out : (n_open,) arrays
    even to cosine_odd
        Tables of sines and cosines, as in `transforms.Tables`; compiled loops over samples
        admit no tuple within a tuple.
    """

    two_cos_k: Real
    counts: NDArray[np.int64]
    starts: NDArray[np.int64]
    reach: NDArray[np.int64]
    tail: Real
    chain: Real
    source: Real
    source_imag: Real
    drain: Real
    drain_imag: Real
    into: Real
    out: Real
    velocity_in: Real
    velocity_out: Real
    even: Real
    odd: Real
    even_back: Real
    odd_back: Real
    cosine_even: Real
    cosine_odd: Real


@compiled
def assemble(plan, i, c, S, B):  # type: ignore[no-untyped-def]
    """Lower triangle of A_i - S into `B`; at the first slice with the source's real part.

    Parameters
    ----------
    c : (>= 2 counts[i] + 1,) array
        Cosine transform of the slice's potential.
    S : (n, n) array
        The inverse of the slice before, of its n modes; n = 0 for A_i alone.
    """
    n, before = plan.counts[i], S.shape[0]
    # c is even in its index and differences run backwards: a loop over rising indices is fast.
    backwards = np.empty(n)
    for k in range(n):
        backwards[n - 1 - k] = c[k]
    for m in range(n):
        row, sums, differences = B[m], c[m + 2 :], backwards[n - 1 - m :]
        for k in range(m + 1):
            row[k] = sums[k] - differences[k]
        row[m] -= plan.two_cos_k[m] - plan.tail[i, m]
        if m < before:
            Sm = S[m]
            for k in range(m + 1):
                row[k] -= Sm[k]
        if i == 0:
            source = plan.source[m]
            for k in range(m + 1):
                row[k] += source[k]


@compiled
def invert_slice(B, growth, swept, rows, S):  # type: ignore[no-untyped-def]
    """S = B^-1 from the lower triangle; False, and S as it was, where products grow too large.

    Parameters
    ----------
    swept : (size, size) array; rows : (3, 8, size) array
        Scratch; size the multiple of 8 from the number of modes on.
    """
    n = S.shape[0]
    padded = (n + BLOCK - 1) // BLOCK * BLOCK
    for m in range(n):
        line, row = swept[m], B[m]
        for k in range(m + 1):
            line[k] = row[k]
    for m in range(n, padded):
        for k in range(m):
            swept[m, k] = 0.0
        swept[m, m] = 1.0
    # Written so that NaN counts as too large.
    if not invert_symmetric(swept, padded, rows[0], rows[1], rows[2]) < growth:
        return False
    mirror(swept, S)
    return True


@compiled_unlocked
def eliminate(plan, potential, first, growth, kept, B, X):  # type: ignore[no-untyped-def]
    """S_i of slices from `first` on into `kept`, up to the last slice or one that grows.

    Right-hand sides are carried along while S_i is at hand.

    Parameters
    ----------
    potential : (n_x, n_y) array, in t
    growth : float
        Largest product that a sweep may have.
    kept : (sum of counts^2,) array
    B : (size, size) array, size the multiple of 8 from n_y on
        The lower triangle of A_i - S_{i-1} where it stopped.
    X : (n_x, 2 n_columns, n_y) array
        Right-hand sides b_i; then x_i = b_i - S_{i-1} x_{i-1}, for `substitute`.

    Returns
    -------
    int
        The slice where it stopped.
    """
    n_x, n_y = potential.shape
    size = B.shape[0]
    rows = np.empty((3, 8, size))
    swept = np.empty((size, size))
    terms = np.empty((TOGETHER, 2 * n_y + 4))
    scratch = np.empty((2, TOGETHER, n_y + 2))
    for i in range(first, n_x):
        n = plan.counts[i]
        if i == first or i % TOGETHER == 0:
            start = i - i % TOGETHER
            stop = min(start + TOGETHER, n_x)
            n_terms = 2 * plan.counts[start:stop].max() + 1
            cosine_transform(plan, potential[start:stop], n_terms, terms, scratch)
        before = plan.counts[i - 1] if i else 0
        last = kept[plan.starts[i - 1] : plan.starts[i - 1] + before * before]
        last = last.reshape((before, before))
        assemble(plan, i, terms[i % TOGETHER], last, B)
        if i:
            add_product(X[i], X[i - 1], last, X.shape[1], before, min(n, before), -1.0)
        if i == n_x - 1:
            break
        S = kept[plan.starts[i] : plan.starts[i] + n * n]
        if not invert_slice(B, growth, swept, rows, S.reshape((n, n))):
            return i
    return n_x - 1


@compiled
def mirror(triangle, S):  # type: ignore[no-untyped-def]
    """The whole symmetric matrix from its lower triangle, in blocks that stay in cache."""
    n = S.shape[0]
    for low in range(0, n, BLOCK):
        high = min(low + BLOCK, n)
        for m in range(low, high):
            line, row = S[m], triangle[m]
            for k in range(m + 1):
                line[k] = row[k]
        for k in range(high):
            line = S[k]
            for m in range(max(low, k + 1), high):
                line[m] = triangle[m, k]


@compiled_unlocked
def solve(plan, kept, closed_real, closed_imag, X):  # type: ignore[no-untyped-def]
    """G b for right-hand sides b in the kept modes, the source's open part left out.

    Parameters
    ----------
    X : (n_x, 2 n_columns, n_y) array
        b, and then G b. What it holds beyond the kept modes stays as it is.
    """
    n_x, n_rows, _ = X.shape
    for i in range(1, n_x):
        before, n = plan.counts[i - 1], plan.counts[i]
        S = kept[plan.starts[i - 1] : plan.starts[i - 1] + before * before]
        shared = min(n, before)
        add_product(X[i], X[i - 1], S.reshape((before, before)), n_rows, before, shared, -1.0)
    substitute(plan, kept, closed_real, closed_imag, X)


@compiled_unlocked
def substitute(plan, kept, closed_real, closed_imag, X):  # type: ignore[no-untyped-def]
    """G b from x_i = b_i - S_{i-1} x_{i-1}: backward from the drain, in place."""
    n_x, n_rows, _ = X.shape
    half = n_rows // 2
    right = np.empty_like(X[0])
    n = plan.counts[n_x - 1]
    right[:, :n] = X[n_x - 1, :, :n]
    X[n_x - 1, :, :n] = 0.0
    real, imag = X[n_x - 1, :half], X[n_x - 1, half:]
    add_product(real, right[:half], closed_real, half, n, n, 1.0)
    add_product(real, right[half:], closed_imag, half, n, n, -1.0)
    add_product(imag, right[:half], closed_imag, half, n, n, 1.0)
    add_product(imag, right[half:], closed_real, half, n, n, 1.0)
    for i in range(n_x - 2, -1, -1):
        n = plan.counts[i]
        shared = min(n, plan.counts[i + 1])
        for c in range(n_rows):
            for m in range(n):
                right[c, m] = X[i, c, m]
                X[i, c, m] = 0.0
            for m in range(shared):
                right[c, m] -= X[i + 1, c, m]
        S = kept[plan.starts[i] : plan.starts[i] + n * n]
        add_product(X[i], right, S.reshape((n, n)), n_rows, n, n, 1.0)


@compiled_unlocked
def combine(plan, Y, coefficients, X):  # type: ignore[no-untyped-def]
    """X += Y C in the kept modes, for complex coefficients C (columns of Y, columns of X)."""
    n_x = X.shape[0]
    n_from, n_to = coefficients.shape
    table = np.empty((2 * n_to, 2 * n_from))
    for a in range(n_from):
        for b in range(n_to):
            table[b, a] = coefficients[a, b].real
            table[b, n_from + a] = -coefficients[a, b].imag
            table[n_to + b, a] = coefficients[a, b].imag
            table[n_to + b, n_from + a] = coefficients[a, b].real
    for i in range(n_x):
        add_product(X[i], table, Y[i], 2 * n_to, 2 * n_from, plan.counts[i], 1.0)
