"""Products of a few rows with a matrix, as they stand in the inner loops of transport.

Rows are right-hand sides and the matrix is a slice's inverse or a table of sines.
Two rows and four lines of the matrix at a time keep the loop over columns in
registers; a call of BLAS costs more than a product of this size, and takes cores
that the samples already have.
"""

from __future__ import annotations

from inmateria.compiled import compiled


@compiled
def add_product(Y, X, S, n_rows, n_in, n_out, sign):  # type: ignore[no-untyped-def]
    """Y[c, :n_out] += sign * sum_k X[c, k] S[k, :n_out] for c < n_rows, k < n_in."""
    whole = n_in // 4 * 4
    for c in range(0, n_rows // 2 * 2, 2):
        first, second = Y[c], Y[c + 1]
        for k in range(0, whole, 4):
            S0, S1, S2, S3 = S[k], S[k + 1], S[k + 2], S[k + 3]
            a0, a1 = sign * X[c, k], sign * X[c, k + 1]
            a2, a3 = sign * X[c, k + 2], sign * X[c, k + 3]
            b0, b1 = sign * X[c + 1, k], sign * X[c + 1, k + 1]
            b2, b3 = sign * X[c + 1, k + 2], sign * X[c + 1, k + 3]
            for j in range(n_out):
                s0, s1, s2, s3 = S0[j], S1[j], S2[j], S3[j]
                first[j] += a0 * s0 + a1 * s1 + a2 * s2 + a3 * s3
                second[j] += b0 * s0 + b1 * s1 + b2 * s2 + b3 * s3
        for k in range(whole, n_in):
            Sk = S[k]
            a, b = sign * X[c, k], sign * X[c + 1, k]
            for j in range(n_out):
                first[j] += a * Sk[j]
                second[j] += b * Sk[j]
    if n_rows % 2:
        c = n_rows - 1
        row = Y[c]
        for k in range(0, whole, 4):
            S0, S1, S2, S3 = S[k], S[k + 1], S[k + 2], S[k + 3]
            a0, a1 = sign * X[c, k], sign * X[c, k + 1]
            a2, a3 = sign * X[c, k + 2], sign * X[c, k + 3]
            for j in range(n_out):
                row[j] += a0 * S0[j] + a1 * S1[j] + a2 * S2[j] + a3 * S3[j]
        for k in range(whole, n_in):
            Sk = S[k]
            a = sign * X[c, k]
            for j in range(n_out):
                row[j] += a * Sk[j]
