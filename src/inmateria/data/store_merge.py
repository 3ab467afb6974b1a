"""Join stores of one set that were made in parts."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from inmateria.data.sample_store import create_or_open_store, first_difference, open_store
from inmateria.data.store_lock import writing
from inmateria.errors import ConfigurationError, DataIntegrityError, ParameterError


def merge_stores(
    paths: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Copy the blocks of several stores of the same configuration into one.

    Every block is checked on the way. A merge that was interrupted goes on when it is called
    again; `out` may also be a store that lacks blocks.

    Parameters
    ----------
    paths : sequence of paths
    out : path
        Made where there is none.
    progress : callable, optional
        Told blocks copied, and how many there are.

    Raises
    ------
    ConfigurationError
        If the stores are of different sets.
    DataIntegrityError
        If a block is damaged, or differs between two stores.
    ParameterError, DataFileError, StorageError
    """
    if not paths:
        raise ParameterError("no stores to merge; give at least one")
    stores = [open_store(path) for path in paths]
    first = stores[0]
    for store in stores[1:]:
        if store.identity != first.identity:
            what = first_difference(first.layout.configuration, store.layout.configuration)
            raise ConfigurationError(
                f"{store.path} is of another set than {first.path} ({what}); merge parts of one set"
            )
    with writing(Path(out)):
        target = create_or_open_store(out, first.layout)
        target.remove_torn_files()
        digests = {block: target.block_digests(block) for block in target.done_blocks()}
        work = [(store, block) for store in stores for block in store.done_blocks()]
        for count, (store, block) in enumerate(work):
            own = store.block_digests(block)
            if block not in digests:
                target.write_block(block, store.read_block(block))
                digests[block] = own
            elif digests[block] != own:
                raise DataIntegrityError(
                    f"block {block} of {store.path} is not what {target.path} has; they come from "
                    "different machines or versions: leave one of them out"
                )
            if progress is not None:
                progress(count + 1, len(work))
    return target.path
