"""What every kind of disorder can do, and the random numbers behind a set of samples.

Sample i of a set draws from ``SeedSequence(seed, spawn_key=(i,))``: a set is the same
whether it is drawn at once, in blocks, or on many machines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.errors import ParameterError
from inmateria.transport.disorder.fourier import FourierCoefficients
from inmateria.transport.disorder.grid import Lattice
from inmateria.transport.disorder.parameters import whole


@dataclass(frozen=True, eq=False)
class DisorderSample:
    """One potential, or a set of them along the first axis.

    Attributes
    ----------
    potential : (..., n_x, n_y) array, meV
    coefficients : FourierCoefficients or None
        Of the series that the potential is, where it is one.
    """

    potential: NDArray[np.float64]
    coefficients: FourierCoefficients | None = None

    def __getitem__(self, index: int) -> DisorderSample:
        """Sample `index` of a set."""
        coefficients = self.coefficients
        return DisorderSample(
            self.potential[index], None if coefficients is None else coefficients[index]
        )

    def __len__(self) -> int:
        return len(self.potential)

    def __iter__(self) -> Iterator[DisorderSample]:
        return (self[i] for i in range(len(self)))


@runtime_checkable
class Disorder(Protocol):
    """Random potentials of zero mean over an ensemble that is the same everywhere."""

    @property
    def rms_mev(self) -> float:
        """Root mean square over the ensemble at any point, meV."""
        ...

    @property
    def correlation_length_nm(self) -> float:
        """Distance at which the correlation function is half its value at zero, nm."""
        ...

    def correlation(self, distance_nm: ArrayLike) -> NDArray[np.float64]:
        """<V(r) V(r + R)> over the ensemble, meV^2, of R's shape."""
        ...

    def sample(self, grid: Lattice, *, seed: int | np.random.Generator) -> DisorderSample:
        """One potential (n_x, n_y)."""
        ...

    def sample_many(self, grid: Lattice, n: int, *, seed: int, start: int = 0) -> DisorderSample:
        """Samples `start` to `start + n - 1` of the set that belongs to `seed`."""
        ...


def generator(seed: int | np.random.Generator) -> np.random.Generator:
    """A generator from a seed, or the one given.

    Raises
    ------
    ParameterError
        If the seed is not a whole number of at least 0.
    """
    if isinstance(seed, np.random.Generator):
        return seed
    return np.random.default_rng(whole("seed", seed, 0))


def generators(n: int, *, seed: int, start: int = 0) -> list[np.random.Generator]:
    """Generators of samples `start` to `start + n - 1`.

    Raises
    ------
    ParameterError
    """
    root, first = whole("seed", seed, 0), whole("start", start, 0)
    return [
        np.random.default_rng(np.random.SeedSequence(root, spawn_key=(first + i,)))
        for i in range(whole("n", n, 0))
    ]


def distances(distance_nm: ArrayLike) -> NDArray[np.float64]:
    """Distances as float64, nm.

    Raises
    ------
    ParameterError
        If one is negative or not finite.
    """
    distance = np.asarray(distance_nm, dtype=np.float64)
    wrong = ~(np.isfinite(distance) & (distance >= 0))
    if wrong.any():
        raise ParameterError(
            f"a distance of {distance[wrong][0]} nm: give finite distances of at least 0"
        )
    return distance
