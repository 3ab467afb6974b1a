"""The Lyapunov equation M C + C M^T + D = 0 for small dense stable M, inside compiled loops.

With A = (M - p)^-1 (M + p) and any p > 0 it is the Stein equation
C = A C A^T + 2 p (M - p)^-1 D (M - p)^-T, whose series sums by doubling:
C <- C + A C A^T, A <- A^2 takes 2^k terms in k rounds. Every eigenvalue of A
lies inside the unit circle exactly if M is stable.

Source: R. A. Smith, SIAM J. Appl. Math. 16, 198 (1968).
"""

from __future__ import annotations

import math

import numpy as np

from inmateria.compiled import compiled

# An addition this small against the sum is the last: the next is smaller by its square.
LAST = 1e-7
# 2^40 terms: relaxation rates that lie 11 orders apart.
MOST_ROUNDS = 40


@compiled
def invert(A, pivot):  # type: ignore[no-untyped-def]
    """A <- A^-1 by Gauss-Jordan elimination with row pivoting; False where singular."""
    size = A.shape[0]
    for k in range(size):
        best = k
        for i in range(k + 1, size):
            if abs(A[i, k]) > abs(A[best, k]):
                best = i
        pivot[k] = best
        head = A[best, k]
        if head == 0.0 or not math.isfinite(head):
            return False
        if best != k:
            for j in range(size):
                A[k, j], A[best, j] = A[best, j], A[k, j]
        inverse = 1.0 / head
        A[k, k] = 1.0
        for j in range(size):
            A[k, j] *= inverse
        row = A[k]
        for i in range(size):
            f = A[i, k]
            if i != k and f != 0.0:
                other = A[i]
                other[k] = 0.0
                for j in range(size):
                    other[j] -= f * row[j]
    for k in range(size - 1, -1, -1):
        swapped = pivot[k]
        if swapped != k:
            for i in range(size):
                A[i, k], A[i, swapped] = A[i, swapped], A[i, k]
    return True


@compiled
def add_product(A, B, out):  # type: ignore[no-untyped-def]
    """out <- out + A B, two rows of A and four of B at a time."""
    rows, inner, columns = A.shape[0], A.shape[1], B.shape[1]
    even = rows - rows % 2
    whole = inner - inner % 4
    for i in range(0, even, 2):
        for k in range(0, whole, 4):
            a, b, c, d = A[i, k], A[i, k + 1], A[i, k + 2], A[i, k + 3]
            e, f, g, h = A[i + 1, k], A[i + 1, k + 1], A[i + 1, k + 2], A[i + 1, k + 3]
            for j in range(columns):
                w, x, y, z = B[k, j], B[k + 1, j], B[k + 2, j], B[k + 3, j]
                out[i, j] += a * w + b * x + c * y + d * z
                out[i + 1, j] += e * w + f * x + g * y + h * z
        for k in range(whole, inner):
            a, e = A[i, k], A[i + 1, k]
            for j in range(columns):
                out[i, j] += a * B[k, j]
                out[i + 1, j] += e * B[k, j]
    for i in range(even, rows):
        for k in range(inner):
            a = A[i, k]
            for j in range(columns):
                out[i, j] += a * B[k, j]


@compiled
def multiply(A, B, out):  # type: ignore[no-untyped-def]
    """out <- A B."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = 0.0
    add_product(A, B, out)


@compiled
def add_lower(A, B, C):  # type: ignore[no-untyped-def]
    """C <- C + A B for a product known to be symmetric.

    Returns the product's largest entry, that of C, and the sum of C's: a maximum
    passes over NaN, a sum does not.
    """
    size = A.shape[0]
    whole = size - size % 4
    row = np.empty(size)
    added, largest, total = 0.0, 0.0, 0.0
    for i in range(size):
        for j in range(i + 1):
            row[j] = 0.0
        for k in range(0, whole, 4):
            a, b, c, d = A[i, k], A[i, k + 1], A[i, k + 2], A[i, k + 3]
            for j in range(i + 1):
                row[j] += a * B[k, j] + b * B[k + 1, j] + c * B[k + 2, j] + d * B[k + 3, j]
        for k in range(whole, size):
            a = A[i, k]
            for j in range(i + 1):
                row[j] += a * B[k, j]
        for j in range(i + 1):
            C[i, j] += row[j]
            added = max(added, abs(row[j]))
            largest = max(largest, abs(C[i, j]))
            total += abs(C[i, j])
    for i in range(size):
        for j in range(i):
            C[j, i] = C[i, j]
    return added, largest, total


@compiled
def transpose(A, out):  # type: ignore[no-untyped-def]
    """out <- A^T."""
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            out[j, i] = A[i, j]


@compiled
def balance(M, D, C, A, T, X, pivot):  # type: ignore[no-untyped-def]
    """C solves M C + C M^T + D = 0; A, T and X are space. False where M is not stable.

    p is half the geometric mean of the rates on M's diagonal: the slowest modes
    are collective and slower than any of those.
    """
    size = M.shape[0]
    p = 0.0
    for i in range(size):
        p += math.log(max(-M[i, i], 1e-300))
    p = 0.5 * math.exp(p / size)
    for i in range(size):
        for j in range(size):
            A[i, j] = M[i, j]
        A[i, i] -= p
    if not invert(A, pivot):
        return False
    multiply(A, D, X)
    transpose(A, T)
    multiply(X, T, C)
    for i in range(size):
        for j in range(size):
            C[i, j] *= 2.0 * p
            A[i, j] *= 2.0 * p
        A[i, i] += 1.0
    for _ in range(MOST_ROUNDS):
        multiply(A, C, X)
        transpose(A, T)
        added, largest, total = add_lower(X, T, C)
        if not math.isfinite(total):
            return False
        if added <= LAST * largest:
            return True
        multiply(A, A, X)
        for i in range(size):
            for j in range(size):
                A[i, j] = X[i, j]
    return False
