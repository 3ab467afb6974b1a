"""Strength and correlation length of a given potential.

The correlation function is estimated from all pairs of sites a distance R apart,

    C(R) = sum_{|r - r'| = R} (V(r) - V_mean) (V(r') - V_mean) / number of pairs,

by fast Fourier transforms of the potential padded with zeros, so that nothing is
taken for periodic. An offset of the whole potential is a gate's voltage, not
disorder: the mean is taken off. That and the finite area make a single sample's
numbers scatter around the ensemble's, and its length come out shorter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from inmateria.errors import ShapeError
from inmateria.transport.disorder.grid import real_array
from inmateria.transport.disorder.parameters import positive

# Potentials are transformed in blocks of about this many numbers, to bound memory.
BLOCK = 1 << 24


@dataclass(frozen=True, eq=False)
class RadialCorrelation:
    """A correlation function averaged over directions.

    Attributes
    ----------
    distance_nm : (n_distances,) array
        Mean distance of the pairs in each ring one site wide; the first is 0.
    value : (..., n_distances) array, meV^2
    """

    distance_nm: NDArray[np.float64]
    value: NDArray[np.float64]

    @property
    def length_nm(self) -> NDArray[np.float64]:
        """Where it first falls to half its value at zero, (...) nm, interpolated linearly.

        Infinite where it does not within these distances; NaN where it is zero at zero.
        """
        value = self.value
        half = value[..., :1] / 2
        below = value < half
        k = np.maximum(below.argmax(axis=-1), 1)
        before = np.take_along_axis(value, k[..., None] - 1, axis=-1)[..., 0]
        after = np.take_along_axis(value, k[..., None], axis=-1)[..., 0]
        near, far = self.distance_nm[k - 1], self.distance_nm[k]
        with np.errstate(invalid="ignore", divide="ignore"):
            length = near + (far - near) * (before - half[..., 0]) / (before - after)
        length = np.where(below.any(axis=-1), length, np.inf)
        return np.asarray(np.where(half[..., 0] > 0, length, np.nan))


def rms_mev(potential: ArrayLike) -> NDArray[np.float64]:
    """Root mean square of a potential around its own mean over the sites.

    Parameters
    ----------
    potential : (..., n_x, n_y) array, meV

    Returns
    -------
    (...) array, meV

    Raises
    ------
    ShapeError, NotFiniteError
    """
    return np.asarray(_checked(potential).std(axis=(-2, -1)))


def correlation(potential: ArrayLike, spacing_nm: float) -> RadialCorrelation:
    """Correlation function of a potential, out to half the sample's shorter side.

    Parameters
    ----------
    potential : (..., n_x, n_y) array, meV
    spacing_nm : float
        Of the lattice.

    Raises
    ------
    ShapeError, NotFiniteError, ParameterError
    """
    positive({"spacing_nm": spacing_nm})
    values = _checked(potential)
    n_x, n_y = values.shape[-2:]
    rings = _Rings(n_x, n_y)
    padded = tuple(scipy.fft.next_fast_len(n + rings.reach, real=True) for n in (n_x, n_y))
    samples = values.reshape(-1, n_x, n_y)
    found = np.empty((len(samples), len(rings.pairs)))
    step = max(1, BLOCK // (padded[0] * padded[1]))
    for first in range(0, len(samples), step):
        block = samples[first : first + step]
        block = block - block.mean(axis=(-2, -1), keepdims=True)
        power = np.abs(scipy.fft.rfft2(block, s=padded)) ** 2
        products = scipy.fft.irfft2(power, s=padded)
        found[first : first + step] = rings.add(products[:, rings.i, rings.j]) / rings.pairs
    return RadialCorrelation(
        spacing_nm * rings.distance, found.reshape(*values.shape[:-2], len(rings.pairs))
    )


def correlation_length_nm(potential: ArrayLike, spacing_nm: float) -> NDArray[np.float64]:
    """Distance at which a potential's correlation function is half its value at zero.

    Parameters
    ----------
    potential : (..., n_x, n_y) array, meV
    spacing_nm : float
        Of the lattice; uncorrelated disorder comes out as some half of it.

    Returns
    -------
    (...) array, nm
        NaN for a constant potential, infinite where half the sample's shorter side is
        not enough to see the fall.

    Raises
    ------
    ShapeError, NotFiniteError, ParameterError
    """
    values = _checked(potential)
    length = correlation(values, spacing_nm).length_nm
    # Taking off the mean leaves rounding of a constant potential.
    constant = np.ptp(values, axis=(-2, -1)) == 0
    return np.asarray(np.where(constant, np.nan, length))


def radial_average(correlation_mev2: NDArray[np.float64], spacing_nm: float) -> RadialCorrelation:
    """Average of a known correlation function over the pairs that `correlation` counts.

    Parameters
    ----------
    correlation_mev2 : (..., n_x, n_y) array
        Over R = (i a, j a); the same for R mirrored in an axis.
    """
    rings = _Rings(*correlation_mev2.shape[-2:])
    values = correlation_mev2[..., rings.i, np.abs(rings.j)]
    return RadialCorrelation(
        spacing_nm * rings.distance, rings.add(values * rings.count) / rings.pairs
    )


class _Rings:
    """Lags (i, j) of one half plane, for (-i, -j) is the same, in rings one site wide."""

    def __init__(self, n_x: int, n_y: int) -> None:
        self.reach = min(n_x, n_y) // 2
        side = np.arange(-self.reach, self.reach + 1)
        i, j = (lag.ravel() for lag in np.meshgrid(side[self.reach :], side, indexing="ij"))
        distance = np.hypot(i, j)
        ring = np.rint(distance).astype(int)
        order = np.argsort(ring, kind="stable")
        order = order[(ring[order] <= self.reach) & ((i[order] > 0) | (j[order] >= 0))]
        self.i, self.j = i[order], j[order]
        self.count = (n_x - self.i) * (n_y - np.abs(self.j))
        self._first = np.searchsorted(ring[order], np.arange(self.reach + 1))
        self.pairs = self.add(self.count)
        self.distance = self.add(self.count * distance[order]) / self.pairs

    def add(self, values: NDArray[np.float64] | NDArray[np.int64]) -> NDArray[np.float64]:
        """Sum over each ring, (..., n_lags) to (..., n_rings)."""
        return np.add.reduceat(values, self._first, axis=-1).astype(np.float64, copy=False)


def _checked(potential: ArrayLike) -> NDArray[np.float64]:
    values = real_array(potential)
    if values.ndim < 2 or min(values.shape[-2:]) < 4:
        raise ShapeError(
            f"a potential of shape {values.shape}: give (..., n_x, n_y), at least 4 sites each way"
        )
    return values
