"""What a store of generated samples holds: schema `inmateria.samples`, version 1.

Every variable has `sample` as its first dimension, and the samples are cut into blocks. A
block is what one process computes and writes; of each variable it is one chunk in one file
(of large variables a shard, whose inner chunks are a few samples each).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.data.provenance import canonical_json
from inmateria.errors import NotFiniteError, ParameterError, ShapeError

SCHEMA = "inmateria.samples"
SCHEMA_VERSION = 1
DIGEST_BYTES = 32

# Inner chunks are as large as this allows: each costs 1 ms in zarr, whatever its size.
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Variable:
    """An array of the store, one entry a sample.

    Parameters
    ----------
    name : str
    dims : tuple of str
        Behind `sample`.
    shape : tuple of int
        Of one sample.
    dtype : str
        Little-endian, as NumPy writes it (``"<f2"``).
    units : str
        ``"1"`` where there is none.
    long_name : str
    scale : str, optional
        The variable, one number a sample, that values are to be multiplied by.
    """

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    units: str
    long_name: str
    scale: str | None = None

    @property
    def sample_bytes(self) -> int:
        """Bytes of a sample."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    def attributes(self) -> dict[str, str]:
        """What the array's attributes say."""
        found = {"units": self.units, "long_name": self.long_name}
        return found if self.scale is None else found | {"scale": self.scale}


@dataclass(frozen=True)
class Coordinate:
    """Positions along a dimension, the same for all samples.

    Parameters
    ----------
    name, dim : str
    values : (n,) array
    units : str
    long_name : str
    """

    name: str
    dim: str
    values: NDArray[Any] = field(compare=False)
    units: str
    long_name: str


@dataclass(frozen=True)
class SampleLayout:
    """All that is known of a set before it is computed.

    Parameters
    ----------
    configuration : mapping
        Plain JSON values; two sets are the same if these are.
    n_samples, block_size : int
    variables : tuple of Variable
    coordinates : tuple of Coordinate

    Raises
    ------
    ParameterError
    """

    configuration: Mapping[str, Any]
    n_samples: int
    block_size: int
    variables: tuple[Variable, ...]
    coordinates: tuple[Coordinate, ...] = ()

    def __post_init__(self) -> None:
        if self.n_samples < 1 or self.block_size < 1:
            raise ParameterError(
                f"{self.n_samples} samples in blocks of {self.block_size}: give at least 1 of both"
            )
        names = self.array_names
        if len({*names, "done"}) <= len(names):
            raise ParameterError(f"names repeat or are taken ({', '.join(names)}, done)")

    @property
    def array_names(self) -> list[str]:
        """Names of variables, then of coordinates."""
        return [v.name for v in self.variables] + [place.name for place in self.coordinates]

    @property
    def n_blocks(self) -> int:
        """Blocks; the last one may hold fewer samples."""
        return -(-self.n_samples // self.block_size)

    def samples(self, block: int) -> range:
        """Numbers of a block's samples."""
        first = block * self.block_size
        return range(first, min(first + self.block_size, self.n_samples))

    def chunk_samples(self, variable: Variable) -> int:
        """Samples in an inner chunk: a divisor of the block, all of it for small variables."""
        wanted = max(1, CHUNK_BYTES // max(variable.sample_bytes, 1))
        return max(n for n in _divisors(self.block_size) if n <= wanted)


def _divisors(number: int) -> Iterator[int]:
    return (n for n in range(1, number + 1) if number % n == 0)


def configuration_sha256(configuration: Mapping[str, Any]) -> str:
    """SHA-256 of a configuration as canonical JSON, hexadecimal."""
    return hashlib.sha256(canonical_json(configuration).encode()).hexdigest()


def block_digest(
    identity: str, variable: Variable, block: int, values: NDArray[np.generic]
) -> bytes:
    """SHA-256 of a block of a variable, of which set it is and where it stands.

    Parameters
    ----------
    identity : str
        Digest of the set's configuration.
    """
    head = f"{identity}|{variable.name}|{block}|{variable.dtype}|{values.shape}|"
    digest = hashlib.sha256(head.encode())
    digest.update(np.ascontiguousarray(values, dtype=variable.dtype).data)
    return digest.digest()


def check_block(
    layout: SampleLayout, block: int, arrays: Mapping[str, ArrayLike]
) -> dict[str, NDArray[np.generic]]:
    """The arrays of a block in the types of the layout.

    Raises
    ------
    ParameterError, ShapeError, NotFiniteError
        If one is missing, has another shape, or holds NaN, which stands for "not computed".
    """
    if not 0 <= block < layout.n_blocks:
        raise ParameterError(f"block {block} of a set of {layout.n_blocks}; count from 0")
    names = [variable.name for variable in layout.variables]
    if set(arrays) != set(names):
        raise ParameterError(f"a block of {_listed(arrays)}; give {_listed(names)}")
    found: dict[str, NDArray[np.generic]] = {}
    for variable in layout.variables:
        values = np.ascontiguousarray(arrays[variable.name], dtype=variable.dtype)
        shape = (len(layout.samples(block)), *variable.shape)
        if values.shape != shape:
            raise ShapeError(
                f"{variable.name} of block {block} has shape {values.shape}; give {shape}"
            )
        if not _all_finite(values):
            sample = layout.samples(block)[int(np.argwhere(~np.isfinite(values))[0][0])]
            raise NotFiniteError(f"{variable.name} of sample {sample} is NaN or infinite")
        found[variable.name] = values
    return found


def _all_finite(values: NDArray[np.generic]) -> bool:
    if values.dtype == np.float16:
        # All bits of the exponent; NumPy would turn every number into a longer one first.
        return not ((values.view(np.uint16) & 0x7C00) == 0x7C00).any()
    return values.dtype.kind != "f" or bool(np.isfinite(values).all())


def _listed(names: Sequence[str] | Mapping[str, Any]) -> str:
    return ", ".join(sorted(names))
