"""Where training takes its samples from: arrays, or a store that is larger than memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inmateria.errors import ShapeError

Batch = tuple[NDArray[np.float32], NDArray[np.float32]]


class Samples(Protocol):
    """Samples that can be read by their numbers."""

    def __len__(self) -> int: ...

    @property
    def chunk(self) -> int:
        """Samples that are best read together."""
        ...

    def read(self, numbers: NDArray[np.int64]) -> Batch:
        """Images (n, channels, n_x, n_y) and targets, scaled."""
        ...


@dataclass(frozen=True, eq=False)
class InMemory:
    """Samples in memory.

    Parameters
    ----------
    images : (n, channels, n_x, n_y) float32 array
    targets : (n, ...) float32 array

    Raises
    ------
    ShapeError
    """

    images: NDArray[np.float32]
    targets: NDArray[np.float32]
    chunk: int = 1

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or len(self.images) != len(self.targets):
            raise ShapeError(
                f"images {self.images.shape} and targets {self.targets.shape}: give "
                "(n, channels, n_x, n_y) and (n, ...)"
            )

    def __len__(self) -> int:
        return len(self.images)

    def read(self, numbers: NDArray[np.int64]) -> Batch:
        """Samples by their numbers."""
        return self.images[numbers], self.targets[numbers]


def shuffled(
    n: int, chunk: int, generator: np.random.Generator, *, buffer: int = 2048
) -> NDArray[np.int64]:
    """An order of n samples in which a store is read in whole chunks.

    Chunks come in random order, and samples change places within `buffer` of them.
    """
    chunks = [np.arange(start, min(start + chunk, n)) for start in range(0, n, chunk)]
    order = np.concatenate([chunks[i] for i in generator.permutation(len(chunks))])
    for start in range(0, n, buffer):
        generator.shuffle(order[start : start + buffer])
    return order
