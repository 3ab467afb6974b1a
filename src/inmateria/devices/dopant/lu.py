"""LU factorisation of small dense matrices inside compiled loops.

Plain row loops, which the compiler vectorises: no threaded BLAS competes with
the loop over operating points, and for 30 sites a call costs a few microseconds.
"""

from __future__ import annotations

import numpy as np

from inmateria.compiled import compiled


@compiled
def factorise(A, pivot):  # type: ignore[no-untyped-def]
    """LU with partial pivoting in place; False where the matrix is singular."""
    size = A.shape[0]
    for k in range(size):
        best = k
        for i in range(k + 1, size):
            if abs(A[i, k]) > abs(A[best, k]):
                best = i
        pivot[k] = best
        if A[best, k] == 0.0 or not np.isfinite(A[best, k]):
            return False
        if best != k:
            for j in range(size):
                A[k, j], A[best, j] = A[best, j], A[k, j]
        inverse = 1.0 / A[k, k]
        for i in range(k + 1, size):
            f = A[i, k] * inverse
            A[i, k] = f
            if f != 0.0:
                for j in range(k + 1, size):
                    A[i, j] -= f * A[k, j]
    return True


@compiled
def solve(A, pivot, b):  # type: ignore[no-untyped-def]
    """b <- A^-1 b, with A from `factorise`."""
    size = A.shape[0]
    for k in range(size):
        p = pivot[k]
        if p != k:
            b[k], b[p] = b[p], b[k]
    for i in range(size):
        s = b[i]
        for j in range(i):
            s -= A[i, j] * b[j]
        b[i] = s
    for i in range(size - 1, -1, -1):
        s = b[i]
        for j in range(i + 1, size):
            s -= A[i, j] * b[j]
        b[i] = s / A[i, i]


@compiled
def solve_transposed(A, pivot, b):  # type: ignore[no-untyped-def]
    """b <- A^-T b, with A from `factorise`."""
    size = A.shape[0]
    for i in range(size):
        b[i] /= A[i, i]
        f = b[i]
        for j in range(i + 1, size):
            b[j] -= A[i, j] * f
    for i in range(size - 1, -1, -1):
        f = b[i]
        for j in range(i):
            b[j] -= A[i, j] * f
    for k in range(size - 1, -1, -1):
        p = pivot[k]
        if p != k:
            b[k], b[p] = b[p], b[k]
