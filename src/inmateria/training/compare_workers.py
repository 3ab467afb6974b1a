"""Runs side by side: processes with one thread each, and a clean end whatever happens."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import TypeVar

from inmateria.errors import TrainingError, WorkerError
from inmateria.processes import one_thread, run_in_processes

Job = TypeVar("Job")
Result = TypeVar("Result")


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
    Ctrl-C or an error ends the processes at once: they only simulate, and their unfinished
    jobs are lost.
    """
    if workers == 1 or len(jobs) <= 1:
        from inmateria.surrogates.loop import cpu_threads

        with one_thread(), cpu_threads(1):
            for job in jobs:
                keep(job, run(job))
        return
    try:
        pickle.dumps(run)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise TrainingError(
            f"the device cannot be sent to other processes ({error}); use workers=1"
        ) from error
    try:
        run_in_processes(run, jobs, workers=workers, keep=keep)
    except WorkerError as error:
        raise TrainingError(
            "a process died, perhaps for want of memory; finished runs are kept: go on with "
            "fewer workers"
        ) from error
