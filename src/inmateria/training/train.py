"""`train`: one call for every method, and the methods by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from inmateria.devices.device import Device
from inmateria.errors import TrainingError
from inmateria.tasks.task import Task
from inmateria.training.in_silico import in_silico
from inmateria.training.solution import Solution

Method: TypeAlias = Callable[..., list[Solution]]

METHODS: dict[str, Method] = {"in-silico": in_silico}
"""Training methods by name. A method takes tasks that share inputs and points,
a device or rig, `seed` and its own options, and gives one Solution per task."""


def train(
    task: Task, device: Device, *, method: str = "in-silico", seed: int = 0, **options: Any
) -> Solution:
    """Find control voltages for a task.

    Parameters
    ----------
    task : Task
    device : Device
        What the method trains on; a surrogate for ``"in-silico"``.
    method : str
        A key of `METHODS`.
    seed : int
    **options
        The method's own, see `in_silico`.

    Raises
    ------
    TrainingError
        If there is no such method or it does not know an option.
    TaskError
        If the task cannot be set on this device.
    """
    return train_all([task], device, method=method, seed=seed, **options)[0]


def train_all(
    tasks: Sequence[Task],
    device: Device,
    *,
    method: str = "in-silico",
    seed: int = 0,
    **options: Any,
) -> list[Solution]:
    """Find control voltages for several tasks; those with equal points share a batch.

    Returns
    -------
    list of Solution
        In the order of `tasks`.

    Raises
    ------
    TrainingError, TaskError
    """
    if method not in METHODS:
        raise TrainingError(f"no training method {method!r}; there are {', '.join(METHODS)}")
    groups: dict[Any, list[int]] = {}
    for i, task in enumerate(tasks):
        key = (task.inputs, task.points[task.train].tobytes())
        groups.setdefault(key, []).append(i)
    found: dict[int, Solution] = {}
    for members in groups.values():
        try:
            solutions = METHODS[method]([tasks[i] for i in members], device, seed=seed, **options)
        except TypeError as error:
            if "unexpected keyword argument" in str(error):
                raise TrainingError(f"method {method!r}: {error}") from error
            raise
        found.update(zip(members, solutions, strict=True))
    return [found[i] for i in range(len(tasks))]
