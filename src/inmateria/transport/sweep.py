"""Block-tridiagonal recursion in transverse modes, in real arithmetic.

With A = E - H and slices coupled by -t, eliminating slices from the source on gives

    S_0 = (A_0 - Re Sigma_source)^-1,    S_i = (A_i - S_{i-1})^-1,

all real and symmetric: only the drain, which enters at the last slice, makes the
matrix complex there. The imaginary part of the source's self-energy, of rank
n_open, is put in afterwards (Woodbury), so that no slice is complex: a quarter of
the work of a complex sweep. In the mode basis the potential of a slice is Toeplitz
minus Hankel in its cosine transform, V_mn = c_{m-n} - c_{m+n}.

Slice i keeps its lowest `counts[i]` modes. Those that are left out from some slice
on decay freely, which the self-energy `tail` on the last slice that has them says.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from inmateria.compiled import compiled, compiled_parallel
from inmateria.transport.symmetric_inverse import BLOCK, invert_safely


@compiled
def eliminate(potential, two_cos_k, cosine, counts, tail, source, starts, kept, last):  # type: ignore[no-untyped-def]
    """S_i of all slices but the last into `kept`, and A - S of the last one into `last`.

    Parameters
    ----------
    potential : (n_x, n_y) array, in t
    two_cos_k : (n_y,) array
    cosine : (n_y, 2 n_y + 3) array
        cos(pi k j / (n_y + 1)) / (n_y + 1).
    counts : (n_x,) integer array
    tail : (n_x, n_y) array
        Minus the self-energy of modes that end at a slice.
    source : (n_y, n_y) array
        Minus the real part of the source's self-energy.
    starts : (n_x,) integer array
        Where S_i starts in `kept`.
    """
    n_x, n_y = potential.shape
    size = (n_y + BLOCK - 1) // BLOCK * BLOCK
    B = np.zeros((size, size))
    R = np.empty((8, size))
    U = np.empty((8, size))
    P = np.empty((8, 8))
    before_inverse = np.empty((size, size))
    c = np.dot(potential, cosine)
    for i in range(n_x):
        n = counts[i]
        padded = (n + BLOCK - 1) // BLOCK * BLOCK
        ci = c[i]
        for m in range(n):
            for k in range(m + 1):
                B[m, k] = ci[m + k + 2] - ci[m - k]
            B[m, m] -= two_cos_k[m] - tail[i, m]
        for m in range(n, padded):
            for k in range(m):
                B[m, k] = 0.0
            B[m, m] = 1.0
        if i == 0:
            for m in range(n):
                for k in range(m + 1):
                    B[m, k] += source[m, k]
        else:
            before = counts[i - 1]
            S = kept[starts[i - 1] : starts[i - 1] + before * before].reshape((before, before))
            for m in range(min(n, before)):
                for k in range(m + 1):
                    B[m, k] -= S[m, k]
        if i < n_x - 1:
            invert_safely(B, padded, R, U, P, before_inverse)
            S = kept[starts[i] : starts[i] + n * n].reshape((n, n))
            for m in range(n):
                for k in range(m + 1):
                    S[m, k] = B[m, k]
                    S[k, m] = B[m, k]
        else:
            for m in range(n):
                for k in range(m + 1):
                    last[m, k] = B[m, k]
                    last[k, m] = B[m, k]


@compiled
def substitute(kept, starts, counts, closed, columns, modes):  # type: ignore[no-untyped-def]
    """G b for b on the first slice, the source's imaginary part left out.

    Parameters
    ----------
    closed : (n, n) complex array
        G on the last slice.
    columns : (counts[0], n_columns) array
        b.
    modes : (n_x, n_y, n_columns) complex array
        The answer; zero where a slice lacks a mode.
    """
    n_x = counts.size
    n_columns = columns.shape[1]
    forward = np.zeros((n_x, counts.max(), n_columns))
    y = columns.copy()
    for i in range(n_x):
        n = counts[i]
        forward[i, :n] = y
        if i < n_x - 1:
            S = kept[starts[i] : starts[i] + n * n].reshape((n, n))
            z = np.dot(S, y)
            after = counts[i + 1]
            y = np.zeros((after, n_columns))
            shared = min(n, after)
            y[:shared] = -z[:shared]
    x = np.dot(closed, y.astype(np.complex128))
    modes[n_x - 1, : counts[n_x - 1]] = x
    right = np.empty((counts.max(), 2 * n_columns))
    for i in range(n_x - 2, -1, -1):
        n = counts[i]
        shared = min(n, counts[i + 1])
        for m in range(n):
            for q in range(n_columns):
                real = forward[i, m, q]
                imag = 0.0
                if m < shared:
                    real -= x[m, q].real
                    imag = -x[m, q].imag
                right[m, q] = real
                right[m, n_columns + q] = imag
        S = kept[starts[i] : starts[i] + n * n].reshape((n, n))
        z = np.dot(S, right[:n])
        x = z[:, :n_columns] + 1j * z[:, n_columns:]
        modes[i, :n] = x


@compiled_parallel
def scatter_batch(  # type: ignore[no-untyped-def]
    potentials, two_cos_k, cosine, counts, tail, source, drain, starts, columns, workspace, modes
):
    """`eliminate` and `substitute` for as many samples as `workspace` has rows; a core each.

    Parameters
    ----------
    drain : (n, n) complex array
        Minus the drain's self-energy among the modes of the last slice.
    workspace : (n_samples, sum of counts^2) array
    modes : (n_samples, n_x, n_y, n_columns) complex array
    """
    for s in prange(potentials.shape[0]):
        n = counts[counts.size - 1]
        last = np.empty((n, n))
        eliminate(
            potentials[s], two_cos_k, cosine, counts, tail, source, starts, workspace[s], last
        )
        closed = np.linalg.inv(last.astype(np.complex128) + drain)
        substitute(workspace[s], starts, counts, closed, columns, modes[s])
