"""Inverse of a real symmetric matrix by blocked sweeps, eight pivots at a time.

Sweeping the pivot block K of a symmetric matrix B (Goodnight 1979) does

    B_KK -> -P,   B_KJ -> P B_KJ,   B_IJ -> B_IJ - B_IK P B_KJ,   P = B_KK^-1,

which keeps it symmetric, so only the lower triangle is touched: n^3 operations, half
of what LU takes. After all blocks B holds minus the inverse. There is no pivoting:
blocks go from the highest transverse mode, where the matrix is dominated by its
diagonal, to the lowest. A nearly singular pivot block among the low modes makes the
products B_IK P B_KJ large and costs as many digits as they have before the point, so
a bound of the largest one is returned, and the caller turns to eigenvalues.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inmateria.compiled import compiled, compiled_ordered
from inmateria.transport.register_tiles import make_tile

BLOCK = 8

add_4x8 = make_tile(4, 8, n_inner=8)
add_4x8_once = make_tile(4, 8, n_inner=1)


@compiled
def invert_block(P, column, row):  # type: ignore[no-untyped-def]
    """Gauss-Jordan inverse of an (8, 8) block, in place; gives a bound of all products.

    Parameters
    ----------
    P : (8, 8) array
    column, row : (8, 1) and (1, 8) arrays
        Scratch.
    """
    largest = 0.0
    for k in range(8):
        d = 1 / P[k, k]
        size = 0.0
        for j in range(8):
            row[0, j] = P[k, j]
            column[j, 0] = P[j, k] * d
        row[0, k] = 0.0
        column[k, 0] = 0.0
        for j in range(8):
            size = max(size, abs(row[0, j]))
        product = size * size * abs(d)
        # NaN stays.
        if largest == largest and not product <= largest:
            largest = product
        add_4x8_once(P, 0, 0, column, 0, row, 1, -1.0)
        add_4x8_once(P, 4, 0, column, 4, row, 1, -1.0)
        for j in range(8):
            P[j, k] = -column[j, 0]
            P[k, j] = row[0, j] * d
        P[k, k] = d
    return largest


@compiled_ordered
def largest_size(U, n):  # type: ignore[no-untyped-def]
    """Largest modulus in the first n columns of 8 rows; NaN may count as anything."""
    U0, U1, U2, U3, U4, U5, U6, U7 = U[0], U[1], U[2], U[3], U[4], U[5], U[6], U[7]
    largest = 0.0
    for j in range(n):
        first = max(max(abs(U0[j]), abs(U1[j])), max(abs(U2[j]), abs(U3[j])))
        second = max(max(abs(U4[j]), abs(U5[j])), max(abs(U6[j]), abs(U7[j])))
        size = max(first, second)
        if size > largest:
            largest = size
    return largest


@compiled
def largest_row_sum(P):  # type: ignore[no-untyped-def]
    """Norm of an (8, 8) block; NaN stays."""
    largest = 0.0
    for k in range(8):
        total = 0.0
        for j in range(8):
            total += abs(P[k, j])
        if not total <= largest:
            largest = total
    return largest


@compiled
def subtract_products(B, low, high, R, U):  # type: ignore[no-untyped-def]
    """Rows low to high, multiples of 8, of the lower triangle minus U^T R."""
    columns = U.T
    for i in range(low, high, 4):
        for j in range(0, i + 4, 8):
            add_4x8(B, i, j, columns, i, R, 8, -1.0)


@compiled
def invert_symmetric(B, n, R, U, P):  # type: ignore[no-untyped-def]
    """Replace the lower triangle of `B` by that of its inverse; gives a bound of all products.

    Parameters
    ----------
    B : (>= n, >= n) array
        The lower triangle of the leading n rows is read and written; above it, blocks
        on the diagonal are overwritten.
    n : int
        A multiple of 8.
    R, U : (8, >= n) arrays; P : (8, 8) array
        Scratch.
    """
    largest = 0.0
    column, row = np.empty((8, 1)), np.empty((1, 8))
    for K in range(n - 8, -1, -8):
        for k in range(8):
            for j in range(K):
                U[k, j] = B[K + k, j]
            for j in range(8):
                P[k, j] = B[K + k, K + j] if j <= k else B[K + j, K + k]
                U[k, K + j] = 0.0
        for j in range(K + 8, n):
            for k in range(8):
                U[k, j] = B[j, K + k]
        product = invert_block(P, column, row)
        if largest == largest and not product <= largest:
            largest = product
        for k in range(8):
            for j in range(n):
                R[k, j] = 0.0
        for j in range(0, n, 8):
            add_4x8(R, 0, j, P, 0, U, 8, 1.0)
            add_4x8(R, 4, j, P, 4, U, 8, 1.0)
        product = largest_size(U, n) ** 2 * largest_row_sum(P)
        if largest == largest and not product <= largest:
            largest = product
        subtract_products(B, 0, K, R, U)
        subtract_products(B, K + 8, n, R, U)
        for k in range(8):
            for j in range(K):
                B[K + k, j] = R[k, j]
            for j in range(8):
                B[K + k, K + j] = -P[k, j]
        for j in range(K + 8, n):
            for k in range(8):
                B[j, K + k] = R[k, j]
    for i in range(n):
        for j in range(i + 1):
            B[i, j] = -B[i, j]
    return largest


def invert_by_eigenvalues(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of a symmetric matrix whose sweep grew too large.

    Not by LU: near a pole the large part of the inverse must stay of rank one, and the
    columns of an LU inverse have each their own error.
    """
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors / values) @ vectors.T)
