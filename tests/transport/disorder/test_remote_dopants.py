"""Remote dopants: the reference's arrays, closed forms, one dopant, periods, refusals."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import exp1, j0

from inmateria.errors import ParameterError
from inmateria.transport.disorder.ensemble import Disorder
from inmateria.transport.disorder.fourier import FourierCoefficients, half_plane
from inmateria.transport.disorder.grid import Grid
from inmateria.transport.disorder.remote_dopants import (
    RemoteDopants,
    potential_from_coefficients,
)
from inmateria.transport.gas import ElectronGas

SMALL = Grid(64, 48, 20.0)


def test_reference_potentials_follow_from_their_coefficients(reference: Path) -> None:
    """Position and sign convention, K, q_TF and the half plane, all at once.

    1e-9 of the largest value: the reference's constants are CODATA's to ten digits.
    """
    with np.load(reference / "transport_pldos.npz") as file:
        data = {name: file[name] for name in file.files if not name.startswith("pldos")}
    for i, (first, last) in enumerate(
        np.lib.stride_tricks.sliding_window_view(data["coef_offsets"], 2)
    ):
        dopants = RemoteDopants(data["s_nm"][i], 1e12 * data["nd_1e12cm2"][i])
        m_x, m_y, c = (data[f"coef_{name}"][first:last] for name in ("mx", "my", "c"))
        found = potential_from_coefficients(
            FourierCoefficients(m_x, m_y, c), Grid(), dopants=dopants
        )
        expected = data["potential_t"][i] * data["t_meV"]
        assert np.abs(found - expected).max() < 1e-9 * np.abs(expected).max()
        ours = half_plane(Grid(), dopants.q_max)
        np.testing.assert_array_equal(ours, [m_x, m_y])


def test_constants_are_the_papers(reference: Path) -> None:
    with np.load(reference / "transport_pldos.npz") as file:
        assert abs(RemoteDopants().coulomb_mev_nm / file["k_coul_meV_nm"] - 1) < 1e-9
        assert abs(RemoteDopants().screening_per_nm / file["qtf_per_nm"] - 1) < 1e-9


@pytest.mark.parametrize(
    "dopants",
    [
        RemoteDopants(),
        RemoteDopants(5.0, 3e11),
        RemoteDopants(cutoff=30.0),
        RemoteDopants(mass_kg=5e-33),
    ],
)
def test_rms_is_the_exponential_integral(dopants: RemoteDopants) -> None:
    """With u = q + k, int q exp(-b q) / (q + k)^2 dq is elementary but for E_1."""
    k, b, qc = dopants.screening_per_nm, 2 * dopants.spacing_nm, dopants.q_max
    integral = np.exp(b * k) * (
        (1 + b * k) * (exp1(b * k) - exp1(b * (k + qc)))
        - k * (np.exp(-b * k) / k - np.exp(-b * (k + qc)) / (k + qc))
    )
    density = dopants.density_per_cm2 * 1e-14
    expected = np.sqrt(8 * np.pi * density * dopants.coulomb_mev_nm**2 * integral)
    # (1 + b k)(E_1 - E_1) and the bracket cancel to one part in (b k)^2, at most 1e3 here.
    assert abs(dopants.rms_mev / expected - 1) < 1e-11


@pytest.mark.parametrize("distance", [0.0, 30.0, 84.0, 500.0, 5000.0])
def test_correlation_is_the_bessel_integral(distance: float) -> None:
    dopants = RemoteDopants()

    def integrand(q: float) -> float:
        screened = np.exp(-q * 50) / (q + dopants.screening_per_nm)
        return float(q * j0(q * distance) * screened**2)

    turns = np.linspace(0, dopants.q_max, 2 + int(dopants.q_max * distance / 3))
    integral = sum(quad(integrand, a, b)[0] for a, b in pairwise(turns))
    expected = 8 * np.pi * 0.01 * dopants.coulomb_mev_nm**2 * integral
    # Two quadratures, each to rounding of the strength at zero, 1.9 meV^2.
    assert abs(dopants.correlation(distance) - expected) < 1e-11


def test_correlation_length_is_half_height() -> None:
    for dopants in (RemoteDopants(), RemoteDopants(10.0), RemoteDopants(cutoff=0.5)):
        half = dopants.correlation(dopants.correlation_length_nm)
        assert abs(half / dopants.rms_mev**2 - 0.5) < 1e-9
        nearer = dopants.correlation(np.linspace(0, 0.999 * dopants.correlation_length_nm, 50))
        assert (nearer > half).all()


def test_a_dopant_attracts_electrons_to_its_place() -> None:
    """One dopant at R has C(q) = exp(i q R); its well is round, deepest at R."""
    dopants, grid = RemoteDopants(), Grid(128, 128, 10.0)
    m_x, m_y = half_plane(grid, dopants.q_max)
    place = np.array([40, 90])
    c = np.exp(2j * np.pi * (m_x * place[0] + m_y * place[1]) / 128)
    well = potential_from_coefficients(FourierCoefficients(m_x, m_y, c), grid, dopants=dopants)
    assert np.unravel_index(np.argmin(well), well.shape) == tuple(place)
    k = dopants.screening_per_nm
    depth = quad(lambda q: q * np.exp(-q * 50) / (q + k), 0, dopants.q_max)[0]
    # The series lacks the cell around q = 0, which weighs its area times 1 / k.
    missing = (2 * np.pi / 1280) ** 2 / (2 * np.pi * k)
    expected = -2 * dopants.coulomb_mev_nm * (depth - missing)
    # What is left is the ragged edge of the disc of wave vectors: 1 % of the integral is
    # within a grid step of q_c.
    assert abs(well.min() / expected - 1) < 0.01
    np.testing.assert_allclose(
        well,
        well.swapaxes(0, 1)[np.ix_((np.arange(128) + 50) % 128, (np.arange(128) - 50) % 128)],
        atol=1e-12,
    )


def test_grid_forms_are_direct_sums() -> None:
    """The whole plane of wave vectors, summed one by one."""
    dopants, grid = RemoteDopants(60.0, 7e11), Grid(32, 24, 25.0)
    length, width = 800.0, 600.0
    variance, lag, total = 0.0, np.array([75.0, 50.0]), 0.0
    for m_x in range(-20, 21):
        for m_y in range(-20, 21):
            q = 2 * np.pi * np.array([m_x / length, m_y / width])
            size = np.hypot(*q)
            if 0 < size <= 3.5 / 60:
                factor = np.exp(-size * 60) / (size + dopants.screening_per_nm)
                share = (dopants.coulomb_mev_nm * 4 * np.pi / length / width * factor) ** 2
                variance += share * 0.007 * length * width
                total += share * 0.007 * length * width * np.cos(q @ lag)
    assert abs(dopants.grid_rms_mev(grid) ** 2 / variance - 1) < 1e-12
    assert abs(dopants.grid_correlation(grid)[3, 2] / total - 1) < 1e-12


def test_a_large_sample_has_the_closed_form() -> None:
    """The sum misses the cell at q = 0 and is else a midpoint rule."""
    dopants = RemoteDopants()
    # L = 10 um: the ragged edge at q_c adds up to (dq / q_c)^1.5 of the last 1 % of the integral.
    grid = Grid(1024, 1024, 10.0)
    cell = 4 * np.pi * 0.01 * dopants.coulomb_mev_nm**2 / dopants.screening_per_nm**2
    missing = cell / np.pi * (2 * np.pi / 10240) ** 2
    found = dopants.grid_rms_mev(grid) ** 2 + missing
    assert abs(found / dopants.rms_mev**2 - 1) < 1e-3


def test_periodic_only_where_asked() -> None:
    """Across the edges a periodic sample is as smooth as inside; the other one jumps."""
    jumps = {}
    for periodic in (True, False):
        dopants = RemoteDopants(periodic=periodic)
        v = dopants.sample_many(SMALL, 50, seed=3).potential
        inside = np.sqrt(np.mean(np.diff(v, axis=1) ** 2))
        jumps[periodic] = np.sqrt(np.mean((v[:, -1] - v[:, 0]) ** 2)) / inside
    # 50 samples of 12 independent lengths of edge give either ratio to 5 %.
    assert abs(jumps[True] - 1) < 0.2
    # Independent edges differ by sqrt(2) rms, neighbours by far less.
    step = RemoteDopants().correlation([0.0, 20.0])
    assert abs(jumps[False] / np.sqrt(step[0] / (step[0] - step[1])) - 1) < 0.2


def test_a_series_off_the_period_is_rebuilt() -> None:
    dopants = RemoteDopants(periodic=False)
    sample = dopants.sample_many(SMALL, 3, seed=1)
    assert sample.coefficients is not None
    again = potential_from_coefficients(sample.coefficients, SMALL, dopants=dopants)
    np.testing.assert_array_equal(again, sample.potential)
    # A finer lattice sees the same potential between the same sites.
    fine = potential_from_coefficients(sample.coefficients, Grid(128, 96, 10.0), dopants=dopants)
    np.testing.assert_allclose(fine[:, ::2, ::2], sample.potential, atol=1e-12)


def test_an_electron_gas_is_a_grid() -> None:
    dopants = RemoteDopants()
    gas = dopants.sample(ElectronGas(), seed=5)
    assert gas.potential.shape == (256, 192)
    assert gas.potential.dtype == np.float64
    np.testing.assert_array_equal(gas.potential, dopants.sample(Grid(), seed=5).potential)
    assert isinstance(dopants, Disorder)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"spacing_nm": 0.0}, "spacing_nm = 0.0"),
        ({"density_per_cm2": -1e12}, "density_per_cm2 = -1"),
        ({"permittivity": float("nan")}, "permittivity = nan"),
        ({"mass_kg": "light"}, "mass_kg = 'light'"),
        ({"cutoff": float("inf")}, "cutoff = inf"),
    ],
)
def test_meaningless_parameters_are_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        RemoteDopants(**wrong)


def test_a_lattice_that_cannot_hold_the_series_is_refused() -> None:
    with pytest.raises(ParameterError, match="resolve at most 31"):
        RemoteDopants(15.0).sample(SMALL, seed=0)
    with pytest.raises(ParameterError, match="no wave vector"):
        RemoteDopants(2000.0).sample(SMALL, seed=0)
    with pytest.raises(ParameterError, match=r"distance of -1\.0 nm"):
        RemoteDopants().correlation([0.0, -1.0])
