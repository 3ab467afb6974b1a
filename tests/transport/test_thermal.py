"""Thermal averages against closed forms and dense grids."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.linalg import eigh_tridiagonal

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


def test_a_fixed_number_of_energies_against_the_adaptive_average() -> None:
    """Errors fall as more is taken, and the error that is stated covers them."""
    adaptive = at_temperature(GAS, potential(), 2.0, accuracy=1e-4)
    largest = adaptive.pldos.max()
    errors = []
    for n in (5, 9, 17, 33, 65):
        told: list[tuple[int, int]] = []
        fixed = at_temperature(
            GAS,
            potential(),
            2.0,
            accuracy=3e-4,
            energies=n,
            progress=lambda *done, told=told: told.append(done),
        )
        assert fixed.energy_mev.size == n
        assert (told[0], told[-1]) == ((0, n), (n, n))
        errors.append(float(np.abs(fixed.pldos - adaptive.pldos).max() / largest))
        # Beyond 1 + ln n lies 0.7 / n of the weight, which other nodes within do not see.
        assert errors[-1] <= fixed.error + 0.7 / n
    assert errors[-1] < 0.7 / 65
    assert errors[-1] < errors[0] / 2


def test_a_constant_is_averaged_exactly_by_any_number() -> None:
    for n in (3, 9, 101):
        found = thermal_average(np.ones_like, 5.0, 1.0, energies=n)
        assert found.value == pytest.approx(1, abs=1e-14)
        assert found.error < 1e-14


def test_a_trapezoid_beats_gauss_on_narrow_resonances() -> None:
    """Twenty Lorentzians of width kT / 3: what T(E) of a disordered sample looks like."""
    rng = np.random.default_rng(0)
    centres = 5.0 + KELVIN_MEV * rng.uniform(-8, 8, 20)

    def rough(energy: np.ndarray) -> np.ndarray:
        return (1 / (1 + ((energy[:, None] - centres) / (KELVIN_MEV / 3)) ** 2)).sum(axis=1)

    right = float(thermal_average(rough, 5.0, 1.0, accuracy=1e-6).value)
    trapezoid = float(thermal_average(rough, 5.0, 1.0, energies=33).value)
    # Golub and Welsch, with the recurrence b_k = k^4 pi^2 / (4 k^2 - 1) of this weight.
    k = np.arange(1, 33)
    x, vectors = eigh_tridiagonal(np.zeros(33), k**2 * np.pi / np.sqrt(4 * k**2 - 1.0))
    gauss = float(vectors[0] ** 2 @ rough(5.0 + KELVIN_MEV * x))
    assert abs(trapezoid / right - 1) < 0.01
    assert abs(gauss - right) > 3 * abs(trapezoid - right)


def test_progress_of_the_adaptive_average_plans_more() -> None:
    told: list[tuple[int, int]] = []
    found = at_temperature(GAS, potential(), 2.0, progress=lambda *done: told.append(done))
    assert told[0][0] == 0
    assert told[-1] == (found.energy_mev.size, found.energy_mev.size)
    assert all(before[0] <= after[0] for before, after in pairwise(told))


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
    with pytest.raises(ParameterError, match="energies = 8: give an odd number"):
        at_temperature(GAS, potential(), 1.0, energies=8)
    with pytest.raises(ParameterError, match="positive numbers"):
        energy_sweep(GAS, potential(), [5.0, -2.0])
    with pytest.raises(ConvergenceError, match="50 energies"):
        thermal_average(lambda e: np.sin(1e4 * e), 5.0, 1.0, accuracy=1e-6, most=50)
