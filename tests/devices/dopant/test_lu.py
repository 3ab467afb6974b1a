"""The compiled LU against LAPACK."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.devices.dopant.lu import factorise, solve, solve_transposed


@pytest.mark.parametrize("size", [1, 2, 7, 30])
def test_solves_agree_with_lapack(size):
    generator = np.random.default_rng(size)
    matrix = generator.normal(size=(size, size))
    right = generator.normal(size=size)
    factors, pivot = matrix.copy(), np.empty(size, dtype=np.int64)
    assert factorise(factors, pivot)
    x, y = right.copy(), right.copy()
    solve(factors, pivot, x)
    solve_transposed(factors, pivot, y)
    # Rounding times the condition of a Gaussian matrix of this size (below 1e4).
    np.testing.assert_allclose(matrix @ x, right, atol=1e-10)
    np.testing.assert_allclose(matrix.T @ y, right, atol=1e-10)


def test_needs_pivoting():
    matrix = np.array([[0.0, 1.0], [1.0, 0.0]])
    pivot = np.empty(2, dtype=np.int64)
    right = np.array([2.0, 3.0])
    assert factorise(matrix, pivot)
    solve(matrix, pivot, right)
    np.testing.assert_array_equal(right, [3.0, 2.0])


@pytest.mark.parametrize("matrix", [np.zeros((3, 3)), np.full((3, 3), np.nan), np.ones((2, 2))])
def test_singular_is_said(matrix):
    assert not factorise(matrix.copy(), np.empty(len(matrix), dtype=np.int64))
