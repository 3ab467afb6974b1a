"""What the components of a potential say of the dopants' distance, in closed form.

Of a sample whose series repeats itself the components are independent (`Periodic`). Of any
other one they are cosines over the sample, whose covariance follows from the series over
twice its length and width (`Cosines`); ordered by wave number, the Cholesky factor of all is
also that of the first n, for each n.

The series ends at q_c = cutoff / s, where components are lost in whatever else is there; it
is taken as far as the s that it leads to allows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
import scipy.fft
import scipy.linalg
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline

from inmateria.errors import ParameterError
from inmateria.transport.disorder.fourier import half_plane, wave_numbers
from inmateria.transport.disorder.grid import Grid, Lattice
from inmateria.transport.disorder.remote_dopants import RemoteDopants

Real = NDArray[np.float64]

UNIT_PER_CM2 = 1e12
# Fewer components say nothing about the shape of a spectrum.
FEWEST = 12
N_SPACINGS, N_FINE = 25, 121
TINY = 1e-300


@dataclass(frozen=True, eq=False)
class Likelihood:
    """What the first `counts.sum()` numbers of a potential say about s.

    Attributes
    ----------
    spacings : (n_spacings,) array, nm
    white, log_size : (n_spacings, n) arrays
        Of each component, as `Fit` has them.
    counts : (n,) array
        Real numbers in each component.
    """

    spacings: Real
    white: Real
    log_size: Real
    counts: Real

    def finer(self) -> Likelihood:
        """Interpolated between spacings: both sums are smooth."""
        at = np.geomspace(self.spacings[0], self.spacings[-1], N_FINE)
        between = make_interp_spline(
            np.log(self.spacings), np.stack([np.log(self.white), self.log_size]), axis=1
        )
        white, log_size = between(np.log(at))
        return Likelihood(at, np.exp(white), log_size, self.counts)


def look(
    potential: Real,
    grid: Lattice,
    like: RemoteDopants,
    spacing_nm: tuple[float, float],
    resolved: float,
    *,
    most: int,
) -> Likelihood:
    """Of the components up to where the series ends, and to `resolved` (1/nm); `most` of them if
    they are cosines."""
    low, high = spacing_nm
    q_end = min(like.cutoff / low, resolved)
    components: Components = (
        Periodic(potential, grid, q_end) if like.periodic else Cosines(potential, grid, q_end, most)
    )
    if len(components.q) < FEWEST:
        raise ParameterError(
            f"{len(components.q)} components have wave numbers below {q_end:.3g} / nm: an estimate "
            f"takes {FEWEST}; give a larger sample, or allow larger wave numbers"
        )
    spacings = np.geomspace(low, high, N_SPACINGS)
    fits = [components.fit(replace(like, spacing_nm=s)) for s in spacings]
    # A component may be missing altogether, and has a logarithm all the same.
    white = np.maximum([f.white for f in fits], TINY)
    log_size = np.array([f.log_size for f in fits])
    counts = components.counts
    n = _where_the_series_ends(spacings, white, log_size, components, like.cutoff)
    return Likelihood(spacings, white[:, :n], log_size[:, :n], np.diff(counts[:n], prepend=0.0))


class Fit(NamedTuple):
    """A potential in components of unit variance, if s is right and N_d is 1e12 / cm^2.

    Attributes
    ----------
    white : (n_components,) array
        Squares; summed over both parts of a complex one.
    log_size : (n_components,) array
        What they were divided by, ln.
    """

    white: Real
    log_size: Real


class Components(Protocol):
    """A potential's components, in the order of their wave numbers.

    Attributes
    ----------
    q : (n,) array, 1/nm
    counts : (n,) array
        Real numbers in the first of them, up to each.
    """

    q: Real
    counts: Real

    def fit(self, dopants: RemoteDopants) -> Fit: ...


class Periodic:
    """Independent complex components of a series that repeats itself."""

    def __init__(self, potential: Real, grid: Lattice, q_end: float) -> None:
        m_x, m_y = half_plane(grid, q_end)
        q = wave_numbers(m_x, m_y, grid)
        order = np.argsort(q, kind="stable")
        self.m_x, self.m_y = m_x[order], m_y[order]
        self.q: Real = q[order]
        waves = scipy.fft.rfft2(potential)[self.m_x, self.m_y] / potential.size
        self.power: Real = np.square(np.abs(waves), dtype=np.float64)
        self.counts: Real = np.arange(2.0, 2 * len(self.q) + 1, 2.0)
        self.torus = RemoteDopants()._torus(grid)

    def fit(self, dopants: RemoteDopants) -> Fit:
        variance = _variance(dopants, self.m_x, self.m_y, self.torus) / 2  # of each part
        return Fit(self.power / variance, 2 * np.log(variance))


class Cosines:
    """Correlated cosines of a sample that is a quarter of a torus."""

    def __init__(self, potential: Real, grid: Lattice, q_end: float, most: int) -> None:
        unit_x, unit_y = (np.pi / (n * grid.spacing_nm) for n in (grid.n_x, grid.n_y))
        k_x, k_y = np.meshgrid(
            *(np.arange(int(q_end / unit) + 1) for unit in (unit_x, unit_y)), indexing="ij"
        )
        q = np.hypot(unit_x * k_x, unit_y * k_y)
        k_x, k_y, q = (x[(q > 0) & (q <= q_end)] for x in (k_x, k_y, q))
        order = np.argsort(q, kind="stable")[:most]
        k_x, k_y = k_x[order], k_y[order]
        self.q: Real = q[order]
        self.values = scipy.fft.dctn(potential, type=2, norm="ortho")[k_x, k_y]
        self.counts: Real = np.arange(1.0, len(self.q) + 1)
        # The series that the sample is cut from, somewhat beyond the last cosine.
        self.torus = RemoteDopants(periodic=False)._torus(grid)
        reach = self.q[-1] * 1.2 + 4 * max(unit_x, unit_y) if len(self.q) else q_end
        self.m_x, self.m_y = half_plane(self.torus, float(reach))
        along = _cosines_of_waves(grid.n_x, k_x.max(initial=0), self.m_x)
        across = _cosines_of_waves(grid.n_y, k_y.max(initial=0), self.m_y)
        waves = along[k_x] * across[k_y]
        self.waves = np.hstack([waves.real, waves.imag])

    def fit(self, dopants: RemoteDopants) -> Fit:
        variance = np.tile(_variance(dopants, self.m_x, self.m_y, self.torus), 2)
        weighted = self.waves * np.sqrt(2 * variance)
        factor = scipy.linalg.cholesky(weighted @ weighted.T, lower=True, check_finite=False)
        white = scipy.linalg.solve_triangular(factor, self.values, lower=True, check_finite=False)
        return Fit(white**2, 2 * np.log(np.diag(factor)))


def _cosines_of_waves(n: int, last: int, m: NDArray[np.int64]) -> NDArray[np.complex128]:
    """Cosine transforms of exp(-i q r) on n sites of a torus of 2 n, (last + 1, len(m))."""
    waves = np.exp(-1j * np.pi / n * np.outer(np.arange(n), m))
    transformed: NDArray[np.complex128] = scipy.fft.dct(waves, type=2, norm="ortho", axis=0)
    return transformed[: last + 1]


def _variance(
    dopants: RemoteDopants, m_x: NDArray[np.int64], m_y: NDArray[np.int64], torus: Grid
) -> Real:
    """<|A(q)|^2> at N_d = 1e12 / cm^2, meV^2; also beyond q_c."""
    unit = replace(dopants, density_per_cm2=UNIT_PER_CM2)
    return unit._factors(m_x, m_y, torus) ** 2 * unit._dopants(torus)


def _where_the_series_ends(
    spacings: Real, white: Real, log_size: Real, components: Components, cutoff: float
) -> int:
    """Number of components up to the q_c of the s that these components give."""
    n, q = components.counts, components.q
    white, log_size = np.cumsum(white, axis=1), np.cumsum(log_size, axis=1)
    # Of each number of components: the best N_d for each s, and with it the best s.
    best = spacings[np.argmin(n * np.log(white / n) + log_size, axis=0)]
    beyond = np.flatnonzero(q * best > cutoff)
    beyond = beyond[beyond >= FEWEST]
    return int(beyond[0]) if len(beyond) else len(q)
