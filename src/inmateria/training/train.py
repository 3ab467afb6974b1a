"""`train`: one call for every method."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from inmateria.devices.device import Device
from inmateria.errors import TrainingError
from inmateria.rigs.rig import Rig
from inmateria.tasks.task import Task
from inmateria.training.methods import METHODS, Method
from inmateria.training.solution import Solution
from inmateria.training.train_on_rig import RIG_OPTIONS, train_on_rig


def train(
    task: Task,
    device: Device | Rig,
    *,
    method: str = "in-silico",
    seed: int = 0,
    log: str | os.PathLike[str] | None = None,
    resume: bool = False,
    budget_s: float | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    **options: Any,
) -> Solution:
    """Find control voltages for a task.

    Parameters
    ----------
    task : Task
    device : Device or Rig
        What the method trains on. ``"in-silico"`` takes a device that knows its
        gradient (a surrogate); every method takes a rig, which ends at 0 V. A
        device that is given to a method for rigs is put behind a `SimulatedRig`
        of this seed and a `Guard`.
    method : str
        A key of `METHODS`.
    seed : int
    log : path, optional
        File that keeps every iteration on a rig; without it nothing is kept.
    resume : bool
        Go on with the search in `log` if there is one.
    budget_s : float, optional, s
        Device time of the search on a rig. The last measurement, of the winner
        at all points, comes on top.
    progress : callable, optional
        Called as progress(done, total, note); total is 0 where it is not known.
    **options
        The method's own, and those of `TaskOnRig` on a rig.

    Returns
    -------
    Solution
        Trained on a rig, its score is that of a fresh measurement of the winner
        at all points of the task.

    Raises
    ------
    TrainingError
        If there is no such method, it does not know an option, or the budget is
        too small for one iteration.
    TaskError
        If the task cannot be set on this device.
    StorageError, ConfigurationError, DataIntegrityError
        If the log exists and is not to be resumed, is that of another search, or
        is damaged.
    StoppedError
        If asked to stop; what was measured is in the log.
    """
    return train_all(
        [task], device, method=method, seed=seed, log=log, resume=resume, budget_s=budget_s,
        progress=progress, **options,
    )[0]  # fmt: skip


def train_all(
    tasks: Sequence[Task],
    device: Device | Rig,
    *,
    method: str = "in-silico",
    seed: int = 0,
    log: str | os.PathLike[str] | None = None,
    resume: bool = False,
    budget_s: float | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    **options: Any,
) -> list[Solution]:
    """Find control voltages for several tasks.

    On a device that knows its gradient, tasks with equal points share a batch.
    On a rig one task is searched after the other, each with its own budget.

    Parameters
    ----------
    log : path, optional
        As in `train` for one task; for several, a folder with a file for each.

    Returns
    -------
    list of Solution
        In the order of `tasks`.

    Raises
    ------
    TrainingError, TaskError
        And what `train` raises.
    """
    if method not in METHODS:
        raise TrainingError(f"no training method {method!r}; there are {', '.join(METHODS)}")
    chosen = METHODS[method]
    is_rig = hasattr(device, "play")
    if not is_rig and chosen.batch:
        if log is not None or resume or budget_s is not None:
            raise TrainingError(
                f"method {method!r} on a device that is no rig plays nothing: leave out log, "
                "resume and budget_s, or give a rig"
            )
        _check_options(chosen, options, rig=False)
        batch = dict(options) if progress is None else {**options, "progress": progress}
        assert not isinstance(device, Rig)
        return _in_batches(chosen, tasks, device, seed, batch)
    _check_options(chosen, options, rig=True, also=RIG_OPTIONS)
    return [
        train_on_rig(
            task, device, chosen, seed=seed, log=path, resume=resume, budget_s=budget_s,
            progress=progress, **options,
        )
        for task, path in zip(tasks, _logs(tasks, log), strict=True)
    ]  # fmt: skip


def _in_batches(
    method: Method, tasks: Sequence[Task], device: Device, seed: int, options: Mapping[str, Any]
) -> list[Solution]:
    search = method.on_device()
    assert search is not None
    groups: dict[Any, list[int]] = {}
    for i, task in enumerate(tasks):
        key = (task.inputs, task.points[task.train].tobytes())
        groups.setdefault(key, []).append(i)
    found: dict[int, Solution] = {}
    for members in groups.values():
        solutions = search([tasks[i] for i in members], device, seed=seed, **options)
        found.update(zip(members, solutions, strict=True))
    return [found[i] for i in range(len(tasks))]


def _check_options(
    method: Method, options: Mapping[str, Any], *, rig: bool, also: tuple[str, ...] = ()
) -> None:
    known = (*method.options(rig=rig), *also)
    for name in options:
        if name not in known:
            where = "a rig" if rig else "a device"
            raise TrainingError(
                f"method {method.name!r} has no option {name!r} on {where}; there are "
                f"{', '.join(known)}"
            )


def _logs(tasks: Sequence[Task], log: str | os.PathLike[str] | None) -> list[Path | None]:
    if log is None:
        return [None] * len(tasks)
    if len(tasks) == 1:
        return [Path(log)]
    names: list[str] = []
    for task in tasks:
        same = sum(name == task.name or name.startswith(f"{task.name}-#") for name in names)
        names.append(f"{task.name}-#{same + 1}" if same else task.name)
    return [Path(log) / f"{name}.jsonl".replace("-#", "-") for name in names]
