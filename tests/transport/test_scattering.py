"""Scattering states: a dense Green's function, conservation, bad input."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.errors import ConvergenceError, NotFiniteError, ParameterError, ShapeError
from inmateria.transport.disorder.short_range import ShortRange
from inmateria.transport.gas import ElectronGas, Lead
from inmateria.transport.strip import strip_modes, transverse_modes

SMALL = ElectronGas(n_x=14, n_y=11, fermi_mev=11.0, source=Lead(3, 6), drain=Lead(0, 11))


def dense(gas: ElectronGas, potential_mev: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """PLDOS, r and t from (E - H - Sigma)^-1 of the whole lattice."""
    n = gas.n_x * gas.n_y
    energy = gas.fermi_mev / gas.hopping_mev
    site = np.arange(n).reshape(gas.shape)
    matrix = np.diag(energy - 4 - potential_mev.ravel() / gas.hopping_mev).astype(complex)
    for first, second in ((site[1:], site[:-1]), (site[:, 1:], site[:, :-1])):
        matrix[first.ravel(), second.ravel()] = 1
        matrix[second.ravel(), first.ravel()] = 1
    couplings = []
    for column, lead in ((0, gas.source), (gas.n_x - 1, gas.drain)):
        modes = strip_modes(lead.n_rows, energy)
        chi = np.zeros((n, lead.n_rows))
        chi[site[column, lead.rows]] = transverse_modes(lead.n_rows)
        matrix += (chi * modes.phase) @ chi.T
        couplings.append(chi[:, modes.open] * np.sqrt(modes.velocity))
    green = np.linalg.inv(matrix)
    source, drain = couplings
    psi = 1j * green @ source
    pldos = 2 * np.pi * (np.abs(psi) ** 2).sum(axis=1).reshape(gas.shape)
    return pldos, source.T @ psi - np.eye(source.shape[1]), drain.T @ psi


@pytest.mark.parametrize(
    "gas",
    [
        SMALL,
        ElectronGas(n_x=12, n_y=8, fermi_mev=14.0, source=Lead(0, 8), drain=Lead(0, 8)),
        ElectronGas(n_x=9, n_y=13, fermi_mev=12.0, source=Lead(0, 13), drain=Lead(5, 7)),
        ElectronGas(n_x=2, n_y=9, fermi_mev=20.0, source=Lead(1, 4), drain=Lead(3, 5)),
    ],
)
def test_agrees_with_a_dense_green_function(gas: ElectronGas) -> None:
    rng = np.random.default_rng(1)
    potential = rng.normal(scale=3.0, size=(3, *gas.shape))
    found = gas.scatter(potential, accuracy=1e-11)
    for s in range(3):
        pldos, r, t = dense(gas, potential[s])
        # Twice the accuracy that was asked for.
        np.testing.assert_allclose(found.pldos[s], pldos, atol=2e-11 * pldos.max())
        np.testing.assert_allclose(found.r[s], r, atol=1e-10)
        np.testing.assert_allclose(found.t[s], t, atol=1e-10)


def test_probability_is_conserved_and_r_symmetric() -> None:
    potential = np.random.default_rng(2).normal(scale=4.0, size=(5, *SMALL.shape))
    found = SMALL.scatter(potential, accuracy=1e-11)
    n = found.r.shape[-1]
    np.testing.assert_allclose(found.transmission + found.reflection, n, rtol=1e-10)
    np.testing.assert_allclose(found.r, found.r.swapaxes(-1, -2), atol=1e-10)


def test_a_clean_wire_transmits_every_mode_and_has_the_pldos_of_plane_waves() -> None:
    gas = ElectronGas(n_x=20, n_y=16, fermi_mev=6.0, source=Lead(0, 16), drain=Lead(0, 16))
    found = gas.scatter(np.zeros(gas.shape), accuracy=1e-10)
    modes = gas.modes(gas.source)
    np.testing.assert_allclose(found.transmission, modes.n_open, rtol=1e-10)
    chi = transverse_modes(16)[:, modes.open]
    expected = 2 * np.pi * (chi**2 / modes.velocity).sum(axis=1)
    np.testing.assert_allclose(found.pldos, np.tile(expected, (20, 1)), rtol=1e-9)


WIDE = ElectronGas(n_x=40, n_y=64, source=Lead(22, 20), drain=Lead(0, 64))


def smooth(gas: ElectronGas) -> np.ndarray:
    x, y = np.meshgrid(np.arange(gas.n_x), np.arange(gas.n_y), indexing="ij")
    return 1.4 * np.sin(x / 11) * np.cos(y / 9 + 0.4)


@pytest.mark.parametrize("lead", ["source", "drain"])
def test_the_asked_accuracy_is_reached_and_estimated(lead: str) -> None:
    potential = smooth(WIDE)
    exact = WIDE.scatter(potential, accuracy=1e-12, lead=lead)
    assert exact.modes < WIDE.n_y
    errors = []
    for accuracy in (1e-3, 1e-5, 1e-7):
        found = WIDE.scatter(potential, accuracy=accuracy, lead=lead)
        errors.append(np.abs(found.pldos - exact.pldos).max() / exact.pldos.max())
        assert errors[-1] < found.error <= accuracy
        # Amplitudes go with the states, the density with their square.
        assert np.abs(found.t - exact.t).max() < 2 * accuracy
    assert errors[2] < errors[0]


def test_corrections_agree_with_all_modes() -> None:
    potential = smooth(WIDE)
    few = WIDE.scatter(potential, accuracy=1e-12, modes=24)
    everything = WIDE.scatter(potential, accuracy=1e-12, modes=WIDE.n_y)
    assert few.corrections > 2
    np.testing.assert_allclose(few.pldos, everything.pldos, atol=1e-11 * everything.pldos.max())
    np.testing.assert_allclose(few.r, everything.r, atol=1e-11)


def test_too_few_modes_are_said_so() -> None:
    rough = np.random.default_rng(4).normal(scale=30.0, size=WIDE.shape)
    with pytest.raises(ConvergenceError, match="14 modes do not lead to an accuracy of 1e-06"):
        WIDE.pldos(rough, modes=14)
    # Left out, the number of modes is raised until it is enough.
    assert WIDE.scatter(rough).modes > 24


def test_from_the_drain() -> None:
    rng = np.random.default_rng(5)
    potential = rng.normal(scale=3.0, size=(2, *SMALL.shape))
    forth, back = SMALL.scatter(potential), SMALL.scatter(potential, lead="drain")
    # Reciprocity without a magnetic field.
    np.testing.assert_allclose(back.t, forth.t.swapaxes(-1, -2), atol=1e-9)
    mirrored = ElectronGas(SMALL.n_x, SMALL.n_y, fermi_mev=11.0, source=SMALL.drain,
                           drain=SMALL.source)  # fmt: skip
    swapped = mirrored.scatter(potential[:, ::-1])
    np.testing.assert_allclose(back.pldos[:, ::-1], swapped.pldos, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(back.r, swapped.r, atol=1e-8)


def test_a_batch_is_the_same_as_its_samples_one_by_one() -> None:
    potential = np.random.default_rng(3).normal(size=(2, 3, *SMALL.shape))
    together = SMALL.scatter(potential)
    assert together.pldos.shape == potential.shape
    assert together.transmission.shape == (2, 3)
    np.testing.assert_array_equal(SMALL.pldos(potential[1, 2]), together.pldos[1, 2])


def test_the_potential_is_not_changed() -> None:
    potential = np.full(SMALL.shape, 0.3)
    SMALL.scatter(potential)
    assert (potential == 0.3).all()


def test_bad_potentials_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(\.\.\., 14, 11\)"):
        SMALL.pldos(np.zeros((11, 14)))
    broken = np.zeros(SMALL.shape)
    broken[4, 2] = np.nan
    with pytest.raises(NotFiniteError, match=r"\(4, 2\) is nan"):
        SMALL.pldos(broken)
    with pytest.raises(ParameterError, match="above the Fermi energy"):
        SMALL.pldos(np.full(SMALL.shape, 50.0))
    with pytest.raises(ParameterError, match="lattice's band"):
        SMALL.pldos(np.full(SMALL.shape, -300.0))


def test_bad_gases_are_refused() -> None:
    with pytest.raises(ParameterError, match="rows 5 to 14"):
        ElectronGas(n_x=5, n_y=10, source=Lead(5, 10), drain=Lead(0, 10))
    with pytest.raises(ParameterError, match="opens no mode"):
        SMALL.with_fermi(0.1).pldos(np.zeros(SMALL.shape))
    edge = float(SMALL.thresholds_mev(SMALL.source)[0])
    with pytest.raises(ParameterError, match="threshold of mode 1"):
        SMALL.with_fermi(edge).pldos(np.zeros(SMALL.shape))
    with pytest.raises(ParameterError, match="modes = 1"):
        SMALL.pldos(np.zeros(SMALL.shape), modes=1)


@pytest.mark.parametrize("rms_mev", [0.1, 0.3, 1.0, 5.0])
def test_rough_disorder_is_not_taken_for_smooth(rms_mev: float) -> None:
    """White noise scatters into all modes: the accuracy is kept, and the estimate is right.

    Without a correction it is one from second order, good to a factor of two.
    """
    gas = ElectronGas(n_x=96, n_y=96, source=Lead(38, 20), drain=Lead(0, 96))
    potential = ShortRange(rms_mev).sample_many(gas, 3, seed=0).potential
    exact = gas.scatter(potential, accuracy=1e-10).pldos
    for accuracy in (1e-1, 1e-2, 1e-3, 1e-4, 1e-6):
        found = gas.scatter(potential, accuracy=accuracy)
        error = np.abs(found.pldos - exact).max((1, 2)) / exact.max((1, 2))
        assert (error <= accuracy).all()
        assert (error <= np.where(found.corrections, 1, 2) * found.error).all()
