"""The Lyapunov solver against SciPy's, which goes another way (Schur)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import solve_continuous_lyapunov

from inmateria.devices.dopant.lyapunov import balance, invert, multiply


def stable(size: int, *, decades: float, seed: int) -> np.ndarray:
    """A relaxation matrix as hops make it: rates on many scales, loss to the electrodes."""
    generator = np.random.default_rng(seed)
    rate = 10 ** generator.uniform(-decades, 0, (size, size))
    np.fill_diagonal(rate, 0)
    leak = 10 ** generator.uniform(-decades, 0, size)
    return rate - np.diag(rate.sum(axis=0) + leak)


def solve(matrix: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, bool]:
    found, *space = np.empty((4, *matrix.shape))
    good = balance(matrix, noise, found, *space, np.empty(len(matrix), dtype=np.int64))
    return found, bool(good)


@pytest.mark.parametrize("size", [1, 2, 7, 30, 37])
@pytest.mark.parametrize("decades", [0.5, 4])
def test_agrees_with_schur(size, decades):
    matrix = stable(size, decades=decades, seed=size)
    root = np.random.default_rng(1).normal(size=(size, size))
    noise = root @ root.T
    found, good = solve(matrix, noise)
    expected = solve_continuous_lyapunov(matrix, -noise)
    assert good
    # the series is cut where the next term is below 1e-14 of the sum; four decades of rates
    # cost four digits of sixteen in either method
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9 * np.abs(expected).max())
    np.testing.assert_array_equal(found, found.T)


@pytest.mark.parametrize("scale", [1.0, 1e100, 1e300])
@pytest.mark.parametrize("growth", [1e-3, 0.1, 3.0])
def test_an_unstable_matrix_is_refused(growth, scale):
    # large noise overflows to infinity, and to infinity less infinity, at different rounds
    matrix = stable(12, decades=1, seed=0)
    matrix += (growth - np.linalg.eigvals(matrix).real.max()) * np.eye(12)
    assert not solve(matrix, scale * np.eye(12))[1]


def test_what_is_not_a_number_is_refused():
    matrix = stable(12, decades=1, seed=0)
    noise = np.eye(12)
    noise[3, 3] = np.nan
    assert not solve(matrix, noise)[1]


@pytest.mark.parametrize("size", [1, 3, 30])
def test_inverse_needs_pivots(size):
    matrix = np.random.default_rng(size).normal(size=(size, size))
    matrix[0, 0] = 0.0 if size > 1 else 2.0
    found = matrix.copy()
    assert invert(found, np.empty(size, dtype=np.int64))
    np.testing.assert_allclose(found @ matrix, np.eye(size), rtol=0, atol=1e-10)
    assert not invert(np.zeros((size, size)), np.empty(size, dtype=np.int64))


@pytest.mark.parametrize("inner", [1, 4, 6, 31])
def test_product(inner):
    generator = np.random.default_rng(inner)
    a, b = generator.normal(size=(5, inner)), generator.normal(size=(inner, 9))
    found = np.full((5, 9), np.nan)
    multiply(a, b, found)
    np.testing.assert_allclose(found, a @ b, rtol=0, atol=1e-13)
