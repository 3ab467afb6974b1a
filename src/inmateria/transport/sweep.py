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

from inmateria.compiled import compiled
from inmateria.transport.row_products import add_product
from inmateria.transport.symmetric_inverse import BLOCK, invert_safely
from inmateria.transport.transforms import cosine_transform

Real = NDArray[np.float64]


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
def eliminate(plan, potential, growth, kept, last):  # type: ignore[no-untyped-def]
    """S_i of all slices but the last into `kept`, and A - S of the last one into `last`.

    Parameters
    ----------
    potential : (n_x, n_y) array, in t
    growth : float
        Largest product in a sweep; beyond it a slice is inverted by its eigenvalues.
    kept : (sum of counts^2,) array
    last : (counts[-1], counts[-1]) array
    """
    n_x, n_y = potential.shape
    size = (n_y + BLOCK - 1) // BLOCK * BLOCK
    B = np.zeros((size, size))
    R = np.empty((8, size))
    U = np.empty((8, size))
    P = np.empty((8, 8))
    as_it_was = np.empty((size, size))
    terms = np.empty((2, 2 * n_y + 4))
    scratch = np.empty((2, 2, n_y + 2))
    for i in range(n_x):
        n = plan.counts[i]
        if i % 2 == 0:
            stop = min(i + 2, n_x)
            n_terms = 2 * max(n, plan.counts[stop - 1]) + 1
            cosine_transform(plan, potential[i:stop], n_terms, terms, scratch)
        c = terms[i % 2]
        padded = (n + BLOCK - 1) // BLOCK * BLOCK
        before = plan.counts[i - 1] if i else 0
        S = kept[plan.starts[i - 1] : plan.starts[i - 1] + before * before]
        for m in range(n):
            row = B[m]
            sums = c[m + 2 :]
            # c is even: differences run backwards in k.
            for k in range(m + 1):
                row[k] = sums[k] - c[m - k]
            row[m] -= plan.two_cos_k[m] - plan.tail[i, m]
            if m < before:
                Sm = S[m * before :]
                for k in range(m + 1):
                    row[k] -= Sm[k]
            if i == 0:
                source = plan.source[m]
                for k in range(m + 1):
                    row[k] += source[k]
        for m in range(n, padded):
            for k in range(m):
                B[m, k] = 0.0
            B[m, m] = 1.0
        if i < n_x - 1:
            invert_safely(B, padded, growth, R, U, P, as_it_was)
            S = kept[plan.starts[i] : plan.starts[i] + n * n].reshape((n, n))
        else:
            S = last
        for m in range(n):
            for k in range(m + 1):
                S[m, k] = B[m, k]
                S[k, m] = B[m, k]


@compiled
def close(plan, last):  # type: ignore[no-untyped-def]
    """Real and imaginary part of G on the last slice, (n, n), the source's open part left out."""
    n = last.shape[0]
    matrix = last + plan.drain[:n, :n] + 1j * plan.drain_imag[:n, :n]
    closed = np.linalg.inv(matrix)
    return closed.real.copy(), closed.imag.copy()


@compiled
def solve(plan, kept, closed_real, closed_imag, X):  # type: ignore[no-untyped-def]
    """G b for right-hand sides b in the kept modes, the source's open part left out.

    Parameters
    ----------
    X : (n_x, 2 n_columns, n_y) array
        b, and then G b. What it holds beyond the kept modes stays as it is.
    """
    n_x, n_rows, _ = X.shape
    half = n_rows // 2
    right = np.empty_like(X[0])
    for i in range(1, n_x):
        before, n = plan.counts[i - 1], plan.counts[i]
        S = kept[plan.starts[i - 1] : plan.starts[i - 1] + before * before]
        shared = min(n, before)
        add_product(X[i], X[i - 1], S.reshape((before, before)), n_rows, before, shared, -1.0)
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


@compiled
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


@compiled
def at_lead(overlap, X):  # type: ignore[no-untyped-def]
    """overlap^T x of columns on one slice (2 n_columns, n_y): complex (n_open, n_columns)."""
    half = X.shape[0] // 2
    both = np.dot(X, overlap)
    return (both[:half] + 1j * both[half:]).T.copy()


@compiled
def open_source(plan, bare):  # type: ignore[no-untyped-def]
    """(D^-1 + b^T G0 b)^-1 with D = (i / 2) v, which the Woodbury identity needs.

    With A = A0 + b D b^T: A^-1 = G0 - G0 b (D^-1 + b^T G0 b)^-1 b^T G0.

    Parameters
    ----------
    bare : (n_open, n_open) complex array
        b^T G0 b.
    """
    matrix = bare.copy()
    for a in range(bare.shape[0]):
        matrix[a, a] += -2j / plan.velocity_in[a]
    return np.linalg.inv(matrix)
