"""Which input terminals suit a set of tasks?

Where the choice is free it decides more than the optimiser does. Every choice
of inputs is screened with random control settings; choices are ranked by the
best margin of their worst task, and descended in that order until all tasks of
one choice pass.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch

from inmateria.devices.device import Device
from inmateria.errors import ParameterError
from inmateria.tasks.task import Task
from inmateria.training.bounds import Bounds
from inmateria.training.in_silico import Progress
from inmateria.training.losses import margin_of
from inmateria.training.placement import Placement
from inmateria.training.solution import Solution
from inmateria.training.train import train_all


@dataclass(frozen=True)
class InputSearch:
    """What a search for inputs found.

    Parameters
    ----------
    inputs : terminal names
        The choice whose tasks did best.
    solutions : sequence of Solution
        For that choice, in the order of its tasks.
    ranking : sequence of (inputs, margin_na)
        All choices, best first: the screened margin of their worst task, nA.
    tried : sequence of inputs
        Those that were descended.
    wall_s : float, s
    """

    inputs: tuple[str, ...]
    solutions: tuple[Solution, ...]
    ranking: tuple[tuple[tuple[str, ...], float], ...]
    tried: tuple[tuple[str, ...], ...]
    wall_s: float

    @property
    def n_passed(self) -> int:
        """Number of tasks that pass."""
        return sum(bool(s.score.passed) for s in self.solutions)


def find_inputs(
    device: Device,
    make_tasks: Callable[[tuple[str, ...]], Sequence[Task]],
    *,
    n_inputs: int = 2,
    screening: int = 4000,
    try_at_most: int = 4,
    seed: int = 0,
    output: str | int = 0,
    progress: Progress | None = None,
    **options: Any,
) -> InputSearch:
    """Choose the inputs for which all tasks are found.

    Parameters
    ----------
    device : Device
        With `torch_current` or `gradient`.
    make_tasks : callable
        Gives the tasks for a choice of inputs, all with the same points; for
        example ``lambda pair: gates(pair, device=device)``.
    n_inputs : int
        Every choice of this many terminals is looked at.
    screening : int
        Random settings per choice.
    try_at_most : int
        Choices that are descended before the best of them is returned.
    seed : int
    output : str or int
    progress : callable, optional
        Called as progress(done, total, note) for every choice.
    **options
        Passed on to `train_all`.

    Returns
    -------
    InputSearch

    Raises
    ------
    ParameterError, TaskError, TrainingError
    """
    began = time.perf_counter()
    if screening < 1 or try_at_most < 1 or n_inputs < 1:
        raise ParameterError(
            f"screening {screening}, try_at_most {try_at_most} and n_inputs {n_inputs} "
            "must be 1 or more"
        )
    choices = list(combinations([t.name for t in device.terminals], n_inputs))
    total = len(choices) + try_at_most
    ranking = []
    for done, choice in enumerate(choices):
        margin = screened_margin(
            make_tasks(choice), device, screening=screening, seed=seed, output=output
        )
        ranking.append((choice, margin))
        if progress is not None:
            progress(done, total, f"inputs {', '.join(choice)}: worst task {margin:.3g} nA")
    ranking.sort(key=lambda entry: -entry[1])
    tried: list[tuple[str, ...]] = []
    best: list[Solution] = []
    for choice, _ in ranking[:try_at_most]:
        solutions = train_all(make_tasks(choice), device, seed=seed, output=output, **options)
        tried.append(choice)
        if not best or _quality(solutions) > _quality(best):
            best = solutions
        passed = sum(bool(s.score.passed) for s in solutions)
        if progress is not None:
            note = f"inputs {', '.join(choice)}: {passed} of {len(solutions)} tasks"
            progress(len(choices) + len(tried), total, note)
        if passed == len(solutions):
            break
    return InputSearch(
        best[0].inputs, tuple(best), tuple(ranking), tuple(tried), time.perf_counter() - began
    )


def screened_margin(
    tasks: Sequence[Task],
    device: Device,
    *,
    screening: int = 4000,
    seed: int = 0,
    output: str | int = 0,
) -> float:
    """Best margin (nA) of the worst task among random control settings.

    Tasks whose criterion is flatness are left out: a device at rest is flat.
    Settings are judged at the training points only.
    """
    judged = [t for t in tasks if t.criterion != "flatness"]
    if not judged:
        return 0.0
    placement = Placement.of(judged[0], device, output=output)
    bounds = Bounds.of(placement.terminals)
    generator = torch.Generator().manual_seed(seed)
    share = torch.rand(screening, len(placement.terminals), generator=generator)
    current = placement.screen(bounds.low + (bounds.high - bounds.low) * share)
    return min(_best_margin(task, current) for task in judged)


def _best_margin(task: Task, current: torch.Tensor) -> float:
    target = torch.tensor(task.target[task.train], dtype=torch.float32)
    return float(margin_of(task.criterion)(current, target).max())


def _quality(solutions: Sequence[Solution]) -> tuple[int, float]:
    passed = [bool(s.score.passed) for s in solutions]
    return sum(passed), float(np.min([s.score.margin_na for s in solutions]))
