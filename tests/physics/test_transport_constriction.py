"""Quantised conductance of a clean, smooth constriction (van Wees 1988; Glazman et al. 1988)."""

from __future__ import annotations

import numpy as np

from inmateria.transport.energies import energy_sweep
from inmateria.transport.gas import ElectronGas
from inmateria.transport.strip import thresholds

N_X, N_Y, NARROWEST = 101, 36, 16
GAS = ElectronGas.generic(N_X, N_Y, energy_t=0.3)
COLUMN = np.arange(N_X) - (N_X - 1) / 2
# Subband bottoms at the narrowest column; six open below 1.1 t.
BOTTOM = thresholds(NARROWEST)[:6]


def width(x: np.ndarray) -> np.ndarray:
    """Rows between the walls, from all of them at the leads to the fewest at x = 0."""
    return NARROWEST + (N_Y - NARROWEST) * np.sin(np.pi * x / (N_X - 1)) ** 2


def constriction() -> np.ndarray:
    """Walls that recede smoothly, (n_x, n_y) in t.

    A wave that vanishes a distance d beyond its last free row, 1 <= d < 2, decays to the row
    after it as if that had the potential (2 - d) / (d - 1): so walls stand between rows too,
    and no step of a row's height reflects. Behind the walls it is 999 t.
    """
    row = np.arange(N_Y) - (N_Y - 1) / 2
    free = np.clip(width(COLUMN)[:, None] / 2 + 0.5 - np.abs(row), 1e-3, 1)
    return (1 - free) / free


def transmission(energies: np.ndarray) -> np.ndarray:
    return energy_sweep(GAS, constriction(), energies, accuracy=1e-4).transmission


def test_conductance_has_plateaux_at_the_number_of_modes_in_the_narrowest_column() -> None:
    middles = (BOTTOM[:-1] + BOTTOM[1:]) / 2
    found = transmission(middles)
    n = np.array([(thresholds(NARROWEST) < energy).sum() for energy in middles])
    assert n.tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_allclose(found, n, rtol=0.01)
    # The leads carry more: it is the constriction that counts.
    for energy in middles[1:]:
        assert GAS.with_fermi(float(energy)).count_open("source") > (energy > BOTTOM).sum()


def test_conductance_rises_from_plateau_to_plateau() -> None:
    energies = np.linspace(0.7 * BOTTOM[0], BOTTOM[4], 80)
    found = transmission(energies)
    # What interferes between the two ends of the constriction is far below a step.
    assert np.diff(found).min() > -0.01
    assert found[0] < 0.05
    assert found[-1] > 4


def test_steps_are_at_the_subband_bottoms_and_as_wide_as_tunnelling_makes_them() -> None:
    """Half a mode at each bottom; over a parabola of E_n(x), 1 / (1 + exp(-2 pi (E - E_n) / w)).

    E_n(x) = 2 - 2 cos(pi n / (width + 1)) falls off as E_n'' x^2 / 2, and with hopping 1 (a mass
    of 1 / 2) w^2 = 2 |E_n''| (Kemble 1935). The bottleneck is no parabola beyond some 15
    columns and modes mix a little: 0.1 of a step.
    """
    n = np.arange(1, 6)
    angle = np.pi * n / (NARROWEST + 1)
    second_of_width = 2 * (N_Y - NARROWEST) * (np.pi / (N_X - 1)) ** 2
    step = np.sqrt(2 * 2 * np.sin(angle) * angle / (NARROWEST + 1) * second_of_width)
    for shift in (-0.5, 0.0, 0.5):
        expected = n - 1 + 1 / (1 + np.exp(-2 * np.pi * shift))
        # Off the exact threshold by nothing that matters: full leads have others.
        found = transmission(BOTTOM[:5] + shift * step)
        np.testing.assert_allclose(found, expected, atol=0.1)
