"""Generate a set of transport samples into a store, block by block, on any number of cores.

The blocks that are not done are the work that is left, so going on after an interruption is
the same call again. A block is computed and written by one process, and what it holds
depends on the settings and its number alone: not on how many processes there were, nor on
where they were interrupted.
"""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from inmateria.data.sample_store import SampleStore, create_or_open_store, open_store
from inmateria.data.store_lock import writing
from inmateria.datasets.disorder import check_series
from inmateria.datasets.samples import compute, layout
from inmateria.datasets.settings import GenerationSettings
from inmateria.errors import ParameterError
from inmateria.processes import one_thread, run_in_processes


class Progress(Protocol):
    """Told samples done, samples wanted, and how fast it goes."""

    def __call__(self, done: int, total: int, note: str = "", /) -> None: ...


@dataclass(frozen=True)
class Generated:
    """What a call of `generate` did.

    Attributes
    ----------
    path : Path
    n_samples : int
        Computed by this call.
    n_missing : int
        Blocks of the set that are still missing.
    seconds : mapping of str to float
        Of all processes together, by ``"draw"``, ``"solve"``, ``"encode"`` and ``"write"``.
    wall_s : float
    """

    path: Path
    n_samples: int
    n_missing: int
    seconds: dict[str, float]
    wall_s: float


@dataclass(frozen=True)
class BlockJob:
    """Computes a block and writes it; goes to other processes and machines."""

    settings: GenerationSettings
    path: Path

    def __call__(self, block: int) -> dict[str, float]:
        """Compute and write one block.

        Returns
        -------
        dict
            Seconds by ``"draw"``, ``"solve"``, ``"encode"`` and ``"write"``.

        Raises
        ------
        ParameterError, ConvergenceError, StorageError
        """
        spent: dict[str, float] = {}
        last = time.perf_counter()

        def clock(what: str) -> None:
            nonlocal last
            now = time.perf_counter()
            spent[what], last = now - last, now

        # BLAS and Numba may have been given more: processes are the way to use more cores.
        with one_thread():
            arrays = compute(self.settings, self.store.layout.samples(block), clock=clock)
            self.store.write_block(block, arrays)
            clock("write")
        return spent

    @cached_property
    def store(self) -> SampleStore:
        """The store, opened in each process when it is first needed."""
        return open_store(self.path)

    def __getstate__(self) -> dict[str, object]:
        return {"settings": self.settings, "path": self.path}


class Pace:
    """How fast samples come, and how long the rest will take.

    Parameters
    ----------
    total : int
        Samples to compute.
    """

    # Blocks that the pace is averaged over: the first ones wait for programs to load.
    RECENT = 32

    def __init__(self, total: int) -> None:
        self.total = total
        self._history = deque([(time.monotonic(), 0)], maxlen=self.RECENT)

    def note(self, done: int) -> str:
        """The pace in words: ``"31.2 samples/s, 12 min left"``."""
        now = time.monotonic()
        began, before = self._history[0]
        self._history.append((now, done))
        rate = (done - before) / max(now - began, 1e-9)
        return f"{rate:.3g} samples/s, {duration((self.total - done) / max(rate, 1e-9))} left"


def generate(
    settings: GenerationSettings,
    path: str | os.PathLike[str],
    *,
    workers: int = 1,
    progress: Progress | None = None,
    blocks: Iterable[int] | None = None,
    scheduler: str | None = None,
) -> Generated:
    """Compute what is missing of a set.

    Parameters
    ----------
    settings : GenerationSettings
    path : path
        Of the store, made where there is none.
    workers : int
        Processes on this machine, of one thread each; with one, no other process is begun.
    progress : callable, optional
        Told samples done, samples wanted, and how fast it goes, after each block.
    blocks : iterable of int, optional
        Blocks to compute, for sets that are made in parts (see `merge`). By default all.
    scheduler : str, optional
        Address of a Dask scheduler, whose workers are used in place of processes here; they
        must see `path` under the same name.

    Raises
    ------
    ConfigurationError
        If another set is at `path`.
    ParameterError
        If settings or blocks have no meaning.
    StorageError
        If another process writes this store, or writing fails; all blocks so far are kept.
    WorkerError
        If a process died; all blocks but its own are kept.
    ConvergenceError, MissingExtraError
    """
    if workers < 1:
        raise ParameterError(f"workers = {workers}: give at least 1")
    target, whole = Path(path), settings.complete()
    check_series(whole)
    described = layout(whole)
    began = time.perf_counter()
    with writing(target):
        store = create_or_open_store(target, described)
        store.remove_torn_files()
        left = _wanted(store.missing_blocks(), blocks, described.n_blocks)
        sizes = {block: len(described.samples(block)) for block in left}
        pace, spent, done = Pace(sum(sizes.values())), Counter[str](), 0
        # What was there before counts as done, unless only some blocks are asked for.
        before = described.n_samples - pace.total if blocks is None else 0

        def keep(block: int, seconds: dict[str, float]) -> None:
            nonlocal done
            done += sizes[block]
            spent.update(seconds)
            if progress is not None:
                progress(before + done, before + pace.total, pace.note(done))

        if progress is not None and left:
            progress(before, before + pace.total)
        job = BlockJob(whole, target.absolute())
        if scheduler is not None:
            from inmateria.datasets.cluster import run_on_cluster

            run_on_cluster(job, left, scheduler=scheduler, keep=keep)
        elif workers == 1 or len(left) <= 1:
            for block in left:
                keep(block, job(block))
        else:
            run_in_processes(job, left, workers=workers, keep=keep)
        missing = len(store.missing_blocks())
    return Generated(target, done, missing, dict(spent), time.perf_counter() - began)


def duration(seconds: float) -> str:
    """A time in words: ``"40 s"``, ``"12 min"``, ``"3.4 h"``, ``"2.1 d"``."""
    for size, unit in ((86400.0, "d"), (3600.0, "h")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"


def _wanted(missing: list[int], blocks: Iterable[int] | None, n_blocks: int) -> list[int]:
    if blocks is None:
        return missing
    asked = set(blocks)
    outside = sorted(block for block in asked if not 0 <= block < n_blocks)
    if outside:
        raise ParameterError(
            f"block {outside[0]} of a set of {n_blocks} blocks: give blocks from 0 to "
            f"{n_blocks - 1}"
        )
    return [block for block in missing if block in asked]
