"""Potential of remote ionised dopants, screened by the electron gas.

Percebois & Weinmann 2021 (the paper), Eq. (1), in meV and nm:

    V(r) = -(K dq_x dq_y / pi) sum_{q != 0} exp(-q s) / (q + q_TF) C(q) exp(-i q r),

K = e^2 / (8 pi eps eps0), q_TF = 2 / a_B*, a_B* = 4 pi eps eps0 hbar^2 / (m e^2), s the
distance of the plane of dopants, C(q) = sum_j exp(i q R_j) over dopants at R_j: many
independent dopants make Re C and Im C normal, each of variance N_d L W / 2. The sum
is cut off at q_c = 3.5 / s, where exp(-q s) is 3 %.

Two things differ from the print. The paper's Eq. (1) is in effective atomic units
(Ry* = 5.15 meV, a_B* = 10.8 nm). Its Eqs. (4) and (5) lack a factor 2 pi dq_x dq_y,
and (5) a square root; from Eq. (1) itself, in the limit of a large sample,

    <V(0) V(R)> = 8 pi N_d K^2 int_0^qc dq q J_0(q R) exp(-2 q s) / (q + q_TF)^2.

The series repeats itself after L and W: a network can learn that opposite edges are
equal. With `periodic=False` the sample is a quarter of a torus of 2 L by 2 W.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import j0, roots_legendre

from inmateria.transport.constants import CHARGE_C, HBAR_J_S
from inmateria.transport.disorder.ensemble import (
    DisorderSample,
    distances,
    generator,
    generators,
)
from inmateria.transport.disorder.fourier import (
    FourierCoefficients,
    half_plane,
    synthesise,
    wave_numbers,
)
from inmateria.transport.disorder.grid import Grid, Lattice
from inmateria.transport.disorder.measured import RadialCorrelation, radial_average
from inmateria.transport.disorder.parameters import positive

# CODATA 2022; its own constant so that a seed gives one potential under every SciPy.
VACUUM_PERMITTIVITY = 8.8541878188e-12
CM2_IN_NM2 = 1e14


@dataclass(frozen=True)
class RemoteDopants:
    """Ionised dopants at random places in a plane above the electron gas.

    Parameters
    ----------
    spacing_nm : float
        s, distance of the plane of dopants from the gas.
    density_per_cm2 : float
        N_d.
    permittivity : float
        Relative; of the host.
    mass_kg : float
        Effective mass of the electrons that screen.
    cutoff : float
        q_c s.
    periodic : bool
        Whether the series repeats itself after the sample's length and width, as the paper's.

    Raises
    ------
    ParameterError
    """

    spacing_nm: float = 50.0
    density_per_cm2: float = 1e12
    permittivity: float = 12.9
    mass_kg: float = 5.74e-32
    cutoff: float = 3.5
    periodic: bool = True

    def __post_init__(self) -> None:
        names = ("spacing_nm", "density_per_cm2", "permittivity", "mass_kg", "cutoff")
        positive({name: getattr(self, name) for name in names})

    @property
    def coulomb_mev_nm(self) -> float:
        """K = e^2 / (8 pi eps eps0), meV nm."""
        return 1e12 * CHARGE_C / (8 * np.pi * self.permittivity * VACUUM_PERMITTIVITY)

    @property
    def screening_per_nm(self) -> float:
        """Thomas-Fermi wave number q_TF = 2 / a_B*, 1/nm."""
        permittivity = 4 * np.pi * self.permittivity * VACUUM_PERMITTIVITY
        return 2e-9 * self.mass_kg * CHARGE_C**2 / (permittivity * HBAR_J_S**2)

    @property
    def q_max(self) -> float:
        """Largest wave number of the series, 1/nm."""
        return self.cutoff / self.spacing_nm

    @property
    def rms_mev(self) -> float:
        """Root mean square of the potential of an infinite sample, meV (closed form)."""
        return float(np.sqrt(self.correlation(0.0)))

    def correlation(self, distance_nm: ArrayLike) -> NDArray[np.float64]:
        """<V(r) V(r + R)> of an infinite sample, meV^2 (closed form), of R's shape.

        Raises
        ------
        ParameterError
            If a distance is negative.
        """
        distance = distances(distance_nm)
        # 64 points resolve the smooth part; 4 more for each half turn of J_0.
        turns = self.q_max * distance.max(initial=0) / np.pi
        nodes, weights = roots_legendre(64 + 4 * int(turns + self.cutoff))
        q = self.q_max * (nodes + 1) / 2
        weights = weights * self.q_max / 2 * q * self._screened(q) ** 2
        density = self.density_per_cm2 / CM2_IN_NM2
        integral = j0(distance[..., None] * q) @ weights
        return np.asarray(8 * np.pi * density * self.coulomb_mev_nm**2 * integral)

    @property
    def correlation_length_nm(self) -> float:
        """Distance at which the closed form falls to half its value at zero, nm."""
        # The function varies on the scale of s or of 1 / q_c, whichever is longer.
        reach = 8 * max(self.spacing_nm, 1 / self.q_max)
        distance = np.linspace(0, reach, 401)
        values = self.correlation(distance)
        below = int(np.argmax(values < values[0] / 2))
        return float(
            brentq(
                lambda r: float(self.correlation(r)) - values[0] / 2,
                distance[below - 1],
                distance[below],
                rtol=1e-12,
            )
        )

    def grid_rms_mev(self, grid: Lattice) -> float:
        """Root mean square over the ensemble that `sample` draws from, exactly, meV.

        A few per cent below `rms_mev`: the grid of wave vectors has no q = 0.
        """
        return float(np.sqrt(2 * self._variances(grid)[2].sum()))

    def grid_correlation(self, grid: Lattice) -> NDArray[np.float64]:
        """<V(r) V(r + R)> over the ensemble that `sample` draws from, exactly.

        Returns
        -------
        (n_x, n_y) array, meV^2
            Over R = (i a, j a).
        """
        m_x, m_y, variance = self._variances(grid)
        torus, part = self._torus(grid), (grid.n_x, grid.n_y)
        return synthesise(m_x, m_y, variance.astype(complex), torus, part=part)

    def grid_radial_correlation(self, grid: Lattice) -> RadialCorrelation:
        """`grid_correlation` averaged over directions, as `measured.correlation` expects it."""
        return radial_average(self.grid_correlation(grid), grid.spacing_nm)

    def wave_vectors(self, grid: Lattice) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(m_x, m_y) of the coefficients of a sample's series.

        Raises
        ------
        ParameterError
            If the sample is too small for the series.
        """
        return half_plane(self._torus(grid), self.q_max)

    def sample(self, grid: Lattice, *, seed: int | np.random.Generator) -> DisorderSample:
        """One potential (n_x, n_y), meV, with its coefficients C(q).

        Raises
        ------
        ParameterError
            If the lattice is too coarse, or the sample too small, for the series.
        """
        return self._draw(grid, [generator(seed)])[0]

    def sample_many(self, grid: Lattice, n: int, *, seed: int, start: int = 0) -> DisorderSample:
        """Samples `start` to `start + n - 1` of a set; sample i depends on `seed` and i only."""
        return self._draw(grid, generators(n, seed=seed, start=start))

    def _draw(self, grid: Lattice, streams: Sequence[np.random.Generator]) -> DisorderSample:
        torus = self._torus(grid)
        m_x, m_y = self.wave_vectors(grid)
        # One row a sample: real and imaginary part in turn.
        parts = np.empty((len(streams), 2 * len(m_x)))
        for row, stream in zip(parts, streams, strict=True):
            stream.standard_normal(out=row)
        parts *= np.sqrt(self._dopants(torus) / 2)
        coefficients = FourierCoefficients(m_x, m_y, parts.view(np.complex128))
        return DisorderSample(
            potential_from_coefficients(coefficients, grid, dopants=self), coefficients
        )

    def _torus(self, grid: Lattice) -> Grid:
        times = 1 if self.periodic else 2
        return Grid(times * grid.n_x, times * grid.n_y, grid.spacing_nm)

    def _dopants(self, torus: Grid) -> float:
        """Mean number of dopants, N_d L W."""
        area = torus.n_x * torus.n_y * torus.spacing_nm**2
        return self.density_per_cm2 / CM2_IN_NM2 * area

    def _screened(self, q: NDArray[np.float64]) -> NDArray[np.float64]:
        """exp(-q s) / (q + q_TF), nm."""
        return np.asarray(np.exp(-q * self.spacing_nm) / (q + self.screening_per_nm))

    def _factors(
        self, m_x: NDArray[np.int64], m_y: NDArray[np.int64], torus: Grid
    ) -> NDArray[np.float64]:
        """What multiplies C(q) in the series, meV."""
        area = torus.n_x * torus.n_y * torus.spacing_nm**2
        prefactor = -self.coulomb_mev_nm * 4 * np.pi / area  # dq_x dq_y = 4 pi^2 / (L W)
        return np.asarray(prefactor * self._screened(wave_numbers(m_x, m_y, torus)))

    def _variances(
        self, grid: Lattice
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Wave vectors of the half plane and <|A(q)|^2> of each, meV^2."""
        torus = self._torus(grid)
        m_x, m_y = self.wave_vectors(grid)
        return m_x, m_y, self._factors(m_x, m_y, torus) ** 2 * self._dopants(torus)


def potential_from_coefficients(
    coefficients: FourierCoefficients, grid: Lattice, *, dopants: RemoteDopants
) -> NDArray[np.float64]:
    """The potential that a set of coefficients C(q) stands for.

    Parameters
    ----------
    coefficients : FourierCoefficients
        Of one sample or, with leading axes, of many.
    grid : Grid or ElectronGas
    dopants : RemoteDopants
        Gives s, the screening and the period; its density is in the coefficients.

    Returns
    -------
    (..., n_x, n_y) array, meV

    Raises
    ------
    ParameterError
        If the lattice does not resolve a coefficient.
    """
    torus = dopants._torus(grid)
    m_x, m_y = coefficients.m_x, coefficients.m_y
    amplitude = dopants._factors(m_x, m_y, torus) * coefficients.c
    return synthesise(m_x, m_y, amplitude, torus, part=(grid.n_x, grid.n_y))
