"""Disorder with a Gaussian correlation function.

    <V(r) V(r + R)> = V_rms^2 exp(-R^2 / (2 l^2)) = V_rms^2 2^(-(R / xi)^2),

xi = sqrt(2 ln 2) l. The correlation length of this library is xi, half height, here as
everywhere; l is `gaussian_length_nm`.

The function is a product of one in x and one in y. With B_x and B_y the symmetric
square roots of the two covariance matrices and w normal and independent on every site,

    V = V_rms B_x w B_y,    <V V> = V_rms^2 (B_x B_x) (B_y B_y),

has exactly this correlation on the lattice. Nothing is periodic, whatever the length;
the torus, where asked for, has the covariance summed over its images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.errors import ParameterError
from inmateria.transport.disorder.ensemble import (
    DisorderSample,
    distances,
    generator,
    generators,
)
from inmateria.transport.disorder.grid import Lattice
from inmateria.transport.disorder.parameters import positive

# Eigenvalues of a covariance below this share of the largest are rounding: their roots
# would differ from machine to machine. It is also the error left in the covariance.
ROUNDING = 1e-12


@dataclass(frozen=True)
class GaussianDisorder:
    """Normal disorder of Gaussian correlation.

    Parameters
    ----------
    rms_mev : float
    correlation_length_nm : float
        xi, at which the correlation function is half its value at zero.
    periodic : bool
        Whether opposite edges are neighbours. A network can learn that; the default is not.

    Raises
    ------
    ParameterError
    """

    rms_mev: float
    correlation_length_nm: float
    periodic: bool = False

    def __post_init__(self) -> None:
        positive({n: getattr(self, n) for n in ("rms_mev", "correlation_length_nm")})

    @property
    def gaussian_length_nm(self) -> float:
        """l = xi / sqrt(2 ln 2), nm."""
        return float(self.correlation_length_nm / np.sqrt(2 * np.log(2)))

    def correlation(self, distance_nm: ArrayLike) -> NDArray[np.float64]:
        """<V(r) V(r + R)>, meV^2, of R's shape.

        Raises
        ------
        ParameterError
            If a distance is negative.
        """
        ratio = distances(distance_nm) / self.correlation_length_nm
        return np.asarray(self.rms_mev**2 * np.exp2(-(ratio**2)))

    def sample(self, grid: Lattice, *, seed: int | np.random.Generator) -> DisorderSample:
        """One potential (n_x, n_y), meV.

        Raises
        ------
        ParameterError
            If it is to be periodic and the correlation reaches around the sample.
        """
        return self._draw(grid, [generator(seed)])[0]

    def sample_many(self, grid: Lattice, n: int, *, seed: int, start: int = 0) -> DisorderSample:
        """Samples `start` to `start + n - 1` of a set; sample i depends on `seed` and i only."""
        return self._draw(grid, generators(n, seed=seed, start=start))

    def _draw(self, grid: Lattice, streams: Sequence[np.random.Generator]) -> DisorderSample:
        shortest = min(grid.n_x, grid.n_y) * grid.spacing_nm
        if self.periodic and self.correlation_length_nm > shortest / 4:
            raise ParameterError(
                f"a correlation length of {self.correlation_length_nm:g} nm on a torus of "
                f"{shortest:g} nm meets itself; give at most {shortest / 4:g} nm or periodic=False"
            )
        ratio = grid.spacing_nm / self.correlation_length_nm
        root_x = _covariance_root(grid.n_x, ratio, self.periodic)
        root_y = _covariance_root(grid.n_y, ratio, self.periodic)
        noise = np.empty((len(streams), grid.n_x, grid.n_y))
        for row, stream in zip(noise, streams, strict=True):
            stream.standard_normal(out=row)
        return DisorderSample(self.rms_mev * (root_x @ noise @ root_y))


@lru_cache(maxsize=16)
def _covariance_root(n: int, ratio: float, periodic: bool) -> NDArray[np.float64]:
    """Symmetric root of 2^(-((i - j) a / xi)^2), (n, n), for `ratio` = a / xi.

    The symmetric root is unique, unlike a matrix of eigenvectors: a seed gives the same
    potential whichever linear algebra is underneath.
    """
    lag = np.subtract.outer(np.arange(n), np.arange(n))
    images = (-2 * n, -n, 0, n, 2 * n) if periodic else (0,)
    covariance = sum(np.exp2(-(((lag + image) * ratio) ** 2)) for image in images)
    value, vector = np.linalg.eigh(covariance)
    kept = value > ROUNDING * value[-1]
    root = np.asarray((vector[:, kept] * np.sqrt(value[kept])) @ vector[:, kept].T)
    root.setflags(write=False)
    return root
