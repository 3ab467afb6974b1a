"""The disorder of each sample: distance and density of remote dopants, and their potential.

Sample i draws s, then N_d, then the coefficients C(q), all from
``SeedSequence(seed, spawn_key=(i,))``: it is the same in any block, on any machine. The
coefficients of all samples share the wave vectors of the smallest s; those beyond a
sample's own cutoff q_c = 3.5 / s are zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.polynomial import Chebyshev
from numpy.typing import ArrayLike, NDArray

from inmateria.datasets.settings import GenerationSettings
from inmateria.errors import ParameterError, ShapeError
from inmateria.transport.disorder.ensemble import generators
from inmateria.transport.disorder.fourier import FourierCoefficients
from inmateria.transport.disorder.remote_dopants import (
    RemoteDopants,
    potential_from_coefficients,
)

Real = NDArray[np.float64]

# Degree of polynomials in s for closed forms, which are smooth in it: 1e-14 of their value over
# the default range, 1e-7 over a factor of five.
NODES = 16


@dataclass(frozen=True, eq=False)
class DrawnDisorder:
    """Disorder of consecutive samples.

    Attributes
    ----------
    spacing_nm, density_per_cm2 : (n,) arrays
        s and N_d.
    coefficients : (n, n_coefficients, 2) array
        Real and imaginary part of C(q), over the wave vectors of `wave_vectors`.
    potential : (n, n_x, n_y) array, meV
    """

    spacing_nm: Real
    density_per_cm2: Real
    coefficients: Real
    potential: Real


def draw(settings: GenerationSettings, samples: range) -> DrawnDisorder:
    """The disorder of samples.

    Raises
    ------
    ParameterError
        If the lattice is too coarse, or too small, for the series.
    """
    gas, chosen = settings.gas.gas(), settings.disorder
    place = _places(settings)
    n = len(samples)
    spacing, density = np.empty(n), np.empty(n)
    potential = np.empty((n, *gas.shape))
    coefficients = np.zeros((n, int(place.max()) + 1), dtype=np.complex128)
    streams = generators(n, seed=settings.seed, start=samples.start)
    for i, stream in enumerate(streams):
        spacing[i] = stream.uniform(*chosen.spacing_nm)
        density[i] = stream.uniform(*chosen.density_per_cm2)
        found = dopants(settings, spacing[i], density[i]).sample(gas, seed=stream)
        potential[i] = found.potential
        series = found.coefficients
        assert series is not None
        coefficients[i, place[series.m_x, series.m_y]] = series.c
    parts = coefficients.view(np.float64).reshape(n, -1, 2)
    return DrawnDisorder(spacing, density, parts, potential)


def dopants(settings: GenerationSettings, spacing_nm: float, density: float) -> RemoteDopants:
    """The dopants of one sample; `density` per cm^2."""
    return RemoteDopants(
        spacing_nm=float(spacing_nm),
        density_per_cm2=float(density),
        permittivity=settings.gas.permittivity,
        mass_kg=settings.gas.mass_kg,
        cutoff=settings.disorder.cutoff,
        periodic=settings.disorder.periodic,
    )


def wave_vectors(settings: GenerationSettings) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """m_x and m_y of the coefficients that are kept, (n_coefficients,) each."""
    gas = settings.gas.gas()
    widest = dopants(settings, settings.disorder.spacing_nm[0], 1.0)
    return widest.wave_vectors(gas)


def potential(settings: GenerationSettings, spacing_nm: ArrayLike, coefficients: ArrayLike) -> Real:
    """The potential that was solved, from what is kept of it.

    On the same machine it is the same to the last bit.

    Parameters
    ----------
    spacing_nm : (...) array
        s of each sample.
    coefficients : (..., n_coefficients, 2) array
        Dimensionless; real and imaginary part of C(q).

    Returns
    -------
    (..., n_x, n_y) array, meV

    Raises
    ------
    ShapeError
    """
    n_coefficients = wave_vectors(settings)[0].size
    spacing = np.asarray(spacing_nm, dtype=np.float64)
    parts = np.ascontiguousarray(coefficients, dtype=np.float64)
    if parts.shape != (*spacing.shape, n_coefficients, 2):
        raise ShapeError(
            f"coefficients of shape {parts.shape} for {spacing.shape} samples; give "
            f"{(*spacing.shape, n_coefficients, 2)}"
        )
    gas, place = settings.gas.gas(), _places(settings)
    found = np.empty((spacing.size, *gas.shape))
    series = parts.reshape(spacing.size, -1).view(np.complex128)
    for i, s in enumerate(spacing.ravel()):
        own = dopants(settings, s, 1.0)
        kept = own.wave_vectors(gas)
        c = FourierCoefficients(*kept, series[i, place[kept]])
        found[i] = potential_from_coefficients(c, gas, dopants=own)
    return found.reshape(*spacing.shape, *gas.shape)


@lru_cache(maxsize=8)
def _places(settings: GenerationSettings) -> NDArray[np.int64]:
    """Number of the coefficient of each (m_x, m_y); negative m_x count from the end."""
    m_x, m_y = wave_vectors(settings)
    place = np.full((2 * int(m_x.max()) + 1, int(m_y.max()) + 1), -1)
    place[m_x, m_y] = np.arange(m_x.size)
    return place


def closed_forms(settings: GenerationSettings, drawn: DrawnDisorder) -> tuple[Real, Real]:
    """Rms (meV) and correlation length (nm) of infinite samples of this s and N_d, (n,) each."""
    rms, length = _interpolated(settings)
    return rms(drawn.spacing_nm) * np.sqrt(drawn.density_per_cm2), length(drawn.spacing_nm)


@lru_cache(maxsize=8)
def _interpolated(settings: GenerationSettings) -> tuple[Chebyshev, Chebyshev]:
    """Rms at unit density, and correlation length, as functions of s over its range."""
    low, high = settings.disorder.spacing_nm
    if low == high:
        low, high = low * (1 - 1e-6), high * (1 + 1e-6)

    def rms(spacing: Real) -> Real:
        return np.array([dopants(settings, s, 1.0).rms_mev for s in spacing])

    def length(spacing: Real) -> Real:
        return np.array([dopants(settings, s, 1.0).correlation_length_nm for s in spacing])

    found = (Chebyshev.interpolate(f, NODES, [low, high]) for f in (rms, length))
    first, second = found
    return first, second


def check_series(settings: GenerationSettings) -> None:
    """Whether the lattice suits the series at both ends of the range of s.

    Raises
    ------
    ParameterError
    """
    gas = settings.gas.gas()
    for s in settings.disorder.spacing_nm:
        dopants(settings, s, settings.disorder.density_per_cm2[1]).sample(gas, seed=0)
    if settings.seed >= 2**128:
        raise ParameterError(f"seed {settings.seed} has more than 128 bits: give a smaller one")
