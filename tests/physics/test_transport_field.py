"""Electrons in a perpendicular magnetic field: conservation, reciprocity, gauge, Lorentz, Kwant."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inmateria.errors import ParameterError
from inmateria.transport.field import flux_per_plaquette, slice_coupling
from inmateria.transport.gas import ElectronGas, Lead
from inmateria.transport.torch_sweep import States, sweep_states
from tests.transport.dense_field import dense_states
from tests.transport.kwant_answers import kwant_phases, kwant_scattering

GAS = ElectronGas(n_x=17, n_y=12, source=Lead(2, 6), drain=Lead(1, 10))
# Two modes are open in the source, five in the drain.
ENERGY = 0.95
POTENTIAL = np.random.default_rng(5).normal(scale=0.15, size=(3, *GAS.shape))


def states(flux: float, lead: str = "source") -> States:
    return sweep_states(GAS, POTENTIAL, energy_t=ENERGY, flux=flux, lead=lead)


@pytest.mark.parametrize("flux", [0.05, -0.4, 1.3])
def test_current_is_conserved(flux: float) -> None:
    for lead in ("source", "drain"):
        found = states(flux, lead)
        n = found.r.shape[-1]
        np.testing.assert_allclose(found.transmission + found.reflection, n, rtol=1e-10)
        unity = found.r.mH @ found.r + found.t.mH @ found.t
        np.testing.assert_allclose(unity, np.tile(np.eye(n), (3, 1, 1)), atol=1e-10)


@pytest.mark.parametrize("flux", [0.05, -0.4, 1.3])
def test_reversing_the_field_exchanges_in_and_out(flux: float) -> None:
    """Onsager: S(-B) = S(B)^T."""
    source, drain = states(flux), states(flux, "drain")
    np.testing.assert_allclose(states(-flux).r, source.r.mT, atol=1e-10)
    np.testing.assert_allclose(states(-flux, "drain").r, drain.r.mT, atol=1e-10)
    np.testing.assert_allclose(states(-flux, "drain").t, source.t.mT, atol=1e-10)
    np.testing.assert_allclose(states(-flux).transmission, source.transmission, atol=1e-10)
    # And the field does something: reciprocity would hold without one.
    assert (source.r - source.r.mT).abs().max() > 1e-3
    assert (drain.t - source.t.mT).abs().max() > 1e-3


@pytest.mark.parametrize("lead", ["source", "drain"])
def test_phases_on_bonds_along_y_give_the_same(lead: str) -> None:
    found = states(0.31, lead)
    for s, potential in enumerate(POTENTIAL):
        psi, r, t = dense_states(GAS, potential, ENERGY, 0.31, gauge="y")[lead]
        np.testing.assert_allclose(found.psi[s], psi, atol=1e-10)
        np.testing.assert_allclose(found.r[s], r, atol=1e-10)
        np.testing.assert_allclose(found.t[s], t, atol=1e-10)


def test_another_origin_of_the_phases_changes_phases_alone() -> None:
    """Moving j_0 by d multiplies column i by exp(i flux d i), and t by that of the last."""
    flux, moved = 0.31, 2.3
    found = states(flux)
    shift = np.exp(1j * flux * moved * np.arange(GAS.n_x))
    for s, potential in enumerate(POTENTIAL):
        origin = (GAS.n_y - 1) / 2 + moved
        psi, r, t = dense_states(GAS, potential, ENERGY, flux, origin_row=origin)["source"]
        np.testing.assert_allclose(shift[:, None, None] * found.psi[s].numpy(), psi, atol=1e-10)
        np.testing.assert_allclose(found.r[s], r, atol=1e-10)
        np.testing.assert_allclose(shift[-1] * found.t[s].numpy(), t, atol=1e-10)


def test_a_tesla_is_so_much_flux_and_electrons_turn_against_it() -> None:
    gas = ElectronGas()
    # 25 nm^2 T over h / e = 4135.667696 nm^2 T.
    assert flux_per_plaquette(gas, 1.0) == pytest.approx(-2 * np.pi * 25 / 4135.667696, rel=1e-9)
    assert flux_per_plaquette(gas, 0.0) == 0.0
    assert flux_per_plaquette(gas, -80.0) == pytest.approx(80 * 2 * np.pi * 25 / 4135.667696)
    for field in (90.0, np.nan, np.inf):
        with pytest.raises(ParameterError, match="flux quanta through each plaquette"):
            flux_per_plaquette(gas, field)


def test_a_column_couples_to_the_next_by_a_unitary_matrix() -> None:
    P = slice_coupling(9, 0.4)
    np.testing.assert_allclose(P, P.T, atol=1e-14)
    np.testing.assert_allclose(P @ P.conj().T, np.eye(9), atol=1e-14)
    np.testing.assert_allclose(slice_coupling(9, 0.0), np.eye(9), atol=1e-14)


def test_electrons_from_the_source_bend_towards_larger_rows_in_a_positive_field() -> None:
    """F = -e v x B: +x cross +z is -y, and the charge is negative.

    Electrons of the lowest mode come in at k_y = +-pi / 21; k_y then grows by |flux| a column
    on a circle of radius hbar k_F / (e B), 1240 nm at 0.05 T, and dy/dx = k_y / k_x. Seen is
    5 % more, because the end of a lead also spreads k_y.
    """
    gas = ElectronGas(n_x=60, n_y=120, source=Lead(50, 20), drain=Lead(0, 120))
    energy = gas.fermi_mev / gas.hopping_mev
    row = np.arange(gas.n_y) - (gas.n_y - 1) / 2
    flux, column = flux_per_plaquette(gas, 0.05), 30
    x = column * (np.arange(2000) + 0.5) / 2000
    k_y = np.array([[1], [-1]]) * np.pi / 21 - flux * x
    expected = column * (k_y / np.sqrt(energy - k_y**2)).mean()
    found, pldos = {}, {}
    for sign in (-1, 0, 1):
        all_of = sweep_states(gas, np.zeros(gas.shape), energy_t=energy, flux=sign * flux)
        psi = all_of.psi[..., 0].numpy()
        phase = np.exp(-1j * sign * flux * row)
        current = (psi[column + 1].conj() * phase * psi[column]).imag
        found[sign] = (row * current).sum() / current.sum()
        pldos[sign] = all_of.pldos.numpy()
    assert expected == pytest.approx(2.1, abs=0.1)
    assert found[1] == pytest.approx(expected, rel=0.1)
    assert abs(found[0]) < 1e-9
    np.testing.assert_allclose(pldos[1], pldos[-1][:, ::-1], atol=1e-9 * pldos[1].max())


def test_single_precision_holds_in_a_field() -> None:
    gas = ElectronGas(n_x=50, n_y=40, source=Lead(10, 20), drain=Lead(0, 40))
    potential = smooth(gas, 4)
    options = {"energy_t": 0.23, "flux": flux_per_plaquette(gas, 0.5)}
    exact = sweep_states(gas, potential, **options).pldos
    found = sweep_states(gas, potential, dtype=torch.complex64, **options).pldos
    assert (found - exact).abs().max() < 1e-3 * exact.max()


@pytest.mark.parametrize("lead", ["source", "drain"])
@pytest.mark.parametrize("drain", [Lead(0, 64), Lead(9, 24)])
def test_fewer_modes_come_close_and_more_come_closer(lead: str, drain: Lead) -> None:
    gas = ElectronGas(n_x=40, n_y=64, source=Lead(22, 20), drain=drain)
    options = {"energy_t": 0.23, "flux": flux_per_plaquette(gas, 0.5), "lead": lead}
    potential = smooth(gas, 2)
    exact = sweep_states(gas, potential, **options).pldos
    error = [
        float((sweep_states(gas, potential, modes=m, **options).pldos - exact).abs().max())
        / float(exact.max())
        for m in (24, 40)
    ]
    assert error[1] < error[0] / 3
    assert error[0] < 1e-2
    assert error[1] < 1e-3


def smooth(gas: ElectronGas, n_samples: int) -> np.ndarray:
    """Potentials of waves longer than 90 nm with an rms of 0.05 t, (n_samples, n_x, n_y)."""
    rng = np.random.default_rng(7)
    x, y = np.meshgrid(np.arange(gas.n_x), np.arange(gas.n_y), indexing="ij")
    found = np.zeros((n_samples, *gas.shape))
    for one in found:
        for kx, ky, phase in rng.uniform(-1, 1, size=(8, 3)):
            one += 0.05 / 2 * np.cos(2 * np.pi * ((kx * x + ky * y) / 18 + phase))
    return found


def agree_with_kwant(
    gas: ElectronGas, potential: np.ndarray, energy: float, flux: float, tolerance: float
) -> None:
    answer = kwant_scattering(gas, potential, energy, flux)
    phases = kwant_phases(gas, answer, energy)
    for lead, other, ending in (("source", "drain", ""), ("drain", "source", "_right")):
        found = sweep_states(gas, potential, energy_t=energy, flux=flux, lead=lead)
        pldos = answer["pldos_right" if ending else "pldos_left"][:, 0]
        assert np.abs(found.pldos.numpy() - pldos).max() < tolerance * pldos.max()
        c, beyond = phases[lead], phases[other]
        r = c[:, None] * found.r.numpy() * c
        np.testing.assert_allclose(r, answer[f"r{ending}"][:, 0], atol=tolerance)
        t = beyond[:, None] * found.t.numpy() * c
        np.testing.assert_allclose(t, answer[f"t{ending}"][:, 0], atol=tolerance)


@pytest.mark.parametrize("flux", [0.0, 0.17, -0.6])
def test_agrees_with_kwant(flux: float) -> None:
    agree_with_kwant(GAS, POTENTIAL, ENERGY, flux, 1e-10)


@pytest.mark.slow
def test_agrees_with_kwant_in_the_geometry_of_the_paper() -> None:
    """Half a tesla; the tolerance is what 256 slices of double precision leave, with room."""
    gas = ElectronGas()
    flux = flux_per_plaquette(gas, 0.5)
    agree_with_kwant(gas, smooth(gas, 1), gas.fermi_mev / gas.hopping_mev, flux, 1e-8)
