"""Losses and judgements of a task at its training points, in double precision.

On a rig the current is measured, not computed, so the gradient of a loss E with
respect to the controls is put together from two parts,

    dE/dV_m = sum over points p of dE/dI_p dI_p/dV_m,

the first by automatic differentiation of the loss, the second measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray
from inmateria.errors import ParameterError, TaskError, TrainingError
from inmateria.gradients.gradient import Gradient
from inmateria.tasks import judge
from inmateria.tasks.task import Criterion, Score, Task
from inmateria.training.losses import DEFAULT_LOSS, LOSSES

RIG_LOSS: dict[Criterion, str] = {**DEFAULT_LOSS, "margin": "correlation_separation"}
"""What is made small on a rig for each criterion.

Boon's loss for gates and labelings, and the class-balanced logistic loss where a
threshold decides (ring, sphere): there Boon's separation hangs on the two most
extreme of hundreds of points. In 41 iterations on a ring of 60 points, on the
default device and on a model of a real one, descent reached training accuracies
of 78 % and 70 % by the first, 89 % and 76 % by the second (98 % and 77 % with Adam).
"""


@dataclass(frozen=True, eq=False)
class TaskLoss:
    """A loss of the currents at a task's training points.

    Parameters
    ----------
    task : Task
    name : str, optional
        A key of `LOSSES`; by default the criterion chooses (`RIG_LOSS`). A loss
        between two classes has no meaning for flatness and distinct levels,
        which keep their own.
    scale_na : float, optional, nA
        Current over which the loss changes; the loss's own default without it.

    Raises
    ------
    TrainingError, ParameterError
    """

    task: Task
    name: str | None = None
    scale_na: float | None = None

    def __post_init__(self) -> None:
        if self.name is not None and self.name not in LOSSES:
            raise TrainingError(f"no loss {self.name!r}; there are {', '.join(LOSSES)}")
        if self.name is None or self.task.criterion in ("flatness", "distinct"):
            object.__setattr__(self, "name", RIG_LOSS[self.task.criterion])
        if self.scale_na is not None and not 0 < self.scale_na < math.inf:
            raise ParameterError(f"scale_na is {self.scale_na} nA; give more than 0")

    def __call__(self, current: ArrayLike) -> FloatArray:
        """(..., n_points) nA to (...); infinite where a point has no current (NaN)."""
        y = np.asarray(current, dtype=np.float64)
        known = np.asarray(np.isfinite(y).all(axis=-1))
        value = self._loss(torch.tensor(np.where(known[..., None], y, 0.0))).numpy()
        return np.where(known, value, np.inf)

    def slope(self, current: ArrayLike) -> FloatArray:
        """dE/dI, (n_points,) nA to (n_points,) 1/nA."""
        y = torch.tensor(np.asarray(current, dtype=np.float64), requires_grad=True)
        (slope,) = torch.autograd.grad(self._loss(y), y)
        return np.asarray(slope.numpy())

    def chain(self, gradient: Gradient) -> tuple[FloatArray, FloatArray]:
        """Loss gradient from measured device gradients.

        Points without a gradient are left out of the sum.

        Parameters
        ----------
        gradient : Gradient
            `.value` (n_points, n_controls) nA/V, `.current` (n_points,) nA.

        Returns
        -------
        value, standard_error : (n_controls,) arrays, 1/V
            NaN where there is nothing to add up, or no standard error is known.
        """
        defined = gradient.defined
        if not defined.any():
            nothing = np.full(len(gradient.controls), np.nan)
            return nothing, nothing.copy()
        slope = self.slope(gradient.current)[defined]
        value = slope @ gradient.value[defined]
        variance = slope**2 @ gradient.standard_error[defined] ** 2
        return value, np.sqrt(variance)

    def _loss(self, current: torch.Tensor) -> torch.Tensor:
        target = torch.tensor(self.task.target[self.task.train], dtype=torch.float64)
        assert self.name is not None
        loss = LOSSES[self.name]
        if self.scale_na is not None:
            loss = partial(loss, scale_na=self.scale_na)
        return loss(current, target)


def training_score(task: Task, current: ArrayLike) -> Score:
    """How well the training points are told: what a search may look at.

    A task without test points is judged as a whole. For one with a threshold
    the accuracy is that on the training points, at their best threshold.

    Parameters
    ----------
    current : (..., n_training_points) array, nA
        A setting with NaN in it has failed: accuracy 0, margin minus infinity.

    Raises
    ------
    TaskError
        If the task has test points and no threshold.
    """
    y = np.asarray(current, dtype=np.float64)
    known = np.asarray(np.isfinite(y).all(axis=-1))
    filled = np.where(known[..., None], y, 0.0)
    if task.train.all():
        score = task.score(filled)
    else:
        if task.criterion != "threshold":
            raise TaskError(
                f"task {task.name} has test points and criterion {task.criterion!r}; a search on "
                "training points knows how to judge a threshold only"
            )
        target = task.target[task.train]
        threshold, accuracy = judge.best_threshold(filled, target)
        passed = accuracy >= getattr(task, "min_accuracy", 1.0)
        score = Score(judge.separation(filled, target), accuracy, passed, threshold)
    return Score(
        np.where(known, score.margin_na, -np.inf),
        np.where(known, score.accuracy, 0.0),
        known & score.passed,
        np.where(known, score.threshold_na, np.nan),
    )
