"""Every method on the same device, task, noise and budget: the engine of the scoreboard.

A run is one method on one task with one seed. All runs see the same bench: the
same device, chain and noise (of the run's seed), the same holds, the same budget
of device seconds and the same stop rule: a reading that passes the task with a
reserve, and passes again. What a method has to do before it can begin (sample
the device, calibrate the chain) comes out of the same budget. A run is a success
when its search met the stop rule and its controls were then verified.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

from inmateria.devices.device import Device
from inmateria.errors import ParameterError, TrainingError
from inmateria.tasks.task import Task, control_terminals, output_index
from inmateria.training.compare_records import RecordFile, RunRecord
from inmateria.training.compare_run import Bench, Job, Runner
from inmateria.training.compare_summary import Comparison
from inmateria.training.compare_workers import run_all
from inmateria.training.methods import METHODS

Progress: TypeAlias = Callable[[int, int, str], None]
"""Called as progress(runs done, runs in all, note)."""

DEFAULT_OPTIONS: dict[str, dict[str, Any]] = {"in-silico": {"rounds": 5}}
"""What methods need so that they use the budget: further winners of the surrogate
are tried while the budget lasts, where `train` tries one."""


def compare(
    tasks: Sequence[Task],
    device: Device,
    *,
    methods: Sequence[str] | None = None,
    budget_s: float = 120.0,
    seeds: int | Sequence[int] = 10,
    bench: Bench | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    output: str | int = 0,
    workers: int = 1,
    path: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Run every method on every task with every seed.

    Parameters
    ----------
    tasks : sequence of Task
        With different names.
    device : Device
        Simulated; each run has it behind a rig of its own.
    methods : sequence of str, optional
        Keys of `METHODS`; all of them by default.
    budget_s : float, s
        Device time of each search.
    seeds : int or sequence of int
        A number n stands for 0 to n - 1.
    bench : Bench, optional
    options : mapping of method to its options, optional
    output : str or int
    workers : int
        Processes that work side by side, each with one thread. The results do not
        depend on how many.
    path : path, optional
        File that keeps each run when it is finished. Called again, only what is
        missing is run; methods, tasks and seeds may be added.
    progress : callable, optional

    Returns
    -------
    Comparison
        Runs in order of seed, task, method.

    Raises
    ------
    ParameterError, TrainingError, TaskError
        Before anything is run.
    ConfigurationError, DataFileError, StorageError
        If `path` belongs to another comparison, is damaged, or cannot be written.
    StoppedError
        If asked to stop; finished runs are kept.
    """
    bench = bench or Bench()
    names = tuple(METHODS if methods is None else methods)
    given = options or {}
    check_comparison(tasks, device, methods=names, options=given, output=output)
    numbers = _seeds(seeds)
    chosen = {m: {**DEFAULT_OPTIONS.get(m, {}), **given.get(m, {})} for m in names}
    jobs = [Job(m, task, seed, chosen[m]) for seed in numbers for task in tasks for m in names]
    if not 0 < budget_s < math.inf:
        raise ParameterError(f"budget_s = {budget_s} s; give more than 0 s")
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise ParameterError(f"workers is {workers!r}; give a whole number of 1 or more")
    setup = {
        "device": device.describe(),
        "bench": asdict(bench),
        "budget_s": float(budget_s),
        "output": output,
    }
    runner = Runner(device, bench, float(budget_s), output)
    with TemporaryDirectory(prefix="inmateria-") as folder:
        file = RecordFile(Path(folder) / "results.jsonl" if path is None else Path(path), setup)
        found = {job.key: file.get(job.key) for job in jobs}
        left = [job for job in jobs if found[job.key] is None]

        def keep(job: Job, record: RunRecord) -> None:
            file.append(job.key, record)
            found[job.key] = record
            if progress is not None:
                done = sum(r is not None for r in found.values())
                progress(done, len(jobs), f"{job.method}, {job.task.name}, seed {job.seed}")

        if progress is not None:
            progress(len(jobs) - len(left), len(jobs), "")
        run_all(runner, left, workers=workers, keep=keep)
    records = tuple(r for r in (found[job.key] for job in jobs) if r is not None)
    return Comparison(records, names, tuple(t.name for t in tasks), numbers, float(budget_s), setup)


def _seeds(seeds: int | Sequence[int]) -> tuple[int, ...]:
    numbers = tuple(range(seeds)) if isinstance(seeds, int) else tuple(int(s) for s in seeds)
    if not numbers or min(numbers) < 0:
        raise ParameterError(f"seeds is {seeds!r}; give one or more numbers of 0 or more")
    if len(set(numbers)) < len(numbers):
        raise ParameterError(f"seeds {', '.join(map(str, numbers))} name one twice; name each once")
    return numbers


def check_comparison(
    tasks: Sequence[Task],
    device: Device,
    *,
    methods: Sequence[str],
    options: Mapping[str, Mapping[str, Any]],
    output: str | int = 0,
) -> None:
    """Refuse what could never be run, before anything is.

    Raises
    ------
    ParameterError, TrainingError, TaskError
    """
    if not isinstance(device, Device):
        raise TrainingError(
            f"{type(device).__name__} is no device; a comparison sets up a rig of its own for "
            "each run and takes a simulated device or a surrogate"
        )
    if not tasks or not methods:
        raise ParameterError("nothing to compare; give a task and a method at least")
    unknown = [m for m in (*methods, *options) if m not in METHODS]
    if unknown:
        raise TrainingError(f"no training method {unknown[0]!r}; there are {', '.join(METHODS)}")
    for what, given in (("method", list(methods)), ("task", [t.name for t in tasks])):
        twice = [name for name in given if given.count(name) > 1]
        if twice:
            raise ParameterError(f"{what} {twice[0]} is named twice; name each once")
    for task in tasks:
        control_terminals(task, device)
    output_index(device, output)
    for method, wanted in options.items():
        known = METHODS[method].options(rig=True)
        for name in wanted:
            if name not in known:
                raise TrainingError(
                    f"method {method!r} has no option {name!r}; there are {', '.join(known)}"
                )
