"""Products of a few rows with a matrix, as they stand in the inner loops of transport.

Rows are right-hand sides and the matrix is a slice's inverse or a table of sines. A call
of BLAS costs more than a product of this size, and takes cores that the samples already
have.
"""

from __future__ import annotations

from inmateria.compiled import compiled
from inmateria.transport.register_tiles import make_tile

add_6x8, add_2x8, add_1x8 = (make_tile(n_rows, 8) for n_rows in (6, 2, 1))


@compiled
def add_product(Y, X, S, n_rows, n_in, n_out, sign):  # type: ignore[no-untyped-def]
    """Y[c, :n_out] += sign * sum_k X[c, k] S[k, :n_out] for c < n_rows, k < n_in."""
    # Tiles take rows whose elements lie next to each other.
    adjacent = Y.strides[1] == Y.itemsize and S.strides[1] == S.itemsize
    whole = n_out // 8 * 8 if adjacent else 0
    c = 0
    while c < n_rows:
        left = n_rows - c
        step = 6 if left >= 6 else (2 if left >= 2 else 1)
        for j in range(0, whole, 8):
            if step == 6:
                add_6x8(Y, c, j, X, c, S, n_in, sign)
            elif step == 2:
                add_2x8(Y, c, j, X, c, S, n_in, sign)
            else:
                add_1x8(Y, c, j, X, c, S, n_in, sign)
        for r in range(c, c + step):
            for j in range(whole, n_out):
                total = 0.0
                for k in range(n_in):
                    total += X[r, k] * S[k, j]
                Y[r, j] += sign * total
        c += step
