"""Periodic walls: a dense Green's function, symmetry around the cylinder, closed forms, Kwant."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inmateria.errors import ConvergenceError, ParameterError
from inmateria.transport.autograd import pldos as differentiable_pldos
from inmateria.transport.energies import at_temperature, energy_sweep
from inmateria.transport.field import field_around, flux_per_plaquette
from inmateria.transport.gas import ElectronGas, Lead
from inmateria.transport.gradient import transmission_gradient
from inmateria.transport.in_field import scatter_in_field
from inmateria.transport.mode_counts import whole_pairs
from inmateria.transport.torch_sweep import sweep_states

from .dense_field import dense_states
from .kwant_answers import kwant_scattering

# An even and an odd number of rows; leads all around, and narrow ones with hard walls.
GASES = [
    ElectronGas.generic(12, 9, energy_t=0.9, walls="periodic"),
    ElectronGas.generic(10, 12, energy_t=0.8, walls="periodic", source=Lead(3, 6)),
    ElectronGas.generic(9, 12, energy_t=0.8, walls="periodic", drain=Lead(7, 5)),
    ElectronGas.generic(8, 10, energy_t=0.9, walls="periodic", source=Lead(0, 4), drain=Lead(2, 6)),
]
AROUND = ElectronGas.generic(30, 64, energy_t=0.23, walls="periodic")


def rough(gas: ElectronGas, n: int) -> np.ndarray:
    return np.random.default_rng(6).normal(scale=0.15, size=(n, *gas.shape))


def smooth(gas: ElectronGas) -> np.ndarray:
    """Periodic around the cylinder, without a symmetry."""
    x, y = np.meshgrid(np.arange(gas.n_x), 2 * np.pi * np.arange(gas.n_y) / gas.n_y, indexing="ij")
    return 0.04 * (np.sin(x / 5) * np.cos(2 * y + 0.4) + np.cos(x / 7) * np.sin(3 * y))


@pytest.mark.parametrize("gas", GASES)
@pytest.mark.parametrize("lead", ["source", "drain"])
@pytest.mark.parametrize("n_quanta", [0, 1, -2])
def test_agrees_with_a_dense_green_function(gas: ElectronGas, lead: str, n_quanta: int) -> None:
    potential, energy = rough(gas, 2), gas.fermi_mev / gas.hopping_mev
    flux = 2 * np.pi * n_quanta / gas.n_y
    found = sweep_states(gas, potential, energy_t=energy, flux=flux, lead=lead)
    for s, one in enumerate(potential):
        psi, r, t = dense_states(gas, one, energy, flux)[lead]
        np.testing.assert_allclose(found.psi[s], psi, atol=1e-10)
        np.testing.assert_allclose(found.r[s], r, atol=1e-10)
        np.testing.assert_allclose(found.t[s], t, atol=1e-10)


def test_a_clean_cylinder_transmits_every_mode() -> None:
    """T is 1 + 2 n for the n momenta 2 pi p / n_y that fit; the PLDOS is the same everywhere."""
    gas = AROUND.with_fermi(0.3)
    n = int(((2 - 2 * np.cos(2 * np.pi * np.arange(1, 32) / 64)) < 0.3).sum())
    found = gas.scatter(np.zeros(gas.shape), accuracy=1e-10)
    assert found.transmission == pytest.approx(1 + 2 * n, rel=1e-10)
    assert gas.count_open("source") == 1 + 2 * n == 11
    expected = 2 * np.pi * (1 / gas.modes(gas.source).velocity).sum() / 64
    np.testing.assert_allclose(found.pldos, expected, rtol=1e-9)
    # Half of the density of states comes from each lead.
    np.testing.assert_allclose(
        gas.ldos(np.zeros(gas.shape), accuracy=1e-9), expected / (2 * np.pi**2), rtol=1e-8
    )


@pytest.mark.parametrize("turn", [1, 7, 32])
def test_a_turn_of_the_potential_turns_the_pldos(turn: int) -> None:
    potential = smooth(AROUND)
    still = AROUND.scatter(potential, modes=14, accuracy=0.1)
    turned = AROUND.scatter(np.roll(potential, turn, axis=1), modes=14, accuracy=0.1)
    # Cosine and sine are kept or dropped together: truncation is the same for any turn.
    assert still.modes == turned.modes == 15
    assert still.error > 1e-5
    largest = still.pldos.max()
    np.testing.assert_allclose(turned.pldos, np.roll(still.pldos, turn, axis=1),
                               atol=1e-10 * largest)  # fmt: skip
    assert turned.transmission == pytest.approx(still.transmission, rel=1e-10)
    # And the potential does something.
    assert np.ptp(still.pldos) > 0.2 * largest
    assert still.transmission < still.r.shape[-1] - 0.01


def test_a_turn_with_a_narrow_lead_turns_everything() -> None:
    """Over the seam too: the lead covers rows 40 to 47, and then 2 to 9."""
    first = ElectronGas.generic(20, 48, energy_t=0.4, walls="periodic", source=Lead(40, 8))
    second = ElectronGas.generic(20, 48, energy_t=0.4, walls="periodic", source=Lead(2, 8))
    potential = smooth(first)
    still = first.scatter(potential, accuracy=1e-4)
    turned = second.scatter(np.roll(potential, 10, axis=1), accuracy=1e-4)
    np.testing.assert_allclose(turned.pldos, np.roll(still.pldos, 10, axis=1), atol=1e-9)
    np.testing.assert_allclose(turned.r, still.r, atol=1e-9)


@pytest.mark.parametrize("accuracy", [1e-2, 1e-4, 1e-6])
def test_modes_are_added_until_the_accuracy_is_reached(accuracy: float) -> None:
    exact = AROUND.scatter(smooth(AROUND), modes=64)
    found = AROUND.scatter(smooth(AROUND), accuracy=accuracy)
    assert exact.error == 0
    assert found.error <= accuracy
    assert found.modes < 64
    assert np.abs(found.pldos - exact.pldos).max() < accuracy * exact.pldos.max()
    n = found.r.shape[-1]
    assert found.transmission + found.reflection == pytest.approx(n, rel=1e-10)
    np.testing.assert_allclose(found.r, found.r.T, atol=1e-10)


def test_a_given_number_of_modes_keeps_cosine_and_sine_together() -> None:
    assert [whole_pairs(AROUND, m) for m in (1, 16, 17, 62, 63, 64)] == [1, 17, 17, 63, 63, 64]
    assert whole_pairs(ElectronGas(), 16) == 16
    assert AROUND.scatter(smooth(AROUND), modes=24, accuracy=1e-2).modes == 25
    with pytest.raises(ConvergenceError, match="13 modes do not lead to an accuracy of 1e-09"):
        AROUND.scatter(smooth(AROUND), modes=12, accuracy=1e-9)


def test_batches_progress_and_energies() -> None:
    gas = GASES[0]
    potential = rough(gas, 20).reshape(2, 10, *gas.shape)
    told: list[tuple[int, int]] = []
    found = gas.scatter(potential, progress=lambda done, of: told.append((done, of)))
    assert told == [(16, 20), (20, 20)]
    assert found.pldos.shape == potential.shape
    assert found.transmission.shape == found.error.shape == (2, 10)
    np.testing.assert_allclose(gas.pldos(potential[1, 9]), found.pldos[1, 9], rtol=1e-9)
    assert gas.scatter(potential[:0]).pldos.shape == (0, 10, *gas.shape)
    # p = 0, 1, 2, 3 of nine rows open at 0, 0.468, 1.653 and 3 t.
    sweep = energy_sweep(gas, np.zeros(gas.shape), [0.2, 0.6, 2.0])
    assert sweep.open.tolist() == [1, 3, 5]
    np.testing.assert_allclose(sweep.transmission, sweep.open, rtol=1e-9)
    # At 0.9 t and kT = 0.009 t three are open.
    warm = at_temperature(gas, np.zeros(gas.shape), 0.1)
    assert warm.transmission == pytest.approx(3, rel=1e-3)


def test_fields_go_through_whole_flux_quanta_only() -> None:
    gas = ElectronGas(n_x=12, n_y=40, source=Lead(0, 40), drain=Lead(0, 40), walls="periodic")
    # h / e over 40 x 25 nm^2.
    assert field_around(gas, 1) == pytest.approx(4135.667696 / 1000, rel=1e-9)
    assert gas.n_y * flux_per_plaquette(gas, field_around(gas, 3)) == pytest.approx(-6 * np.pi)
    fields = [field_around(gas, n) for n in (-1, 0, 1)]
    potential = smooth(gas) * 10
    found = scatter_in_field(gas, potential, fields, accuracy=1e-3)
    assert found.transmission[0] == pytest.approx(found.transmission[2], rel=1e-9)
    np.testing.assert_allclose(found.pldos[1], gas.pldos(potential, accuracy=1e-3), rtol=1e-9)
    assert np.abs(found.pldos[0] - found.pldos[1]).max() > 0.1 * found.pldos.max()
    with pytest.raises(ParameterError, match=r"0\.241799 flux quanta .* multiple of 4\.1356677 T"):
        scatter_in_field(gas, potential, 1.0)


def test_what_has_hard_walls_only_says_so() -> None:
    gas, potential = GASES[0], np.zeros(GASES[0].shape)
    for ask in (gas.current_density, lambda v: transmission_gradient(gas, v)):
        with pytest.raises(ParameterError, match="need walls = 'hard'"):
            ask(potential)
    tensor = torch.zeros(gas.shape, dtype=torch.float64, requires_grad=True)
    with pytest.raises(ParameterError, match="need walls = 'hard'"):
        differentiable_pldos(gas, tensor)
    assert differentiable_pldos(gas, tensor.detach()).shape == gas.shape
    with pytest.raises(ParameterError, match="walls = 'soft'"):
        ElectronGas(walls="soft")
    with pytest.raises(ParameterError, match="at least 3 rows"):
        ElectronGas.generic(5, 2, energy_t=0.5, walls="periodic")
    with pytest.raises(ParameterError, match="lead = 'left'"):
        gas.scatter(potential, lead="left")
    with pytest.raises(ParameterError, match="accuracy = 2"):
        gas.scatter(potential, accuracy=2)


@pytest.mark.parametrize("gas", GASES)
def test_agrees_with_kwant(gas: ElectronGas) -> None:
    """Kwant mixes modes of one momentum as LAPACK likes: PLDOS and transmissions only."""
    potential = rough(gas, 2)
    answer = kwant_scattering(gas, potential, gas.fermi_mev)
    for lead, side, t in (("source", "left", "t"), ("drain", "right", "t_right")):
        found = gas.scatter(potential, modes=gas.n_y, lead=lead)
        pldos = answer[f"pldos_{side}"][:, 0]
        np.testing.assert_allclose(found.pldos, pldos, atol=1e-9 * pldos.max())
        singular = np.linalg.svd(answer[t][:, 0], compute_uv=False)
        np.testing.assert_allclose(np.linalg.svd(found.t, compute_uv=False), singular, atol=1e-9)
