"""Training samples out of a store that need not fit in memory."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inmateria.data.sample_store import SampleStore
from inmateria.datasets.averaging import block_average
from inmateria.errors import DataFileError, ParameterError
from inmateria.reconstruction.channels import Scaling, for_network, n_channels
from inmateria.reconstruction.presets import Target
from inmateria.reconstruction.sources import Batch

# Blocks that are kept: some 2,000 samples are shuffled among each other.
MOST_BLOCKS = 40

Real = NDArray[np.float64]


@dataclass(frozen=True)
class TargetScaling:
    """y = (target - centre) / width, per component; scalars for a map.

    Parameters
    ----------
    centre, width : tuple of float
    """

    centre: tuple[float, ...]
    width: tuple[float, ...]

    @classmethod
    def of(cls, targets: Real, *, maps: bool) -> TargetScaling:
        """Standardises these; a map keeps its zero and has one width."""
        if maps:
            return cls((0.0,), (float(targets.std()),))
        width = np.where(targets.std(axis=0) > 0, targets.std(axis=0), 1.0)
        return cls(tuple(targets.mean(axis=0).tolist()), tuple(width.tolist()))

    def __call__(self, targets: Real) -> NDArray[np.float32]:
        """Scaled targets."""
        return np.asarray((targets - self._of(self.centre)) / self._of(self.width), np.float32)

    def back(self, scaled: NDArray[np.floating]) -> Real:
        """Targets of a network's outputs."""
        return np.asarray(scaled * self._of(self.width) + self._of(self.centre), np.float64)

    @staticmethod
    def _of(numbers: tuple[float, ...]) -> Real | float:
        return numbers[0] if len(numbers) == 1 else np.array(numbers)


def variables_of(image: str | Sequence[str]) -> tuple[str, ...]:
    """Names of the variables that an image is made of."""
    return (image,) if isinstance(image, str) else tuple(image)


def channel_variables(store: SampleStore, image: str | Sequence[str]) -> tuple[str, ...]:
    """The variable of each channel, once for each entry of a further dimension.

    Raises
    ------
    ParameterError
        If the store lacks one, or they are not maps of one size.
    """
    variables = [store.variable(name) for name in variables_of(image)]
    sizes = {variable.shape[-2:] for variable in variables}
    if len(sizes) != 1 or any(len(variable.shape) not in (2, 3) for variable in variables):
        shapes = ", ".join(f"{variable.name} {variable.shape}" for variable in variables)
        raise ParameterError(
            f"images of shapes {shapes or 'none'}: give variables that are maps of one size"
        )
    return tuple(v.name for v in variables for _ in range(math.prod(v.shape[:-2])))


def read_images(store: SampleStore, block: int, image: str | Sequence[str]) -> Real:
    """A block's images, (n, n_x, n_y), or (n, channels, n_x, n_y) where there are several."""
    parts = []
    for name in variables_of(image):
        values = np.asarray(store.values(block, name), dtype=np.float64)
        parts.append(values.reshape(len(values), -1, *values.shape[-2:]))
    found = np.concatenate(parts, axis=1)
    return found[:, 0] if found.shape[1] == 1 else found


def read_targets(store: SampleStore, block: int, target: Target, pixel: int = 1) -> Real:
    """A block's targets: maps (n, n_x, n_y) in meV, or rows of numbers.

    Parameters
    ----------
    pixel : int
        Pixels of the store that are averaged into one.

    Raises
    ------
    ParameterError
        If the store does not hold them.
    """
    if target == "potential":
        found = np.asarray(store.values(block, "potential"), dtype=np.float64)
        return np.asarray(block_average(found, pixel))
    if target == "coefficients":
        found = np.asarray(store.values(block, "coefficients"), dtype=np.float64)
        return found.reshape(len(found), -1)
    names = ("dopant_spacing_nm", "density_per_cm2")
    return np.stack([np.asarray(store.values(block, n), np.float64) for n in names], axis=1)


@dataclass(eq=False)
class Stored:
    """Samples of some blocks of a store.

    Parameters
    ----------
    store : SampleStore
    blocks : sequence of int
        Of which all are done.
    image : str, or tuple of them
        The variables that the network sees.
    scaling : ImageScaling or ChannelScaling
    target : str
    target_scaling : TargetScaling
    pixel : int

    Raises
    ------
    DataFileError
        If a block is missing.
    """

    store: SampleStore
    blocks: tuple[int, ...]
    image: str | tuple[str, ...]
    scaling: Scaling
    target: Target
    target_scaling: TargetScaling
    pixel: int = 1
    _kept: OrderedDict[int, Batch] = field(default_factory=OrderedDict, repr=False)

    def __post_init__(self) -> None:
        missing = sorted(set(self.blocks) - set(self.store.done_blocks()))
        if missing:
            raise DataFileError(
                f"{self.store.path}: {len(missing)} blocks are not computed, the first is "
                f"{missing[0]}; generate them, or train on what is there"
            )
        if not self.blocks:
            raise ParameterError(f"{self.store.path}: no blocks to take samples from")
        self._ends = np.cumsum([len(self.store.layout.samples(b)) for b in self.blocks])

    def __len__(self) -> int:
        return int(self._ends[-1])

    @property
    def chunk(self) -> int:
        """Samples of a block."""
        return self.store.layout.block_size

    def read(self, numbers: NDArray[np.int64]) -> Batch:
        """Scaled images (n, 1, n_x, n_y) and targets of samples by their place in the blocks."""
        which = np.searchsorted(self._ends, numbers, side="right")
        starts = np.concatenate([[0], self._ends[:-1]])
        images: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(numbers)
        targets = list(images)
        for k in np.unique(which):
            batch = self._block(int(k))
            for place in np.flatnonzero(which == k):
                row = numbers[place] - starts[k]
                images[place], targets[place] = batch[0][row], batch[1][row]
        return np.stack(images), np.stack(targets)

    def _block(self, k: int) -> Batch:
        if k in self._kept:
            self._kept.move_to_end(k)
            return self._kept[k]
        scaled = self.scaling(read_images(self.store, self.blocks[k], self.image))
        images = for_network(scaled, n_channels(self.scaling))
        found = read_targets(self.store, self.blocks[k], self.target, self.pixel)
        targets = self.target_scaling(found)
        if self.target == "potential":
            targets = targets[:, None]
        self._kept[k] = images, targets
        while len(self._kept) > MOST_BLOCKS:
            self._kept.popitem(last=False)
        return images, targets


def over_blocks(blocks: tuple[int, ...], read: Callable[[int], Real], most: int) -> Real:
    """`read` of the first blocks, `most` samples or a little more, one after the other."""
    found: list[Real] = []
    for block in blocks:
        found.append(read(block))
        if sum(map(len, found)) >= most:
            break
    return np.concatenate(found)
