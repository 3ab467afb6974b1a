"""Products in register tiles against NumPy, for sizes that tiles do and do not divide."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.transport.row_products import add_product


@pytest.mark.parametrize("n_rows", [1, 2, 5, 6, 7, 13])
@pytest.mark.parametrize(("n_in", "n_out"), [(1, 1), (7, 8), (8, 19), (33, 40)])
def test_against_numpy(n_rows: int, n_in: int, n_out: int) -> None:
    rng = np.random.default_rng(n_rows + n_in)
    X, S = rng.normal(size=(n_rows, n_in + 2)), rng.normal(size=(n_in + 1, n_out + 3))
    before = rng.normal(size=(n_rows + 1, n_out + 3))
    expected = before.copy()
    expected[:n_rows, :n_out] -= X[:, :n_in] @ S[:n_in, :n_out]
    # Rows that lie apart in memory, as those of a transposed matrix do, are no excuse.
    for matrix in (S, np.asfortranarray(S), np.repeat(S, 2, axis=1)[:, ::2]):
        found = before.copy()
        add_product(found, X, matrix, n_rows, n_in, n_out, -1.0)
        np.testing.assert_allclose(found, expected, atol=1e-13)
