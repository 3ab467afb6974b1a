"""The landscape against the engines' energies, Laplace's equation and its boundary values."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.devices.dopant.landscape import landscape, site_energy_ev
from inmateria.devices.dopant.network import DopantNetwork
from inmateria.devices.dopant.parameters import DopantParameters
from inmateria.errors import NotFiniteError, ParameterError, ShapeError

FAR_NM = 1e-3  # A core so small that no pair of dopants is inside it.


@pytest.fixture(scope="module")
def device() -> DopantNetwork:
    return DopantNetwork(seed=3, parameters=DopantParameters(n_acceptors=12), outputs=(0, 5))


def voltages(device: DopantNetwork, *shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (*shape, len(device.terminals)))


def points(n: int, *, within_nm: float, seed: int = 1) -> np.ndarray:
    generator = np.random.default_rng(seed)
    r, angle = within_nm * np.sqrt(generator.random(n)), 2 * np.pi * generator.random(n)
    return np.column_stack([r * np.cos(angle), r * np.sin(angle)])


def test_on_an_acceptor_it_is_the_energy_that_the_engines_solve_with(device):
    v, plan, model = voltages(device, 2, 3), device.geometry, device.model
    n = model.n_sites
    found = landscape(
        device, v, plan.acceptor_xy_nm, core_nm=FAR_NM, on_acceptor=np.arange(n)
    ).energy_ev
    basis_kt, site_kt, pair_kt, *_ = model.kernel_arrays()
    full = np.zeros((2, 3, model.n_electrodes))
    full[..., [1, 2, 3, 4, 6, 7]] = v
    engine_ev = model.kt_ev * (full @ basis_kt.T + site_kt + device.occupation(v) @ pair_kt)
    # Both sum the same terms of up to 1 eV in another order: a few roundings of 2e-16.
    np.testing.assert_allclose(found + plan.site_disorder_ev, engine_ev, atol=1e-13)
    np.testing.assert_allclose(site_energy_ev(device, v), engine_ev, atol=1e-13)


def test_on_its_arc_an_electrode_has_its_voltage(device):
    plan, v = device.geometry, voltages(device, 5)
    half = plan.electrode_width_nm / plan.radius_nm / 2
    shares = np.linspace(-1, 1, 9)
    angle = (plan.electrode_angle[:, None] + half * shares).ravel()
    xy = plan.radius_nm * np.column_stack([np.cos(angle), np.sin(angle)])
    full = np.insert(v, [0, 4], 0.0, axis=1)  # e0 and e5 are outputs at 0 V
    # The charge has square-root ends: there a rounding of 1e-16 in the angle is 1e-8 in V.
    np.testing.assert_allclose(
        landscape(device, v, xy).electrode_ev, np.repeat(full, len(shares), axis=1), atol=2e-7
    )


def test_the_electrodes_part_solves_laplace(device):
    v, h = voltages(device, 4), 0.5
    centre = points(50, within_nm=140.0)
    star = np.array([[0, 0], [h, 0], [-h, 0], [0, h], [0, -h]])
    u = landscape(device, v, (centre[:, None] + star).reshape(-1, 2)).electrode_ev
    u = u.reshape(4, 50, 5)
    laplacian = u[..., 1:].sum(axis=-1) - 4 * u[..., 0]
    # Second differences of a harmonic u cancel to h^4 u'''' / 6. At 10 nm from the rim
    # u'''' is below 4! V / (10 nm)^4, so 2.5e-5 V; single second differences reach
    # 2 V h^2 / (10 nm)^2 = 5e-3 V.
    assert np.abs(laplacian).max() < 2.5e-5
    assert np.abs(u[..., 1] + u[..., 2] - 2 * u[..., 0]).max() > 1e-4


def test_no_flux_leaves_between_the_electrodes(device):
    plan, v, step = device.geometry, voltages(device, 4), 0.01
    angle = plan.electrode_angle + np.pi / len(plan.electrode_angle)
    out = np.column_stack([np.cos(angle), np.sin(angle)])
    rim, inside, far = (
        landscape(device, v, r * out).electrode_ev
        for r in (plan.radius_nm, plan.radius_nm - step, plan.radius_nm - 50)
    )
    # du/dr = 0 on the rim leaves step^2 u'' / 2, u'' at most 2 V / (29 nm to an arc)^2.
    assert np.abs(rim - inside).max() < 2 * step**2 / 29**2
    assert np.abs(rim - far).max() > 0.01


def test_voltages_superpose(device):
    xy, (a, b) = points(200, within_nm=150.0), voltages(device, 2)
    parts = [landscape(device, v, xy).electrode_ev for v in (a, b, 0.5 * a - 0.25 * b)]
    np.testing.assert_allclose(0.5 * parts[0] - 0.25 * parts[1], parts[2], atol=1e-13)


def test_dopants_are_point_charges_level_inside_their_core(device):
    plan, v, core = device.geometry, voltages(device), 5.0
    xy = np.concatenate([points(300, within_nm=150.0), plan.donor_xy_nm, plan.acceptor_xy_nm])
    found = landscape(device, v, xy, core_nm=core)

    def energy(centre: np.ndarray) -> np.ndarray:
        distance = np.linalg.norm(xy[:, None] - centre, axis=-1)
        return 1.4399645 / 11.68 / np.maximum(distance, core)  # e^2 / (4 pi eps0), eV nm

    charge = 1.0 - device.occupation(v)
    assert 0.1 < charge.mean() < 0.9
    # The constant above has eight digits.
    np.testing.assert_allclose(found.donor_ev, energy(plan.donor_xy_nm).sum(axis=1), rtol=1e-7)
    np.testing.assert_allclose(found.acceptor_ev, -energy(plan.acceptor_xy_nm) @ charge, rtol=1e-7)
    np.testing.assert_array_equal(
        found.energy_ev, found.electrode_ev + found.donor_ev + found.acceptor_ev
    )


def test_points_go_in_chunks_and_voltages_in_batches(device):
    xy, v = points(9000, within_nm=150.0), voltages(device, 2, 2)
    found = landscape(device, v, xy)
    assert found.energy_ev.shape == (2, 2, 9000)
    some = [0, 8191, 8192, 8999]
    np.testing.assert_allclose(
        landscape(device, v[1, 0], xy[some]).energy_ev, found.energy_ev[1, 0, some], atol=1e-14
    )
    np.testing.assert_array_equal(device.landscape(v, xy).energy_ev, found.energy_ev)


@pytest.mark.parametrize(
    ("xy", "error", "words"),
    [
        ([[150.0, 1.0]], ParameterError, "outside the disc of 150 nm"),
        ([1.0, 2.0], ShapeError, "(n_points, 2)"),
        (np.zeros((0, 2)), ShapeError, "(n_points, 2)"),
        (np.zeros((3, 3)), ShapeError, "(n_points, 2)"),
        ([[0.0, np.nan]], NotFiniteError, "xy_nm[0]"),
        ([["a", "b"]], ShapeError, "not an array of numbers"),
    ],
)
def test_wrong_points_are_one_line(device, xy, error, words):
    with pytest.raises(error) as caught:
        landscape(device, np.zeros(6), xy)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_wrong_arguments_are_named(device):
    xy = np.zeros((2, 2))
    with pytest.raises(ShapeError, match="6 terminals"):
        landscape(device, np.zeros(7), xy)
    with pytest.raises(ParameterError, match="core_nm = 0"):
        landscape(device, np.zeros(6), xy, core_nm=0)
    with pytest.raises(ShapeError, match="on_acceptor"):
        landscape(device, np.zeros(6), xy, on_acceptor=[0.5, 1.0])
    with pytest.raises(ParameterError, match="acceptor 12; there are 0 to 11"):
        landscape(device, np.zeros(6), xy, on_acceptor=[0, 12])


def test_without_its_geometry_a_network_has_no_landscape(device):
    model = device.model
    arrays = {
        name: getattr(model, name)
        for name in (
            "electrode_basis",
            "site_energy_kt",
            "pair_coulomb_kt",
            "pair_weight",
            "electrode_weight",
        )
    }
    bare = DopantNetwork.from_arrays(**arrays)
    with pytest.raises(ParameterError, match="no geometry"):
        landscape(bare, np.zeros(7), [[0.0, 0.0]])
    assert site_energy_ev(bare, np.zeros(7)).shape == (12,)
    arrays["pair_coulomb_kt"] = 2 * model.pair_coulomb_kt
    other = DopantNetwork.from_arrays(**arrays, geometry=device.geometry)
    with pytest.raises(ParameterError, match="do not have the Coulomb energies"):
        landscape(other, np.zeros(7), [[0.0, 0.0]])
