"""Runs side by side: processes with one thread each, and a clean end whatever happens."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from inmateria.errors import TrainingError

Job = TypeVar("Job")
Result = TypeVar("Result")

# Read by BLAS libraries, PyTorch and Numba when a process loads them.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def run_all(
    run: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    workers: int,
    keep: Callable[[Job, Result], None],
) -> None:
    """Run jobs, in this process or in several.

    Parameters
    ----------
    run : callable
        Goes to the processes once each, so it may hold a device.
    jobs : sequence
    workers : int
        With one, all is done in this process, on one thread as well.
    keep : callable
        Told (job, result) in this process as soon as a job is done.

    Raises
    ------
    TrainingError
        If a process dies, or `run` cannot be sent to one.

    Notes
    -----
    Whatever ends this call early (Ctrl-C, an error) ends the processes at once:
    they only simulate, and their unfinished jobs are lost.
    """
    if workers == 1 or len(jobs) <= 1:
        with _one_thread():
            for job in jobs:
                keep(job, run(job))
        return
    try:
        pickle.dumps(run)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise TrainingError(
            f"the device cannot be sent to other processes ({error}); use workers=1"
        ) from error
    before = set(multiprocessing.active_children())
    # Spawned, not forked: a forked child of a process with threads may hang.
    pool = ProcessPoolExecutor(
        min(workers, len(jobs)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(run,),
    )
    try:
        with _one_thread_for_children():
            waiting: dict[Future[Any], Job] = {pool.submit(_do, job): job for job in jobs}
        while waiting:
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                keep(waiting.pop(future), future.result())
    except BaseException as error:
        for child in set(multiprocessing.active_children()) - before:
            child.kill()
        pool.shutdown(wait=True, cancel_futures=True)
        if isinstance(error, BrokenProcessPool):
            raise TrainingError(
                "a process died, perhaps for want of memory; finished runs are kept: go on with "
                "fewer workers"
            ) from error
        raise
    pool.shutdown()


_RUN: Callable[[Any], Any] | None = None


def _begin(run: Callable[[Any], Any]) -> None:
    """In a new process: one thread, the runner, and no life after the parent's."""
    global _RUN
    # Ctrl-C reaches all processes of a terminal; the parent ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import torch

    torch.set_num_threads(1)
    _RUN = run


def _do(job: Any) -> Any:
    assert _RUN is not None
    return _RUN(job)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _one_thread() -> Iterator[None]:
    """PyTorch and Numba of this process on one thread, as in the others."""
    import numba

    from inmateria.surrogates.loop import cpu_threads

    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        with cpu_threads(1):
            yield
    finally:
        numba.set_num_threads(threads)


@contextmanager
def _one_thread_for_children() -> Iterator[None]:
    """The environment that processes begun inside this block inherit."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
