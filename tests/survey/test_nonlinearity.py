"""Indicators and components against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from inmateria.survey.components import principal_components
from inmateria.survey.nonlinearity import BASIS, indicators, nonlinearity, responses

RNG = np.random.default_rng(11)


def vectors(
    mean: np.ndarray, first: np.ndarray, second: np.ndarray, cross: np.ndarray
) -> np.ndarray:
    """Current vectors with these responses."""
    return np.stack([mean, first, second, cross], axis=-1) @ (2.0 * BASIS)


def test_basis_is_orthonormal() -> None:
    assert np.array_equal(BASIS @ BASIS.T, np.eye(4))


def test_responses_of_known_currents() -> None:
    # I00, I01, I10, I11 = 1, 2, 4, 9 by the formulas of the module.
    assert responses([1.0, 2.0, 4.0, 9.0]) == pytest.approx([4.0, 2.5, 1.5, 1.0])


def test_inputs_that_add_up_have_no_indicator() -> None:
    offset = RNG.normal(0, 5, 400)
    one = np.ones(400)
    found = nonlinearity(vectors(offset, 3.0 * one, 2.0 * one, 0.0 * one))
    assert (found.ndr_first, found.ndr_second, found.coupling) == (0.0, 0.0, 0.0)
    assert found.error == (0.0, 0.0, 0.0)


def test_an_input_that_always_lowers_has_ndr_one() -> None:
    one = np.ones(100)
    found = nonlinearity(vectors(RNG.normal(0, 5, 100), -3.0 * one, 2.0 * one, 0.0 * one))
    assert (found.ndr_first, found.ndr_second) == (1.0, 0.0)


def test_product_of_the_inputs_is_all_coupling() -> None:
    zero = np.zeros(100)
    found = nonlinearity(vectors(zero, zero, zero, RNG.normal(0, 2, 100)))
    assert (found.ndr_first, found.ndr_second) == (0.5, 0.5)
    assert math.isinf(found.coupling)
    assert found.error == (0.0, 0.0, 0.0)


def test_a_device_without_current_says_nothing() -> None:
    found = nonlinearity(np.zeros((10, 4)))
    assert (found.ndr_first, found.ndr_second, found.coupling) == (0.5, 0.5, 0.0)


def test_indicators_of_a_known_distribution() -> None:
    # M1 = 1 +- 2, M2 = -+0.5 around 1, X = +-1, all in equal numbers.
    sign = np.tile([1.0, -1.0], 50)
    found = nonlinearity(vectors(0 * sign, 1 + 2 * sign, 1 + 0.5 * sign, sign))
    assert found.ndr_first == pytest.approx(0.5 * (1 - math.tanh(0.5)))
    assert found.ndr_second == pytest.approx(0.5 * (1 - math.tanh(2.0)))
    assert found.coupling == pytest.approx(1.0 / ((1 + 4) + (1 + 0.25)))


def test_sign_of_the_current_mirrors_ndr_and_keeps_coupling() -> None:
    current = RNG.normal(1.0, 2.0, (300, 4)) + np.array([0, 1, 2, 3])
    found, flipped = nonlinearity(current), nonlinearity(-current)
    assert flipped.ndr_first == pytest.approx(1 - found.ndr_first)
    assert flipped.ndr_second == pytest.approx(1 - found.ndr_second)
    assert flipped.coupling == pytest.approx(found.coupling)


def test_standard_errors_are_those_of_repetition() -> None:
    # 400 experiments of 250 settings against the error that one of them states: the spread of
    # 400 is known to 1 / sqrt(800) = 3.5 %, one bootstrap of 200 to 5 % plus its own sample's
    # scatter; three quarters to four thirds holds for all three.
    rng = np.random.default_rng(3)
    drawn = rng.normal([1, 1.5, 2, 4], [2, 2, 2, 2], (400, 250, 4))
    stated = np.median([nonlinearity(currents).error for currents in drawn[:20]], axis=0)
    ratio = stated / indicators(drawn).std(axis=0)
    assert ((ratio > 0.75) & (ratio < 4 / 3)).all()


def test_components_of_a_linear_device_have_rank_one_to_three() -> None:
    n = 300
    mean, first, second = RNG.normal(0, [[9.0], [3.0], [1.0]], (3, n))
    zero = np.zeros(n)
    found = principal_components(vectors(mean, first, second, zero))
    # The cross mode never moves: no variance, and none of it in the other three.
    assert found.variance_na2[3] == 0.0
    assert (found.variance_na2[:3] > 0).all()
    assert found.overlap[:3, 3] == pytest.approx(0.0, abs=1e-12)
    fixed = principal_components(vectors(mean, zero + 3, zero + 2, zero))
    assert (fixed.variance_na2 > 0).tolist() == [True, False, False, False]
    assert fixed.share.tolist() == [1.0, 0.0, 0.0, 0.0]


def test_components_of_independent_modes_are_the_modes() -> None:
    # Exactly uncorrelated: columns of a Hadamard matrix. Variance n / (n - 1) (2 s)^2 per mode.
    h = np.array([[1.0]])
    for _ in range(3):
        h = np.block([[h, h], [h, -h]])
    mean, first, second, cross = h[:, 1:5].T * np.array([[8.0], [1.0], [4.0], [2.0]])
    found = principal_components(vectors(mean, first, second, cross))
    assert found.variance_na2 == pytest.approx(8 / 7 * 4 * np.array([64.0, 16.0, 4.0, 1.0]))
    assert found.overlap == pytest.approx(np.eye(4)[[0, 2, 3, 1]], abs=1e-12)
    assert found.direction == pytest.approx(BASIS[[0, 2, 3, 1]], abs=1e-7)
    assert found.mode_share == pytest.approx(np.array([64, 1, 16, 4]) / 85)


def test_components_rebuild_the_covariance() -> None:
    current = RNG.normal(0, 1, (200, 4)) @ RNG.normal(0, 1, (4, 4)) + 7.0
    found = principal_components(current)
    rebuilt = found.direction.T @ np.diag(found.variance_na2) @ found.direction
    assert rebuilt == pytest.approx(np.cov(current.T))
    assert found.mean_na == pytest.approx(current.mean(axis=0))
    assert found.overlap.sum(axis=0) == pytest.approx(1.0)
    assert found.overlap.sum(axis=1) == pytest.approx(1.0)


def test_one_setting_has_no_variance() -> None:
    found = principal_components([[1.0, 2.0, 3.0, 4.0]])
    assert found.variance_na2.tolist() == [0.0] * 4
    assert found.share.tolist() == [0.0] * 4
