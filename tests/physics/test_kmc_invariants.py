"""What must hold for Monte Carlo on every network, and how honest its errors are."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.devices.dopant.network import DopantNetwork
from inmateria.devices.dopant.parameters import DopantParameters
from inmateria.devices.dopant.rates import RATES

from .dopant_cases import reference_network, small

ALGORITHMS = ("rejection-free", "null-event")


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_current_flows_at_equal_voltages(algorithm, rates):
    for seed, parameters in ((4, DopantParameters(rates=rates)), (5, small(rates=rates))):
        device = DopantNetwork(seed=seed, parameters=parameters, outputs=(0,))
        # Outputs are at 0 V, so all electrodes at one voltage means all at 0 V.
        found = device.monte_carlo(np.zeros((2, 1, 7)), hops=20_000, algorithm=algorithm, seed=6)
        scale = np.abs(device.current(np.random.default_rng(0).uniform(-1, 1, (20, 7)))).max()
        # A run cannot know of states that it visits less than once: here of less than one hop in
        # 20,000, which may carry 1e-4 of a current.
        error = np.hypot(found.electrode_standard_error, 1e-4 * scale)
        # 16 numbers, t with 31 degrees of freedom: beyond 4.5 once in 600 such tests.
        assert np.abs(found.electrode_current / error).max() < 4.5
        assert error.max() < 0.1 * scale


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_currents_of_all_electrodes_sum_to_zero(algorithm):
    device = DopantNetwork(seed=3)
    voltage = np.random.default_rng(1).uniform(-1, 1, (10, 7))
    found = device.monte_carlo(voltage, hops=5000, algorithm=algorithm)
    total = found.electrode_current.sum(axis=-1)
    # The control variates of all electrodes add up to the net rates of the sites, with which the
    # electrodes' add up to zero hop by hop; the adjoint solve keeps 1e-12 of gross rates that
    # exceed the currents by 1,000.
    assert np.abs(total).max() < 1e-8 * np.abs(found.electrode_current).max()


def test_what_arrives_at_a_site_leaves_it_on_average():
    device = DopantNetwork(seed=3)
    voltage = np.random.default_rng(1).uniform(-1, 1, (3, 7))
    found = device.monte_carlo(voltage, hops=100_000, bonds=True)
    leaving = found.bonds.between.sum(axis=-1) + found.bonds.into.sum(axis=-1)
    # Net rates of sites scatter as those of electrodes without control variates, ten times more.
    gross = np.abs(found.bonds.between).max()
    assert np.abs(leaving).max() < 0.2 * gross


def coverage(device: DopantNetwork, voltage: np.ndarray, truth: np.ndarray, **how) -> float:
    found = device.monte_carlo(np.repeat(voltage[:, None], 500, axis=1), seed=11, **how)
    low, high = found.interval(0.95)
    return float(((low <= truth[:, None]) & (truth[:, None] <= high)).mean(axis=(1, 2)).min())


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("how", [{"hops": 10_000}, {"relative_error": 0.02}], ids=["hops", "error"])
def test_95_percent_intervals_cover_the_truth(reference, how, algorithm):
    for rates in RATES:
        device, arrays = reference_network(reference, "n9_", rates=rates)
        truth = arrays[f"current_exact_{rates.replace('-', '_')}"][:3] * device.nanoampere
        voltage = arrays["voltage_v"][:3, 1:]
        share = coverage(device, voltage, truth[:, None], algorithm=algorithm, **how)
        # The least of three; 500 repetitions know a share of 0.95 to 0.01.
        assert 0.90 <= share <= 0.99


@pytest.mark.slow
def test_95_percent_intervals_cover_at_thirty_sites():
    device = DopantNetwork()
    voltage = np.random.default_rng(0).uniform(-1, 1, (2, 7))
    truth = device.monte_carlo(voltage, hops=20_000_000, seed=1).current
    assert 0.90 <= coverage(device, voltage, truth, hops=10_000) <= 0.99
