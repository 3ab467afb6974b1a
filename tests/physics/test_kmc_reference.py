"""Monte Carlo against the master equation and against another Monte Carlo's figures.

Deviations are measured in standard errors; those come from 32 pairs of blocks, so
a squared deviation has the mean 31 / 29 of F(1, 31), not 1.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2
from scipy.stats import t as student

from inmateria.devices.dopant.network import DopantNetwork
from inmateria.devices.dopant.rates import RATES

from .dopant_cases import reference_network, small

ALGORITHMS = ("rejection-free", "null-event")
QUICK = 20_000
LONG = 1_000_000


def check(deviation: np.ndarray) -> None:
    """All within 3 standard errors as far as their number allows, and their sum of squares."""
    inside = deviation**2 / (31 / 29)
    # The upper end is left by one test in 1,000; the lower one by errors that are too large.
    low, high = chi2.ppf([0.001, 0.999], deviation.size)
    assert low < inside.sum() < high
    # Of a few hundred numbers one in 400 lies beyond 3, none beyond 5 (t with 31 degrees).
    assert (np.abs(deviation) > 3).mean() < 0.05
    assert np.abs(deviation).max() < 5


@pytest.mark.parametrize(
    "hops", [pytest.param(QUICK, id="quick"), pytest.param(LONG, marks=pytest.mark.slow, id="long")]
)
@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_nine_sites_agree_with_the_master_equation(reference, algorithm, rates, hops):
    device, arrays = reference_network(reference, "n9_", rates=rates)
    expected = arrays[f"current_exact_{rates.replace('-', '_')}"] * device.nanoampere
    found = device.monte_carlo(arrays["voltage_v"][:, 1:], hops=hops, seed=1, algorithm=algorithm)
    check((found.current[:, 0] - expected) / found.standard_error[:, 0])
    # A run that knows nothing would pass, so it must also know the currents.
    scale = np.sqrt(np.mean(expected**2))
    assert np.median(found.standard_error) < 0.05 * scale


@pytest.mark.parametrize(
    "hops", [pytest.param(QUICK, id="quick"), pytest.param(LONG, marks=pytest.mark.slow, id="long")]
)
def test_thirty_sites_agree_with_another_monte_carlo(reference, hops):
    device, arrays = reference_network(reference, "n30_", rates="miller-abrahams")
    found = device.monte_carlo(arrays["voltage_v"][:, 1:], hops=hops, seed=1)
    other = arrays["current_kmc_miller_abrahams"] * device.nanoampere
    other_error = arrays["current_kmc_standard_error"] * device.nanoampere
    deviation = (found.current[:, 0] - other) / np.hypot(found.standard_error[:, 0], other_error)
    # Theirs are errors of four runs: t with 3 degrees of freedom, which has far outliers (1 in 17
    # beyond 3). Half of |t_3| lies below 0.76. Of 32 points 1.6 are expected beyond the 95 %
    # quantile and 0.3 beyond the 99 % one; 6 and 3 have chances of half a per cent.
    assert 0.35 < np.median(np.abs(deviation)) < 1.2
    assert len(deviation) == 32
    assert (np.abs(deviation) > student.ppf(0.975, 3)).sum() < 6
    assert (np.abs(deviation) > student.ppf(0.995, 3)).sum() < 3


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_occupations_and_bonds_agree_with_the_master_equation(algorithm, rates):
    exact = DopantNetwork(seed=2, parameters=small(rates=rates), engine="exact")
    voltage = np.random.default_rng(2).uniform(-1, 1, (4, 7))
    truth, bonds = exact.occupation(voltage), exact.bond_currents(voltage)
    found = exact.monte_carlo(voltage, hops=100_000, bonds=True, algorithm=algorithm, seed=3)
    # Sites that are full or empty but for one state in a million may never have changed.
    moved = found.occupation_standard_error > 1e-4
    assert moved.sum() >= 4
    deviation = (found.occupation - truth)[moved] / found.occupation_standard_error[moved]
    assert np.abs(deviation).max() < 5
    np.testing.assert_allclose(found.occupation, truth, rtol=0, atol=0.05)
    # Bonds have no error bars of their own. Gross flows exceed net ones a hundredfold in tight
    # pairs, so judge those of the electrodes, in units of the largest current.
    scale = np.abs(bonds.into.sum(axis=1)).max()
    np.testing.assert_allclose(found.bonds.into, bonds.into, rtol=0, atol=0.1 * scale)
    np.testing.assert_array_equal(found.bonds.between, -np.swapaxes(found.bonds.between, -1, -2))


@pytest.mark.parametrize("rates", RATES)
def test_both_algorithms_agree(rates):
    device = DopantNetwork(seed=8, parameters=small(n_acceptors=15, radius_nm=60.0, rates=rates))
    voltage = np.random.default_rng(0).uniform(-1, 1, (20, 7))
    one, two = (device.monte_carlo(voltage, hops=20_000, algorithm=a, seed=4) for a in ALGORITHMS)
    error = np.hypot(one.standard_error, two.standard_error)
    check((one.current - two.current) / error)


def test_energies_too_large_for_factors_give_the_same_currents(monkeypatch):
    device = DopantNetwork(seed=2, parameters=small(), engine="exact")
    voltage = np.random.default_rng(3).uniform(-1, 1, (10, 7))
    monkeypatch.setattr("inmateria.devices.dopant.kmc_walk.MOST_SPREAD_KT", 0.0)
    found = device.monte_carlo(voltage, hops=20_000)
    assert (found.algorithm == "null-event").all()
    check((found.current - device.current(voltage)) / found.standard_error)
