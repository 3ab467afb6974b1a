"""The engine `correlated` on its own: bounds, starts, cases without approximation."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.devices.dopant.correlated import Correlated
from inmateria.devices.dopant.covariance import bounded
from inmateria.devices.dopant.network import DopantNetwork
from inmateria.devices.dopant.parameters import DopantParameters
from inmateria.devices.dopant.rates import RATES, expansion, rate_number
from inmateria.errors import ConvergenceError


@pytest.mark.parametrize(
    ("c", "p", "q"),
    [(0.01, 0.3, 0.4), (0.2, 0.3, 0.4), (-0.05, 0.3, 0.4), (-0.3, 0.8, 0.7), (0.1, 0.9, 0.2)],
)
def test_bounded_covariance_keeps_the_frechet_bounds_and_knows_its_slopes(c, p, q):
    value, *slopes = bounded(c, p, q)
    high, low = min(p, q) - p * q, -min(p * q, (1 - p) * (1 - q))
    assert low <= value <= high
    step = 1e-6
    for k, slope in enumerate(slopes):
        here, shift = np.array([c, p, q]), step * np.eye(3)[k]
        up, down = bounded(*(here + shift))[0], bounded(*(here - shift))[0]
        # central differences: third derivatives of some 1e3 times step^2
        assert slope == pytest.approx((up - down) / (2 * step), abs=1e-7)


def test_small_covariances_pass_unchanged_and_huge_ones_meet_the_bound():
    assert bounded(0.01, 0.5, 0.5)[0] == pytest.approx(0.01, rel=1e-9)
    assert bounded(1e9, 0.3, 0.4)[0] == pytest.approx(0.18)
    assert bounded(-1e9, 0.3, 0.4)[0] == pytest.approx(-0.12)
    assert bounded(0.1, 0.0, 0.5)[0] == 0


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("x", [-30.0, -1.3, 0.4, 12.0])
def test_derivatives_of_the_rates(x, rates):
    rule = rate_number(rates)
    here = np.array(expansion(x, rule))
    step = 1e-5
    slope = (np.array(expansion(x + step, rule)) - np.array(expansion(x - step, rule))) / (2 * step)
    # each pair of columns is the derivative of the one before; truncation is step^2 / 6
    np.testing.assert_allclose(here[2:], slope[:-2], rtol=0, atol=1e-9)
    assert here[1] == expansion(-x, rule)[0]


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("coulomb", [2.0, 20.0, 147.0])
def test_a_tight_dimer_is_exact(coulomb, rates):
    # Two sites that are one cluster are the whole master equation.
    options = {
        "electrode_basis": [[0.7, 0.2, 0.1], [0.2, 0.3, 0.5]],
        "site_energy_kt": [1.0, -2.0],
        "pair_coulomb_kt": [[0.0, coulomb], [coulomb, 0.0]],
        "pair_weight": [[0.0, 0.3], [0.3, 0.0]],
        "electrode_weight": [[0.2, 0.01, 0.0], [0.0, 0.1, 0.05]],
        "rates": rates,
    }
    voltage = np.random.default_rng(0).uniform(-0.3, 0.3, (30, 2))
    exact = DopantNetwork.from_arrays(**options, engine="exact")
    device = DopantNetwork.from_arrays(**options, engine="correlated")
    truth = exact.electrode_current(voltage)
    # Newton's tolerance
    allowed = 1e-10 * np.abs(truth).max()
    np.testing.assert_allclose(device.electrode_current(voltage), truth, rtol=0, atol=allowed)
    np.testing.assert_allclose(
        device.occupation(voltage), exact.occupation(voltage), rtol=0, atol=1e-9
    )
    slope = exact.gradient(voltage)
    np.testing.assert_allclose(
        device.gradient(voltage), slope, rtol=0, atol=1e-8 * np.abs(slope).max()
    )


def test_a_stream_gives_what_single_points_give():
    device = DopantNetwork(seed=1, engine="correlated")
    walk = np.cumsum(np.random.default_rng(0).normal(0, 0.01, (150, 7)), axis=0)
    expected = np.concatenate([device.current(point[None]) for point in walk])
    stream = device.stream()
    found = np.concatenate([stream.current(part) for part in np.array_split(walk, 4)])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8 * np.abs(expected).max())


def test_no_points_give_no_currents():
    device = DopantNetwork(seed=1, engine="correlated")
    assert device.current(np.empty((0, 7))).shape == (0, 1)
    assert device.gradient(np.empty((0, 7))).shape == (0, 1, 7)


def test_an_unstable_mean_field_is_refused():
    with pytest.raises(ConvergenceError, match=r"\(0\.5, 0\.5\) V the mean field is not stable"):
        Correlated._check(np.full((2, 2), 0.5), np.array([True, False]))


@pytest.mark.slow
@pytest.mark.parametrize("rates", RATES)
def test_every_point_of_forty_devices_converges(rates):
    # The hard ones for Newton among the first hundred seeds, and the first of all.
    for seed in [13, 16, 55, *range(37)]:
        device = DopantNetwork(
            seed=seed, parameters=DopantParameters(rates=rates), engine="correlated"
        )
        voltage = np.random.default_rng(seed).uniform(-1, 1, (300, 7))
        assert np.isfinite(device.current(voltage)).all()
