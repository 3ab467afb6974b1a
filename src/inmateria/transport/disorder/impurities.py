"""Impurities of one strength on a random share of the sites.

A site carries U with probability p, else nothing; the mean p U is taken off, so that
the Fermi energy stays where it was. V_rms^2 = p (1 - p) U^2, and <V(r) V(r')> = 0 for
r != r'. On a lattice of spacing a their density is p / a^2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class SiteImpurities:
    """Impurities on single sites.

    Parameters
    ----------
    fraction : float
        p, between 0 and 1.
    strength_mev : float
        U; positive repels electrons.

    Raises
    ------
    ParameterError
    """

    fraction: float
    strength_mev: float

    def __post_init__(self) -> None:
        if not 0 < self.fraction < 1:
            raise ParameterError(
                f"impurities on a fraction {self.fraction} of the sites: give one between 0 and 1"
            )
        if not np.isfinite(self.strength_mev) or self.strength_mev == 0:
            raise ParameterError(
                f"strength_mev = {self.strength_mev}: give a finite energy other than 0 meV"
            )

    @property
    def rms_mev(self) -> float:
        """sqrt(p (1 - p)) |U|, meV."""
        return float(np.sqrt(self.fraction * (1 - self.fraction)) * abs(self.strength_mev))

    @property
    def correlation_length_nm(self) -> float:
        """Zero; the lattice makes a measurement give some half of its spacing."""
        return 0.0

    def correlation(self, distance_nm: ArrayLike) -> NDArray[np.float64]:
        """<V(r) V(r + R)>, meV^2, of R's shape: zero but for R = 0.

        Raises
        ------
        ParameterError
            If a distance is negative.
        """
        return np.where(distances(distance_nm) == 0, self.rms_mev**2, 0.0)

    def sample(self, grid: Lattice, *, seed: int | np.random.Generator) -> DisorderSample:
        """One potential (n_x, n_y), meV."""
        return self._draw(grid, [generator(seed)])[0]

    def sample_many(self, grid: Lattice, n: int, *, seed: int, start: int = 0) -> DisorderSample:
        """Samples `start` to `start + n - 1` of a set; sample i depends on `seed` and i only."""
        return self._draw(grid, generators(n, seed=seed, start=start))

    def _draw(self, grid: Lattice, streams: Sequence[np.random.Generator]) -> DisorderSample:
        share = np.empty((len(streams), grid.n_x, grid.n_y))
        for row, stream in zip(share, streams, strict=True):
            stream.random(out=row)
        occupied = (share < self.fraction).astype(np.float64)
        return DisorderSample(self.strength_mev * (occupied - self.fraction))
