"""Engines against the reference arrays: exact, prototype mean field, Monte Carlo."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.devices.dopant.rates import RATES

from .dopant_cases import reference_network


@pytest.mark.parametrize("rates", RATES)
def test_exact_engine_equals_the_dense_master_equation(reference, rates):
    device, arrays = reference_network(reference, "n9_", engine="exact", rates=rates)
    current = device.current(arrays["voltage_v"][:, 1:])[:, 0] / device.nanoampere
    expected = arrays[f"current_exact_{rates.replace('-', '_')}"]
    np.testing.assert_allclose(current, expected, rtol=1e-9)


@pytest.mark.parametrize("rates", RATES)
def test_mean_field_reproduces_the_prototype(reference, rates):
    device, arrays = reference_network(reference, "n30_", rates=rates)
    current = device.current(arrays["voltage_v"][:, 1:])[:, 0] / device.nanoampere
    expected = arrays[f"current_meanfield_{rates.replace('-', '_')}"]
    np.testing.assert_allclose(current, expected, rtol=1e-6)


def test_mean_field_is_near_monte_carlo(reference):
    device, arrays = reference_network(reference, "n30_", rates="miller-abrahams")
    current = device.current(arrays["voltage_v"][:, 1:])[:, 0] / device.nanoampere
    monte_carlo = arrays["current_kmc_miller_abrahams"]
    error = np.sqrt(np.mean((current - monte_carlo) ** 2) / np.mean(monte_carlo**2))
    assert error < 0.035
