"""Thermal averages against closed forms and dense grids."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.errors import ConvergenceError, ParameterError
from inmateria.transport.constants import KELVIN_MEV
from inmateria.transport.energies import at_temperature, energy_sweep, off_threshold
from inmateria.transport.gas import ElectronGas, Lead
from inmateria.transport.thermal import thermal_average

GAS = ElectronGas(n_x=20, n_y=16, fermi_mev=9.0, source=Lead(5, 7), drain=Lead(0, 16))


def potential() -> np.ndarray:
    x, y = np.meshgrid(np.arange(GAS.n_x), np.arange(GAS.n_y), indexing="ij")
    return 1.5 * np.sin(x / 3 + 0.3) * np.cos(y / 4)


def test_moments_of_the_weight() -> None:
    """<1> = 1, <E - E_F> = 0, <(E - E_F)^2> = (pi kT)^2 / 3."""
    found = thermal_average(
        lambda e: np.stack([np.ones_like(e), e - 5.0, (e - 5.0) ** 2], axis=1),
        5.0,
        4.2,
        accuracy=1e-8,
    )
    expected = [1, 0, (np.pi * KELVIN_MEV * 4.2) ** 2 / 3]
    # The range is cut where 1e-9 of the weight is left, times 21^2 for the second moment.
    np.testing.assert_allclose(found.value, expected, atol=2e-6)


def test_a_narrow_resonance_is_resolved() -> None:
    """A Lorentzian of width kT / 15, far narrower than the first step."""
    width = KELVIN_MEV / 15

    def resonance(energy: np.ndarray) -> np.ndarray:
        return 1 / (1 + ((energy - 5.03) / width) ** 2)

    found = thermal_average(resonance, 5.0, 1.0, accuracy=1e-4)
    x = np.linspace(-20, 20, 400_001)
    dense = np.trapezoid(resonance(5.0 + KELVIN_MEV * x) / (4 * np.cosh(x / 2) ** 2), x)
    assert found.value == pytest.approx(dense, rel=1e-3)
    assert found.energy_mev.size > 200


def test_zero_temperature_is_one_energy() -> None:
    found = at_temperature(GAS, potential(), 0.0)
    assert found.energy_mev.tolist() == [9.0]
    assert found.transmission == pytest.approx(GAS.transmission(potential()), abs=1e-3)


def test_average_against_a_dense_grid() -> None:
    found = at_temperature(GAS, potential(), 4.2, accuracy=1e-4)
    x = np.linspace(-16, 16, 161)
    sweep = energy_sweep(GAS, potential(), 9.0 + 4.2 * KELVIN_MEV * x, accuracy=1e-5)
    dense = np.trapezoid(sweep.transmission / (4 * np.cosh(x / 2) ** 2), x)
    assert found.transmission == pytest.approx(dense, abs=3e-4)
    assert found.pldos.shape == GAS.shape


def test_below_the_first_mode_nothing_goes_through() -> None:
    first = GAS.thresholds_mev(GAS.source)[0]
    sweep = energy_sweep(GAS, np.zeros(GAS.shape), [0.5 * first, 1.5 * first])
    assert sweep.transmission[0] == 0
    assert sweep.open.tolist() == [0, 1]
    assert sweep.transmission[1] > 0.1


def test_energies_are_moved_off_thresholds() -> None:
    at = float(GAS.thresholds_mev(GAS.source)[1])
    moved = off_threshold(GAS, at)
    assert 0 < moved - at < 1e-5
    GAS.with_fermi(moved).transmission(potential())
    assert off_threshold(GAS, 9.0) == 9.0


def test_bad_input() -> None:
    with pytest.raises(ParameterError, match="temperature_k = -1"):
        at_temperature(GAS, potential(), -1.0)
    with pytest.raises(ParameterError, match="positive numbers"):
        energy_sweep(GAS, potential(), [5.0, -2.0])
    with pytest.raises(ConvergenceError, match="50 energies"):
        thermal_average(lambda e: np.sin(1e4 * e), 5.0, 1.0, accuracy=1e-6, most=50)
