"""Gradient descent in materia (Boon et al. 2025): the device gives its own gradient.

    V <- V - eta dE/dV,    dE/dV_m = sum over points p of dE/dI_p dI_p/dV_m,

dI/dV from an estimator on the rig, dE/dI from the loss of the measured
currents. The controls are then moved back into their ranges, less the reach of
the estimator: a tone or a step around them never leaves a range.

A step is never larger than `max_step_v` in any control. Where classes overlap,
the paper's loss is steep as exp(-separation / 1 nA), and a measured gradient
says nothing about the device that far away.

A descent that no longer gains begins anew from another point; the best setting
of all is what a search returns.
"""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray
from inmateria.errors import ParameterError, ShapeError, VoltageLimitError
from inmateria.gradients.gradient import GradientEstimator
from inmateria.training.optimisers import LEARNING_RATE, OPTIMISERS, SCHEDULES
from inmateria.training.task_on_rig import TaskOnRig


@runtime_checkable
class Reaching(Protocol):
    """An estimator that needs room around an operating point."""

    @property
    def reach_v(self) -> FloatArray:
        """(n_controls,) V."""


@runtime_checkable
class Timed(Protocol):
    """An estimator that knows how long it takes."""

    def seconds(self, n_points: int) -> float:
        """Time for so many operating points, ramps not counted, s."""


def descend(
    task_on_rig: TaskOnRig,
    estimator: GradientEstimator,
    *,
    seed: int,
    start: ArrayLike | None = None,
    optimiser: str | None = None,
    learning_rate: float | None = None,
    schedule: str = "constant",
    iterations: int = 300,
    restarts: int = 10,
    screening: int = 16,
    patience: int = 20,
    min_improvement: float = 0.02,
    max_step_v: float = 0.1,
) -> None:
    """Descend the loss of a task, from several starting points.

    Parameters
    ----------
    task_on_rig : TaskOnRig
    estimator : GradientEstimator
        That flags problems; one that raises ends the search with its error.
    seed : int
        Draws the starting points.
    start : (n_controls,) array, V, optional
        Where the first descent starts; the others anywhere.
    optimiser : str
        ``"gradient"``, ``"momentum"`` or ``"adam"``.
    learning_rate : float, optional
        V^2 per unit of loss, 0.02 by default; V for Adam, 0.05.
    schedule : str
        ``"constant"``, ``"cosine"`` (to zero) or ``"exponential"`` (to 1 %), over
        `iterations`.
    iterations : int
        Of one descent at most.
    restarts : int
        Descents at most.
    screening : int
        Random settings that are read before a descent, which starts at the best;
        with 1 nothing is read.
    patience : int
        Iterations after which a descent that has not improved is given up.
    min_improvement : float
        Share by which the loss has to fall to count as improved.
    max_step_v : float, V
        Largest change of a control in one iteration.

    Raises
    ------
    SearchEnded
        From `task_on_rig`.
    ParameterError, VoltageLimitError
    """
    if optimiser is None:
        optimiser = "adam" if task_on_rig.task.criterion == "threshold" else "gradient"
    _check_choices(optimiser, schedule)
    rate = LEARNING_RATE[optimiser] if learning_rate is None else learning_rate
    for name, value in (("learning_rate", rate), ("max_step_v", max_step_v)):
        if not 0 < value < math.inf:
            raise ParameterError(f"{name} is {value}; give more than 0")
    if not 0 <= min_improvement < 1:
        raise ParameterError(f"min_improvement is {min_improvement}; give 0 to below 1")
    counts = {"iterations": iterations, "restarts": restarts, "screening": screening}
    for name, count in {**counts, "patience": patience}.items():
        if not (isinstance(count, int) and count >= 1):
            raise ParameterError(f"{name} is {count!r}; give a whole number of 1 or more")
    low, high = room(task_on_rig, estimator)
    given = None if start is None else _start(task_on_rig, start, low, high)
    rng = np.random.default_rng(seed)
    seconds = estimator.seconds(task_on_rig.n_points) if isinstance(estimator, Timed) else 0.0
    task_on_rig.expected_iterations = restarts * (iterations + (screening > 1))
    for restart in range(restarts):
        task_on_rig.labels["restart"] = float(restart)
        if restart == 0 and given is not None:
            controls = given
        else:
            controls = _screened(task_on_rig, rng.uniform(low, high, (screening, low.size)))
        chosen = OPTIMISERS[optimiser]()
        lowest, since = math.inf, 0
        for k in range(iterations):
            gradient = task_on_rig.extract(controls, estimator, seconds=seconds)
            loss = task_on_rig.history[-1]["loss"]
            slope, _ = task_on_rig.loss.chain(gradient)
            if not np.isfinite(slope).all():
                problems = ", ".join(sorted({str(p) for p in gradient.problem if p}))
                task_on_rig.remark(
                    f"no point has a gradient (output {problems}): this descent ends"
                )
                break
            # Relative to the size of the loss, which is negative for some losses.
            if loss < lowest - min_improvement * abs(lowest if lowest < math.inf else 0.0):
                lowest, since = loss, 0
            else:
                since += 1
            if since >= patience:
                task_on_rig.remark(f"no better for {patience} iterations: this descent ends")
                break
            step = rate * SCHEDULES[schedule](k / iterations) * chosen.step(slope)
            controls = np.clip(controls - limited(step, max_step_v), low, high)


def room(task_on_rig: TaskOnRig, estimator: GradientEstimator) -> tuple[FloatArray, FloatArray]:
    """Lowest and highest operating points that leave an estimator its reach, V.

    Raises
    ------
    VoltageLimitError
        If a control's range is narrower than twice the reach.
    """
    reach = estimator.reach_v if isinstance(estimator, Reaching) else 0.0
    low, high = task_on_rig.low_v + reach, task_on_rig.high_v - reach
    for terminal, bottom, top in zip(task_on_rig.terminals, low, high, strict=True):
        if bottom > top:
            raise VoltageLimitError(
                f"control {terminal.name} may move by {terminal.high_v - terminal.low_v:.4g} V, "
                f"but its gradient needs {bottom - terminal.low_v:.4g} V on either side; use a "
                "smaller amplitude or step"
            )
    return low, high


def limited(step: FloatArray, largest: float) -> FloatArray:
    """A step with its direction, shortened to `largest` in its largest component."""
    size = float(np.abs(step).max())
    return step if size <= largest else step * (largest / size)


def _screened(task_on_rig: TaskOnRig, settings: FloatArray) -> FloatArray:
    if len(settings) == 1:
        return np.asarray(settings[0])
    loss = task_on_rig.loss_of(task_on_rig.measure(settings).current_na)
    return np.asarray(settings[int(np.argmin(loss))])


def _start(
    task_on_rig: TaskOnRig, start: ArrayLike, low: FloatArray, high: FloatArray
) -> FloatArray:
    point = np.array(start, dtype=np.float64)
    if point.shape != low.shape or not np.isfinite(point).all():
        raise ShapeError(f"start has shape {point.shape}; give ({low.size},) finite voltages")
    for terminal, value in zip(task_on_rig.terminals, point, strict=True):
        if not terminal.low_v <= value <= terminal.high_v:
            raise VoltageLimitError(
                f"start puts {terminal.name} at {value:g} V, whose range is {terminal.low_v:g} V "
                f"to {terminal.high_v:g} V; start inside"
            )
    return np.clip(point, low, high)


def _check_choices(optimiser: str, schedule: str) -> None:
    if optimiser not in OPTIMISERS:
        raise ParameterError(f"no optimiser {optimiser!r}; there are {', '.join(OPTIMISERS)}")
    if schedule not in SCHEDULES:
        raise ParameterError(f"no schedule {schedule!r}; there are {', '.join(SCHEDULES)}")
