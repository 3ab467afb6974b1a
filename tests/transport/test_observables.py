"""Local currents and the density of states: continuity, closed forms, a dense Green's function."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.errors import ParameterError
from inmateria.transport.constants import CHARGE_C, HBAR_J_S
from inmateria.transport.gas import ElectronGas, Lead
from inmateria.transport.strip import strip_modes, transverse_modes

from .dense_field import dense_states

GAS = ElectronGas(n_x=14, n_y=11, fermi_mev=11.0, source=Lead(3, 6), drain=Lead(1, 9))
WIRE = ElectronGas(n_x=20, n_y=16, fermi_mev=6.0, source=Lead(0, 16), drain=Lead(0, 16))
ROUGH = np.random.default_rng(8).normal(scale=3.0, size=(2, 3, *GAS.shape))


@pytest.mark.parametrize(("lead", "sign"), [("source", 1), ("drain", -1)])
def test_current_is_conserved_from_slice_to_slice_and_on_every_site(lead: str, sign: int) -> None:
    accuracy = 1e-10
    found = GAS.current_density(ROUGH, lead=lead, accuracy=accuracy)
    assert found.x.shape == (2, 3, 13, 11)
    assert found.y.shape == (2, 3, 14, 10)
    transmission = GAS.scatter(ROUGH, accuracy=accuracy).transmission
    largest = GAS.pldos(ROUGH, lead=lead).max() / (2 * np.pi)
    # A bond's current changes by less than 2 d|psi|^2, a column of 11 by 11 times that.
    bond = 2 * accuracy * largest
    columns = sign * transmission[..., None] * np.ones(13)
    np.testing.assert_allclose(found.through_columns, columns, atol=11 * bond)
    np.testing.assert_allclose(found.transmission, transmission, atol=11 * bond)
    joined = np.zeros(GAS.shape, dtype=bool)
    joined[0, GAS.source.rows] = joined[-1, GAS.drain.rows] = True
    assert np.abs(found.from_leads[..., ~joined]).max() < 4 * bond
    # What goes in by one lead and is not reflected goes out by the other.
    ends = found.from_leads[..., [0, -1], :].sum(axis=-1)
    np.testing.assert_allclose(ends[..., 0], sign * transmission, atol=11 * bond)
    np.testing.assert_allclose(ends.sum(axis=-1), 0, atol=22 * bond)


@pytest.mark.parametrize("lead", ["source", "drain"])
def test_bonds_are_those_of_dense_states(lead: str) -> None:
    found = GAS.current_density(ROUGH[0], lead=lead, accuracy=1e-11)
    for s, potential in enumerate(ROUGH[0]):
        states = dense_states(GAS, potential / GAS.hopping_mev, GAS.fermi_mev / GAS.hopping_mev, 0)
        psi = states[lead].psi
        # What the Schroedinger equation brings to site j from i: 2 Im conj(psi_j) H_ji psi_i.
        x = 2 * (psi[1:].conj() * -1 * psi[:-1]).imag.sum(axis=-1)
        y = 2 * (psi[:, 1:].conj() * -1 * psi[:, :-1]).imag.sum(axis=-1)
        np.testing.assert_allclose(found.x[s], x, atol=1e-9)
        np.testing.assert_allclose(found.y[s], y, atol=1e-9)


def test_a_clean_wire_carries_plane_waves() -> None:
    """Every mode carries 1, spread as its chi^2; nothing flows across."""
    found = WIRE.current_density(np.zeros(WIRE.shape), accuracy=1e-11)
    chi = transverse_modes(16)[:, WIRE.modes(WIRE.source).open]
    profile = (chi**2).sum(axis=1)
    np.testing.assert_allclose(found.x, np.tile(profile, (19, 1)), atol=1e-10)
    np.testing.assert_allclose(found.y, 0, atol=1e-10)
    np.testing.assert_allclose(found.at_sites[..., 0], np.tile(profile, (20, 1)), atol=1e-10)
    assert found.at_sites.shape == (20, 16, 2)


def test_sites_average_their_bonds() -> None:
    found = GAS.current_density(ROUGH[0, 0])
    inside = (found.x[4, 5] + found.x[5, 5]) / 2, (found.y[5, 4] + found.y[5, 5]) / 2
    np.testing.assert_allclose(found.at_sites[5, 5], inside, rtol=1e-12)
    np.testing.assert_allclose(found.at_sites[5, 0, 1], found.y[5, 0] / 2, rtol=1e-12)
    # Outside the source nothing comes in from the left.
    np.testing.assert_allclose(found.at_sites[0, 1, 0], found.x[0, 1] / 2, atol=1e-6)


def test_ldos_is_the_imaginary_part_of_the_green_function() -> None:
    found = GAS.ldos(ROUGH[0], accuracy=1e-11)
    for s, potential in enumerate(ROUGH[0]):
        green = dense_green(GAS, potential)
        expected = -np.diag(green).imag.reshape(GAS.shape) / np.pi
        # Twice the accuracy that was asked for.
        np.testing.assert_allclose(found[s], expected, atol=2e-11 * expected.max())
    both = GAS.pldos(ROUGH[0], accuracy=1e-11) + GAS.pldos(ROUGH[0], accuracy=1e-11, lead="drain")
    np.testing.assert_allclose(both, 4 * np.pi**2 * found, atol=4e-11 * both.max())


def dense_green(gas: ElectronGas, potential_mev: np.ndarray) -> np.ndarray:
    """(E - H - Sigma)^-1 of the whole lattice; self-energies from the leads' surfaces."""
    n, energy = gas.n_x * gas.n_y, gas.fermi_mev / gas.hopping_mev
    site = np.arange(n).reshape(gas.shape)
    matrix = np.diag(energy - 4 - potential_mev.ravel() / gas.hopping_mev).astype(complex)
    for first, second in ((site[1:], site[:-1]), (site[:, 1:], site[:, :-1])):
        matrix[first.ravel(), second.ravel()] = matrix[second.ravel(), first.ravel()] = 1
    for column, lead in ((0, gas.source), (gas.n_x - 1, gas.drain)):
        modes, chi = strip_modes(lead.n_rows, energy), transverse_modes(lead.n_rows)
        rows = site[column, lead.rows]
        matrix[np.ix_(rows, rows)] += (chi * modes.phase) @ chi.T
    return np.asarray(np.linalg.inv(matrix))


def test_ldos_of_a_clean_wire() -> None:
    """Both leads' plane waves: sum_n chi_n^2 / (pi v_n)."""
    found = WIRE.ldos(np.zeros(WIRE.shape), accuracy=1e-11)
    modes = WIRE.modes(WIRE.source)
    expected = (transverse_modes(16)[:, modes.open] ** 2 / modes.velocity).sum(axis=1) / np.pi
    np.testing.assert_allclose(found, np.tile(expected, (20, 1)), rtol=1e-9)


def test_a_wide_clean_gas_has_the_density_of_states_of_free_electrons() -> None:
    """1 / (4 pi) per t and site, averaged over energies that modes open at (0.2 t to 0.3 t).

    A wall takes 1 / (2 k W) of it each, 3 % in all with W = 61; the lattice adds E / 8, 3 %.
    """
    gas = ElectronGas(n_x=2, n_y=60, source=Lead(0, 60), drain=Lead(0, 60))
    energies = 0.2 + 0.1 * (np.arange(40) + 0.5) / 40
    flat = np.zeros(gas.shape)
    found = [gas.with_fermi(e * gas.hopping_mev).ldos(flat, accuracy=1e-3).mean() for e in energies]
    free = (1 - 1 / (61 * 0.5) + 0.25 / 8) / (4 * np.pi)
    # 40 energies meet the square-root singularities of two or three modes at random.
    assert np.mean(found) == pytest.approx(free, rel=0.03)
    per_mev_nm2 = np.mean(found) / (gas.hopping_mev * gas.spacing_nm**2)
    in_si = gas.mass_kg / (2 * np.pi * HBAR_J_S**2) * CHARGE_C * 1e-3 * 1e-18
    assert per_mev_nm2 == pytest.approx(in_si, rel=0.03)


def test_progress_and_bad_input() -> None:
    told: list[tuple[int, int]] = []
    GAS.ldos(ROUGH[0], progress=lambda done, of: told.append((done, of)))
    assert told[-1] == (6, 6)
    assert told == sorted(told)
    told.clear()
    GAS.current_density(ROUGH[0], progress=lambda done, of: told.append((done, of)))
    assert told[-1] == (3, 3)
    with pytest.raises(ParameterError, match="lead = 'left'"):
        GAS.current_density(ROUGH[0], lead="left")
