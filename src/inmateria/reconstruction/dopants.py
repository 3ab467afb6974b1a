"""The dopants behind a potential: how far away, and how many.

A Fourier component of the potential of `RemoteDopants` is normal, with a variance that falls
with the wave number as exp(-2 q s) and is proportional to N_d. So the likelihood of s and
N_d is known in closed form (`dopant_likelihood`), and with ln s and ln N_d as likely anywhere
within given ranges, their means and standard deviations follow by sums over a grid; so do
those of rms and correlation length. No unbiased estimate is better than
`limits.two_parameter_limit`; this one reaches it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import make_interp_spline

from inmateria.errors import NotFiniteError, ParameterError, ShapeError
from inmateria.reconstruction.dopant_likelihood import TINY, UNIT_PER_CM2, Likelihood, look
from inmateria.transport.disorder.grid import Lattice
from inmateria.transport.disorder.remote_dopants import RemoteDopants

Real = NDArray[np.float64]

# Where nothing is known of s (nm) and N_d (1/cm^2).
SPACINGS_NM = (20.0, 120.0)
DENSITIES_PER_CM2 = (5e10, 1e13)
# Of cosines, whose covariance is a full matrix.
MOST_COSINES = 600
# Of the sites' own largest wave number.
_RESOLVED = 0.9
_N_DENSITIES = 161
# Cosines of a first look.
_FIRST = 150
# Posterior below which a spacing is left out, in logarithms.
_NEGLIGIBLE = 18.0
# Numbers in a band of wave numbers.
_BAND = 24


@dataclass(frozen=True)
class DopantEstimate:
    """Dopants, each number with its standard deviation.

    Attributes
    ----------
    spacing_nm, density_per_cm2 : float
        s and N_d.
    rms_mev, correlation_nm : float
        Of an infinite sample of such dopants; the sample's own are its potential's.
    spacing_sd_nm, density_sd_per_cm2, rms_sd_mev, correlation_sd_nm : float
    error_correlation : float
        Of the errors of s and N_d, which go along the line of constant rms.
    n_numbers : int
        Real and imaginary parts, or cosines, that were used.
    spectrum_misfit : float
        How much farther the power in bands of wave numbers is from what dopants give than chance
        has it, in standard deviations: above 4 or so, it is another kind of disorder.
    """

    spacing_nm: float
    density_per_cm2: float
    rms_mev: float
    correlation_nm: float
    spacing_sd_nm: float
    density_sd_per_cm2: float
    rms_sd_mev: float
    correlation_sd_nm: float
    error_correlation: float
    n_numbers: int
    spectrum_misfit: float


def estimate_dopants(
    potential_mev: ArrayLike,
    grid: Lattice,
    *,
    host: RemoteDopants | None = None,
    spacing_nm: tuple[float, float] = SPACINGS_NM,
    density_per_cm2: tuple[float, float] = DENSITIES_PER_CM2,
    q_max: float = np.inf,
) -> DopantEstimate:
    """Means and standard deviations of s and N_d, given a potential.

    Parameters
    ----------
    potential_mev : (n_x, n_y) array, meV
        Exact, or refined; what a network alone finds is too smooth, and s too large.
    grid : Grid or ElectronGas
        Its sites.
    host : RemoteDopants, optional
        Permittivity, mass, cutoff and period; its s and N_d are not used.
    spacing_nm, density_per_cm2 : (float, float)
        Anything between is as likely, on a logarithmic scale.
    q_max : float
        Largest wave number that the potential can be trusted at, 1/nm.

    Raises
    ------
    ShapeError, NotFiniteError
    ParameterError
        If a range is empty, or the sample has too few components below q_c.
    """
    like = host if host is not None else RemoteDopants()
    ranges = _checked("spacing_nm", spacing_nm), _checked("density_per_cm2", density_per_cm2)
    potential = np.asarray(potential_mev, dtype=np.float64)
    if potential.shape != (grid.n_x, grid.n_y):
        raise ShapeError(
            f"a potential of shape {potential.shape}: give ({grid.n_x}, {grid.n_y}), one number a "
            "site"
        )
    if not np.isfinite(potential).all():
        raise NotFiniteError("the potential holds NaN or infinity: fill these sites")
    if not np.ptp(potential) > 0:
        raise ParameterError("the potential is the same everywhere: it has no dopants")
    spacings, densities = ranges
    resolved = min(q_max, _RESOLVED * np.pi / grid.spacing_nm)
    # A few components tell roughly how far away the dopants are, and so which others there are.
    first = look(potential, grid, like, spacings, resolved, most=_FIRST)
    best = _log_posterior(first, densities).max(axis=1)
    likely = np.flatnonzero(best > best.max() - _NEGLIGIBLE)
    bracket = first.spacings[[max(0, likely[0] - 1), min(len(best) - 1, likely[-1] + 1)]]
    found = look(potential, grid, like, tuple(bracket), resolved, most=MOST_COSINES)
    return _estimate(like, found.finer(), densities)


def _densities(ranges: tuple[float, float]) -> Real:
    return np.geomspace(*ranges, _N_DENSITIES) / UNIT_PER_CM2


def _log_posterior(given: Likelihood, densities: tuple[float, float]) -> Real:
    """(n_spacings, n_densities), but for a constant."""
    density = _densities(densities)
    white, log_size = (x.sum(axis=1)[:, None] for x in (given.white, given.log_size))
    return np.asarray(-0.5 * (given.counts.sum() * np.log(density) + white / density + log_size))


def _estimate(
    like: RemoteDopants, given: Likelihood, densities: tuple[float, float]
) -> DopantEstimate:
    log_posterior, spacings = _log_posterior(given, densities), given.spacings
    weight = np.exp(log_posterior - log_posterior.max())
    weight /= weight.sum()
    density = _densities(densities)
    rms, correlation = _closed_forms(like, spacings)
    rms = rms[:, None] * np.sqrt(density)

    def moments(values: Real) -> tuple[float, float]:
        mean = float((weight * np.log(values)).sum())
        spread = float(np.sqrt((weight * (np.log(values) - mean) ** 2).sum()))
        return float(np.exp(mean)), spread

    s, s_spread = moments(spacings[:, None])
    n_d, n_spread = moments(density)
    off = np.log(spacings / s)[:, None] * np.log(density / n_d)
    together = float((weight * off).sum()) / max(s_spread * n_spread, TINY)
    rms_mev, rms_spread = moments(rms)
    xi, xi_spread = moments(correlation[:, None])
    row, column = np.unravel_index(np.argmax(log_posterior), log_posterior.shape)
    white = given.white[row] / density[column]
    return DopantEstimate(
        s,
        n_d * UNIT_PER_CM2,
        rms_mev,
        xi,
        s_spread * s,
        n_spread * n_d * UNIT_PER_CM2,
        rms_spread * rms_mev,
        xi_spread * xi,
        together,
        int(given.counts.sum()),
        _misfit(white, given.counts),
    )


def _closed_forms(like: RemoteDopants, spacings: Real) -> tuple[Real, Real]:
    """rms (meV) at N_d = 1e12 / cm^2 and correlation length (nm) of each s, smooth in ln s."""
    at = np.geomspace(spacings[0], spacings[-1], 9)
    exact = [replace(like, spacing_nm=s, density_per_cm2=UNIT_PER_CM2) for s in at]
    values = np.log([[d.rms_mev for d in exact], [d.correlation_length_nm for d in exact]])
    rms, correlation = np.exp(make_interp_spline(np.log(at), values, axis=1)(np.log(spacings)))
    return rms, correlation


def _misfit(white: Real, counts: Real) -> float:
    """Power in bands of wave numbers against chance, in standard deviations."""
    each = counts.sum() / max(1, round(counts.sum() / _BAND))
    band = np.minimum((np.cumsum(counts) - counts) / each, counts.sum() / each - 1e-9).astype(int)
    power, n = np.bincount(band, white), np.bincount(band, counts)
    # The mean of n squares of unit normals has a variance of 2 / n; two of the bands' freedoms
    # went into s and N_d.
    chi_square, free = float(((power / n - 1) ** 2 * n / 2).sum()), max(1, len(n) - 2)
    return float((chi_square - free) / np.sqrt(2 * free))


def _checked(name: str, given: tuple[float, float]) -> tuple[float, float]:
    low, high = (float(x) for x in given)
    if not 0 < low < high < np.inf:
        raise ParameterError(
            f"{name} = ({low:g}, {high:g}): give two numbers above 0, the lower first"
        )
    return low, high
