"""The gas's own numbers: hopping, density, presets."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.errors import ParameterError
from inmateria.transport.gas import ElectronGas, Lead


def test_the_default_is_the_gas_of_the_paper() -> None:
    gas = ElectronGas()
    assert gas.hopping_mev == pytest.approx(24.186, abs=1e-3)
    # lambda_F = 65.3 nm gives k_F^2 / (2 pi).
    assert gas.density_per_cm2 == pytest.approx(2 * np.pi / (65.3e-7) ** 2, rel=2e-3)


def test_gaas_has_literature_values() -> None:
    gas = ElectronGas.gaas()
    assert gas.shape == ElectronGas().shape
    # 0.28e11 states per cm^2 and meV (Beenakker & van Houten 1991, table I): two digits.
    assert gas.density_per_cm2 / gas.fermi_mev == pytest.approx(0.28e11, rel=0.02)
    assert gas.density_per_cm2 == pytest.approx(2e11, rel=1e-12)
    # hbar^2 / (2 m_e) = 3.80998 eV A^2.
    assert gas.hopping_mev == pytest.approx(3809.98e-2 / (0.067 * 25), rel=1e-5)


def test_gaas_with_changes() -> None:
    gas = ElectronGas.gaas(density_per_cm2=1e11, n_x=30, n_y=20, source=Lead(0, 20),
                           drain=Lead(0, 20))  # fmt: skip
    assert gas.shape == (30, 20)
    assert gas.density_per_cm2 == pytest.approx(1e11, rel=1e-12)
    assert ElectronGas.gaas(fermi_mev=9.0).fermi_mev == 9.0
    with pytest.raises(ParameterError, match="give one of them"):
        ElectronGas.gaas(density_per_cm2=1e11, fermi_mev=9.0)
    with pytest.raises(ParameterError, match="fermi_mev = -"):
        ElectronGas.gaas(density_per_cm2=-1e11)
    with pytest.raises(ParameterError, match="mass_kg = 0"):
        ElectronGas.gaas(mass_kg=0.0)


def test_the_generic_gas_counts_in_hoppings() -> None:
    gas = ElectronGas.generic(12, 9, energy_t=0.7)
    assert gas.hopping_mev == pytest.approx(1, rel=1e-15)
    assert gas.source == gas.drain == Lead(0, 9)
    m = np.arange(1, 10)
    np.testing.assert_allclose(
        gas.thresholds_mev(gas.source), 2 - 2 * np.cos(np.pi * m / 10), rtol=1e-14
    )
    # 2 - 2 cos(pi m / 10) < 0.7 for m = 1, 2.
    assert gas.transmission(np.zeros(gas.shape)) == pytest.approx(2, rel=1e-6)
    assert ElectronGas.generic(12, 9, energy_t=0.7, source=Lead(2, 5)).source == Lead(2, 5)
    with pytest.raises(ParameterError, match="fermi_mev = 0"):
        ElectronGas.generic(12, 9, energy_t=0)
