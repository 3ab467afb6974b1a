"""The blocked sweep against LAPACK."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.transport.symmetric_inverse import invert_by_eigenvalues, invert_symmetric


@pytest.mark.parametrize("n", [8, 24, 64, 192])
def test_inverse_of_an_indefinite_matrix(n: int) -> None:
    rng = np.random.default_rng(n)
    matrix = rng.normal(size=(n, n))
    matrix = matrix + matrix.T - np.diag(np.linspace(0, 4 * np.sqrt(n), n))
    lower = np.tril(matrix)
    invert_symmetric(lower, n, np.empty((8, n)), np.empty((8, n)), np.empty((8, 8)))
    inverse = np.tril(lower) + np.tril(lower, -1).T
    # Without pivoting, growth of some 1e4 is to be expected of random indefinite matrices:
    # 1e4 times the rounding of 1e-16, and a decade to spare.
    np.testing.assert_allclose(inverse @ matrix, np.eye(n), atol=1e-11 * np.abs(inverse).max() * n)


def test_a_singular_pivot_block_is_noticed() -> None:
    """The last block alone has no inverse, the whole matrix is a permutation."""
    n = 16
    matrix = np.eye(n)[::-1].copy()
    growth = invert_symmetric(
        np.tril(matrix), n, np.empty((8, n)), np.empty((8, n)), np.empty((8, 8))
    )
    assert not growth < 1e6
    np.testing.assert_allclose(invert_by_eigenvalues(matrix), matrix, atol=1e-14)
