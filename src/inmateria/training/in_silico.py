"""Gradient descent through a differentiable device, many restarts at once.

Ruiz Euler et al. 2020: freeze a network that stands in for the device and
descend the loss with respect to its inputs, the control voltages. Here all
restarts of all tasks that share their points go through the device as one
batch; they do not see each other, so the sum of their losses has each one's
own gradient. Random settings are screened first and the best become starts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from inmateria.devices.device import Device
from inmateria.errors import ParameterError, TrainingError
from inmateria.tasks.task import Task, task_current
from inmateria.training.bounds import Bounds
from inmateria.training.losses import DEFAULT_LOSS, LOSSES, margin_of
from inmateria.training.placement import Placement
from inmateria.training.rig_loss import training_score
from inmateria.training.solution import Cost, Solution

METHOD = "in-silico"

Progress: TypeAlias = Callable[[int, int, str], None]
"""Called as progress(done, total, note)."""

_SCALE_SHARE = 0.05
"""Scale of the default losses as a share of the screened currents' deviation."""


@dataclass(frozen=True)
class Descent:
    """How long and how wide to search.

    Parameters
    ----------
    restarts : int
        Settings descended at once, per task.
    steps : int
    screening : int
        Random settings looked at first.
    screened_share : float
        Share of the restarts that start from the best of them; the rest start
        anywhere.
    learning_rate : float
        Adam's, in free numbers (see `bounds`); falls to zero as a half cosine.
    """

    restarts: int = 64
    steps: int = 300
    screening: int = 4096
    screened_share: float = 0.75
    learning_rate: float = 0.2

    def __post_init__(self) -> None:
        for name in ("restarts", "steps", "screening"):
            value = getattr(self, name)
            if not (isinstance(value, int) and value >= 1):
                raise ParameterError(f"{name} is {value!r}; give a whole number of 1 or more")
        if not 0 <= self.screened_share <= 1:
            raise ParameterError(f"screened_share is {self.screened_share}; give 0 to 1")
        if not 0 < self.learning_rate < math.inf:
            raise ParameterError(f"learning_rate is {self.learning_rate}; give more than 0")
        if self.screening < self.restarts:
            raise ParameterError(
                f"screening {self.screening} settings gives too few starts for "
                f"{self.restarts} restarts; screen as many or more"
            )


def in_silico(
    tasks: Sequence[Task],
    device: Device,
    *,
    descent: Descent | None = None,
    loss: str | None = None,
    scale_na: float | None = None,
    seed: int = 0,
    output: str | int = 0,
    progress: Progress | None = None,
) -> list[Solution]:
    """Control voltages for tasks that share inputs and training points.

    Parameters
    ----------
    tasks : sequence of Task
    device : Device
        With `torch_current` (a surrogate) or `gradient`.
    descent : Descent, optional
    loss : str, optional
        A key of `LOSSES`; by default each task's criterion chooses.
    scale_na : float, optional, nA
        Scale of the loss. By default 5 % of the screened currents' standard
        deviation, or the loss's own default where `loss` names one.
    seed : int
    output : str or int
        Which output to read.
    progress : callable, optional

    Returns
    -------
    list of Solution
        One per task, in order: its best restart by the task's own measure at
        the training points.

    Raises
    ------
    TaskError, TrainingError, ParameterError
    """
    began = time.perf_counter()
    how = descent or Descent()
    _check_shared(tasks)
    placement = Placement.of(tasks[0], device, output=output)
    bounds = Bounds.of(placement.terminals)
    generator = torch.Generator().manual_seed(seed)
    low, high = bounds.low, bounds.high
    settings = low + (high - low) * torch.rand(
        how.screening, len(placement.terminals), generator=generator
    )
    screened = placement.screen(settings)
    if not torch.isfinite(screened).all():
        raise TrainingError("the device gives NaN or infinity inside its ranges; check the model")
    if scale_na is None and loss is None:
        scale_na = max(1e-3, _SCALE_SHARE * float(screened.std()))
    losses = [_loss_of(task, loss, scale_na) for task in tasks]

    with torch.no_grad():
        starts = torch.stack([_starts(of(screened), settings, how) for of in losses])
    free = bounds.free(starts).requires_grad_()
    optimiser = torch.optim.Adam([free], lr=how.learning_rate)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, how.steps)
    margins = [(margin_of(t.criterion), _target(t)) for t in tasks]
    best_loss = torch.full(free.shape[:2], math.inf)
    best_free = free.detach().clone()
    history: list[list[dict[str, float]]] = [[] for _ in tasks]
    for step in range(how.steps + 1):
        current = placement.current(bounds.voltage(free))
        value = torch.stack([of(part) for of, part in zip(losses, current, strict=True)])
        with torch.no_grad():
            better = value < best_loss
            best_loss = torch.where(better, value, best_loss)
            best_free = torch.where(better[..., None], free, best_free)
            lowest, mean = value.amin(1).tolist(), value.mean(1).tolist()
            for i, (margin, target) in enumerate(margins):
                history[i].append(
                    {
                        "step": step,
                        "loss_best": lowest[i],
                        "loss_mean": mean[i],
                        "margin_na": float(margin(current[i], target).max()),
                    }
                )
        if progress is not None:
            progress(step, how.steps, f"mean loss {sum(mean) / len(mean):.3g}")
        if step < how.steps:
            (free.grad,) = torch.autograd.grad(value.sum(), free)
            optimiser.step()
            fall.step()

    points = how.screening + len(tasks) * how.restarts * (how.steps + 1)
    cost = Cost(
        measurements=points * len(placement.input_voltage) // len(tasks),
        device_s=0.0,
        wall_s=(time.perf_counter() - began) / len(tasks),
    )
    exact = Bounds.of(placement.terminals, torch.float64)
    controls = exact.voltage(best_free.double()).numpy()
    return [
        _solution(task, device, controls[i], history[i], cost, placement, seed)
        for i, task in enumerate(tasks)
    ]


def _check_shared(tasks: Sequence[Task]) -> None:
    if not tasks:
        raise TrainingError("no task to train; give at least one")
    first = tasks[0]
    for task in tasks[1:]:
        shared = task.inputs == first.inputs and np.array_equal(
            task.points[task.train], first.points[first.train]
        )
        if not shared:
            raise TrainingError(
                f"tasks {first.name} and {task.name} differ in inputs or points; "
                "train_all sorts tasks into those that can share a batch"
            )


def _target(task: Task) -> Tensor:
    return torch.tensor(task.target[task.train], dtype=torch.float32)


def _loss_of(task: Task, name: str | None, scale_na: float | None) -> Callable[[Tensor], Tensor]:
    chosen = DEFAULT_LOSS[task.criterion] if name is None else name
    if chosen not in LOSSES:
        raise TrainingError(f"no loss {chosen!r}; there are {', '.join(LOSSES)}")
    if name is not None and task.criterion in ("flatness", "distinct"):
        # A loss between two classes has no meaning where there is one class.
        chosen = DEFAULT_LOSS[task.criterion]
    if scale_na is None:
        return partial(LOSSES[chosen], target=_target(task))
    if not 0 < scale_na < math.inf:
        raise ParameterError(f"scale_na is {scale_na} nA; give more than 0")
    return partial(LOSSES[chosen], target=_target(task), scale_na=scale_na)


def _starts(value: Tensor, settings: Tensor, how: Descent) -> Tensor:
    """The best screened settings, and the first of the others, (restarts, n_controls)."""
    order = torch.argsort(value, stable=True)
    n_best = round(how.screened_share * how.restarts)
    others = order[n_best:].sort().values[: how.restarts - n_best]
    return settings[torch.cat([order[:n_best], others])]


def _solution(
    task: Task,
    device: Device,
    controls: np.ndarray,
    history: list[dict[str, float]],
    cost: Cost,
    placement: Placement,
    seed: int,
) -> Solution:
    current = task_current(task, device, controls, output=placement.output)
    score = task.score(current)
    # Chosen by the training points alone: test points only judge what was chosen.
    winner = training_score(task, current[:, task.train]).best()
    return Solution(
        task=task.name,
        task_description=task.describe(),
        inputs=task.inputs,
        controls={
            t.name: float(v) for t, v in zip(placement.terminals, controls[winner], strict=True)
        },
        score=score[winner],
        current_na=tuple(float(v) for v in current[winner]),
        output=device.outputs[placement.output],
        method=METHOD,
        seed=seed,
        cost=cost,
        history=tuple(history),
        device=device.describe(),
    )
