"""Check a store of samples: every chunk is read and held against its digest."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from inmateria.data.sample_files import read_coordinate
from inmateria.data.sample_store import SampleStore, open_store
from inmateria.data.store_lock import writing
from inmateria.errors import DataFileError, DataIntegrityError


@dataclass(frozen=True)
class StoreCheck:
    """What a check of a store found.

    Attributes
    ----------
    path : Path
    n_blocks : int
        That the set should have.
    missing : tuple of int
        Blocks that are not computed yet.
    damaged : tuple of (int, str)
        Blocks that fail their digests, and the message for each variable that does.
    """

    path: Path
    n_blocks: int
    missing: tuple[int, ...]
    damaged: tuple[tuple[int, str], ...]

    @property
    def is_whole(self) -> bool:
        """Whether all blocks are there and right."""
        return not self.missing and not self.damaged


def verify_store(
    path: str | os.PathLike[str],
    *,
    repair: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> StoreCheck:
    """Read all that is recorded in a store.

    Parameters
    ----------
    path : path
    repair : bool
        Remove damaged blocks, so that `generate` computes them again.
    progress : callable, optional
        Told blocks read, and how many there are.

    Raises
    ------
    DataFileError, DataIntegrityError
        If the store's own description, or a coordinate, is damaged.
    StorageError
        On a repair, if a generator is writing the store.
    """
    store = open_store(path)
    for coordinate in store.layout.coordinates:
        read_coordinate(store.path, store.attributes, coordinate.name)
    done, damaged = store.done_blocks(), []
    for count, block in enumerate(done):
        damaged += [(block, message) for message in _faults(store, block)]
        if progress is not None:
            progress(count + 1, len(done))
    found = StoreCheck(
        store.path, store.layout.n_blocks, tuple(store.missing_blocks()), tuple(damaged)
    )
    if repair and damaged:
        with writing(store.path):
            for block in sorted({block for block, _ in damaged}):
                store.forget_block(block)
    return found


def _faults(store: SampleStore, block: int) -> list[str]:
    try:
        store.block_digests(block)
    except DataIntegrityError as error:
        return [str(error)]
    found = []
    for variable in store.layout.variables:
        try:
            store.read_block(block, [variable.name])
        except DataFileError as error:
            found.append(str(error))
    return found
