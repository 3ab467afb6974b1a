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

from inmateria.compiled import compiled

BLOCK = 8


@compiled
def invert_block(P):  # type: ignore[no-untyped-def]
    """Gauss-Jordan inverse of an (8, 8) block, in place; gives a bound of all products."""
    largest = 0.0
    for k in range(8):
        d = 1 / P[k, k]
        row = 0.0
        for j in range(8):
            if j != k:
                row = max(row, abs(P[k, j]))
        product = row * row * abs(d)
        # NaN stays: no comparison with it is true.
        if not product <= largest:
            largest = product
        for i in range(8):
            if i != k:
                f = P[i, k] * d
                for j in range(8):
                    P[i, j] -= f * P[k, j]
                P[i, k] = -f
        for j in range(8):
            P[k, j] *= d
        P[k, k] = d
    return largest


@compiled
def multiply_rows(P, U, R, n):  # type: ignore[no-untyped-def]
    """R = P U for the (8, n) rows of the pivot block; two rows at a time fill the registers."""
    U0, U1, U2, U3, U4, U5, U6, U7 = U[0], U[1], U[2], U[3], U[4], U[5], U[6], U[7]
    for k in range(0, 8, 2):
        a0, a1, a2, a3 = P[k, 0], P[k, 1], P[k, 2], P[k, 3]
        a4, a5, a6, a7 = P[k, 4], P[k, 5], P[k, 6], P[k, 7]
        b0, b1, b2, b3 = P[k + 1, 0], P[k + 1, 1], P[k + 1, 2], P[k + 1, 3]
        b4, b5, b6, b7 = P[k + 1, 4], P[k + 1, 5], P[k + 1, 6], P[k + 1, 7]
        first, second = R[k], R[k + 1]
        for j in range(n):
            r0, r1, r2, r3 = U0[j], U1[j], U2[j], U3[j]
            r4, r5, r6, r7 = U4[j], U5[j], U6[j], U7[j]
            first[j] = a0 * r0 + a1 * r1 + a2 * r2 + a3 * r3
            first[j] += a4 * r4 + a5 * r5 + a6 * r6 + a7 * r7
            second[j] = b0 * r0 + b1 * r1 + b2 * r2 + b3 * r3
            second[j] += b4 * r4 + b5 * r5 + b6 * r6 + b7 * r7


@compiled
def subtract_products(B, low, high, R, U):  # type: ignore[no-untyped-def]
    """Rows low to high of the lower triangle minus U^T R, four pivots and two rows at a time."""
    for q in (0, 4):
        R0, R1, R2, R3 = R[q], R[q + 1], R[q + 2], R[q + 3]
        for i in range(low, high, 2):
            first, second = B[i], B[i + 1]
            a0, a1, a2, a3 = U[q, i], U[q + 1, i], U[q + 2, i], U[q + 3, i]
            b0, b1, b2, b3 = U[q, i + 1], U[q + 1, i + 1], U[q + 2, i + 1], U[q + 3, i + 1]
            for j in range((i + 8) // 8 * 8):
                r0, r1, r2, r3 = R0[j], R1[j], R2[j], R3[j]
                first[j] -= a0 * r0 + a1 * r1 + a2 * r2 + a3 * r3
                second[j] -= b0 * r0 + b1 * r1 + b2 * r2 + b3 * r3


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
        product = invert_block(P)
        if not product <= largest:
            largest = product
        multiply_rows(P, U, R, n)
        row, multiplier = 0.0, 0.0
        for k in range(8):
            for j in range(n):
                row = max(row, abs(U[k, j]))
                multiplier = max(multiplier, abs(R[k, j]))
        product = row * multiplier + 0.0 * P[0, 0]
        if not product <= largest:
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
