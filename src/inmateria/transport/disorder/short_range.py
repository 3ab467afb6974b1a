"""Uncorrelated disorder, drawn on every site for itself (Anderson's model).

V is uniform in [-W / 2, W / 2], so V_rms = W / sqrt(12) and <V(r) V(r')> = 0 for r != r'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.transport.disorder.ensemble import (
    DisorderSample,
    distances,
    generator,
    generators,
)
from inmateria.transport.disorder.grid import Lattice
from inmateria.transport.disorder.parameters import positive


@dataclass(frozen=True)
class ShortRange:
    """Disorder without correlation between sites.

    Parameters
    ----------
    rms_mev : float

    Raises
    ------
    ParameterError
    """

    rms_mev: float

    def __post_init__(self) -> None:
        positive({"rms_mev": self.rms_mev})

    @property
    def width_mev(self) -> float:
        """W of Anderson's model, meV."""
        return float(np.sqrt(12) * self.rms_mev)

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
        return DisorderSample(self.width_mev * (share - 0.5))
