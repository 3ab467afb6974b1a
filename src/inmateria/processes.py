"""Independent jobs in several processes of one thread each, and a clean end whatever happens.

Processes are spawned: a forked child of a process with threads may hang. Each gets one job
at a time over a pipe of its own, so it is known which job a process that dies had. It ends
with its parent, even when that one is killed.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, TypeVar

from inmateria.errors import WorkerError

Job = TypeVar("Job")
Result = TypeVar("Result")

# Read by BLAS libraries, PyTorch and Numba when a process loads them.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def run_in_processes(
    run: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    workers: int,
    keep: Callable[[Job, Result], None],
) -> None:
    """Run jobs in several processes.

    Parameters
    ----------
    run : callable
        Sent to each process once.
    jobs : sequence
        In this order, each to the next process that is free.
    workers : int
    keep : callable
        Told (job, result) in this process as soon as a job is done.

    Raises
    ------
    WorkerError
        After all other jobs are done, if a process died; at once, if none is left.
    Exception
        What `run` raises; it ends all processes at once, as Ctrl-C does.
    """
    context = multiprocessing.get_context("spawn")
    waiting = list(reversed(jobs))
    running: dict[Connection, tuple[SpawnProcess, Job]] = {}
    lost: list[str] = []
    try:
        with _one_thread_for_children():
            for _ in range(min(workers, len(jobs))):
                ours, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(theirs, run), daemon=True)
                process.start()
                theirs.close()
                job = waiting.pop()
                running[ours] = process, job
                _send(ours, job)
        while running:
            # The pipe of a process that died is ready too, at its end.
            for pipe in wait(list(running)):
                assert isinstance(pipe, Connection)
                process, job = running[pipe]
                try:
                    failed, result = pipe.recv()
                except (EOFError, OSError):
                    process.join()
                    lost.append(f"{job} ({_ending(process.exitcode)})")
                    del running[pipe]
                    pipe.close()
                    continue
                if failed:
                    raise result
                keep(job, result)
                if waiting:
                    running[pipe] = process, waiting.pop()
                    _send(pipe, running[pipe][1])
                else:
                    del running[pipe]
                    pipe.close()
                    process.join()
    finally:
        for pipe, (process, _) in running.items():
            process.kill()
            process.join()
            pipe.close()
    if lost:
        left = f"; {len(waiting)} others were not begun" if waiting else ""
        raise WorkerError(
            f"a process died in each of {len(lost)}: {', '.join(lost)}{left}; what is finished is "
            "kept: go on, with fewer workers if memory was short"
        )


@contextmanager
def one_thread() -> Iterator[None]:
    """Numba of this process on one thread, as it is in the others."""
    import numba

    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        yield
    finally:
        numba.set_num_threads(threads)


def _serve(pipe: Connection, run: Callable[[Any], Any]) -> None:
    """In a new process: job after job, until the pipe is closed."""
    # Ctrl-C reaches all processes of a terminal; the parent ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        try:
            answer: tuple[bool, Any] = (False, run(job))
        except Exception as error:  # noqa: BLE001 - it is raised in the parent
            answer = (True, error)
        try:
            pipe.send(answer)
        except (pickle.PicklingError, TypeError, AttributeError):
            pipe.send((True, WorkerError(f"job {job}: {answer[1]!r}")))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _send(pipe: Connection, job: object) -> None:
    try:
        pipe.send(job)
    except BrokenPipeError:
        # The process is dead, which its pipe tells when it is read.
        return


def _ending(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        return f"killed by {signal.Signals(-exitcode).name}"
    return f"exit status {exitcode}"


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
