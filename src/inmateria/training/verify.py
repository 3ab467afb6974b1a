"""Found controls, applied to the device: do they do the task there, noise on?

Controls stay fixed and the task's points are visited as plateaus: ramp, wait,
hold and average. The whole series is repeated; the first repetition goes
through the points in their order (that is the strip in a report), the others
in an order shuffled by the seed.

Drift. The current of these devices drifts as 1/f^1.5, so the later a point is
visited, the further the device has moved. Shuffling makes points take turns in
being late: drift then widens the scatter of a point's levels and does not
shift one point against another in the mean. It is left in the noise that the
margin is compared with, because a fixed threshold would see it too; `Noise`
gives it separately.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np

from inmateria.devices.device import Device, FloatArray
from inmateria.errors import ParameterError, TrainingError, VoltageLimitError
from inmateria.rigs.guard import Guard
from inmateria.rigs.rig import Rig
from inmateria.signals.tour import tour
from inmateria.signals.waveforms import Waveform, plateaus
from inmateria.tasks import judge
from inmateria.tasks.task import (
    Score,
    Task,
    Wired,
    control_terminals,
    output_index,
    task_current,
    task_voltage,
)
from inmateria.training.solution import Solution
from inmateria.training.verification import Noise, Strip, StripPlateau, Verification, noise_of

Order: TypeAlias = Literal["shuffled", "forward", "tour"]


def verify(
    solution: Solution,
    task: Task,
    rig: Rig,
    *,
    repetitions: int = 5,
    hold_s: float = 0.05,
    settle_s: float = 0.015,
    ramp_s: float | None = None,
    order: Order = "shuffled",
    n_sigma: float = 3.0,
    surrogate: Device | None = None,
    seed: int = 0,
    progress: Callable[[int, int, str], None] | None = None,
) -> Verification:
    """Measure a solution on a rig.

    A gate or labeling passes when its margin exceeds `n_sigma` times the noise
    of a level; patterns (features) when their smallest gap does; a constant
    gate when its spread stays within the task's tolerance; ring and sphere when
    the threshold chosen on the training points reaches the task's accuracy on
    the test points.

    Parameters
    ----------
    solution : Solution
    task : Task
        The task that it solves; ``solution.make_task()`` for inmateria's own.
    rig : Rig
        A `Guard`, or a rig that is then put behind one. Ends at 0 V.
    repetitions : int
        Two or more tell drift from fast noise.
    hold_s, settle_s : float, s
        Averaged, and waited before.
    ramp_s : float, optional, s
        Length of every ramp; by default as fast as the guard allows.
    order : str
        ``"shuffled"``, ``"forward"``, or ``"tour"``: the short way through the
        points, for tasks with hundreds of them.
    n_sigma : float
    surrogate : Device, optional
        Predicts the levels; without it the solution's own are taken.
    seed : int
        Shuffles.
    progress : callable, optional
        Called as progress(done, total, note) after each repetition.

    Returns
    -------
    Verification

    Raises
    ------
    TaskError, TrainingError
        If the solution does not belong to this task or rig.
    VoltageLimitError
        If a control lies outside its terminal's range; nothing was played.
    """
    if repetitions < 1:
        raise ParameterError(f"repetitions = {repetitions}; give 1 or more")
    if not n_sigma > 0:
        raise ParameterError(f"n_sigma = {n_sigma}; give a number above zero")
    if not isinstance(rig, Guard):
        with Guard(rig) as guard:
            return verify(
                solution, task, guard, repetitions=repetitions, hold_s=hold_s, settle_s=settle_s,
                ramp_s=ramp_s, order=order, n_sigma=n_sigma, surrogate=surrogate, seed=seed,
                progress=progress,
            )  # fmt: skip
    controls = _controls(solution, task, rig)
    output = output_index(rig, solution.output)
    voltage = task_voltage(task, rig, controls)
    rng = np.random.default_rng(seed)
    n_points = len(voltage)
    levels = np.empty((repetitions, n_points))
    deviations = np.empty((repetitions, n_points))
    strips: list[Strip] = []
    clipped, samples = 0, 0
    try:
        for k in range(repetitions):
            visit = _visit(voltage, order, first=k == 0, rng=rng)
            last = k == repetitions - 1
            waveform = plateaus(
                voltage[visit],
                rate=rig.rate,
                hold_s=hold_s,
                settle_s=settle_s,
                ramp_s=ramp_s,
                slew_v_per_s=rig.slew_v_per_s,
                start=rig.last_voltage,
                end=np.zeros(voltage.shape[1]) if last else None,
            )
            current = rig.play(waveform)[output]
            mean, deviation, highest = _holds(waveform, current, n_points)
            levels[k, visit], deviations[k, visit] = mean, deviation
            clipped += int(np.sum(highest >= rig.current_range_na))
            samples += waveform.n_samples
            if k == 0:
                strips.append(_strip(waveform, current, visit, mean))
            if progress is not None:
                progress(k + 1, repetitions, f"{task.name} on the device")
    finally:
        rig.park()

    level = levels.mean(axis=0)
    noise = noise_of(levels, deviations)
    score = task.score(level)
    if surrogate is None:
        predicted = np.array(solution.current_na)
    else:
        predicted = task_current(
            task,
            surrogate,
            _controls(solution, task, surrogate),
            output=solution.output if solution.output in surrogate.outputs else output,
        )
    reasons = _reasons(task, score, noise, n_sigma)
    return Verification(
        task=solution.task,
        inputs=solution.inputs,
        controls=dict(solution.controls),
        output=rig.outputs[output],
        criterion=task.criterion,
        points=task.points,
        target=task.target,
        states=task.points > 0.5 * (task.points.min(axis=0) + task.points.max(axis=0)),
        levels_na=levels,
        level_na=level,
        noise=noise,
        margin_na=float(score.margin_na),
        margin_in_noise=_in_noise(float(score.margin_na), noise),
        threshold_na=float(score.threshold_na),
        accuracy=float(score.accuracy),
        accuracy_single=_accuracy_single(task, levels, score),
        passed=not reasons,
        reasons=reasons,
        n_sigma=n_sigma,
        predicted_na=predicted,
        predicted_margin_na=float(task.score(predicted).margin_na),
        disagreement_na=level - predicted,
        disagreement_in_noise=np.array([_in_noise(float(d), noise) for d in level - predicted]),
        offset_na=float(np.mean(level - predicted)),
        clipped=clipped,
        measurements=repetitions * n_points,
        device_s=samples / rig.rate,
        fidelity=rig.fidelity,
        rig=rig.describe(),
        strip=strips[0],
    )


def _controls(solution: Solution, task: Task, device: Wired) -> FloatArray:
    """Controls in the device's order, (n_controls,) V, each inside its range."""
    if solution.inputs != task.inputs:
        raise TrainingError(
            f"solution for {solution.task} has inputs {', '.join(solution.inputs)}, task "
            f"{task.name} has {', '.join(task.inputs)}; verify it with its own task"
        )
    free = control_terminals(task, device)
    if {t.name for t in free} != set(solution.controls):
        raise TrainingError(
            f"solution for {solution.task} sets {', '.join(sorted(solution.controls))}, the device "
            f"has controls {', '.join(t.name for t in free)}; use the device it was trained for"
        )
    for terminal in free:
        value = solution.controls[terminal.name]
        if not terminal.low_v <= value <= terminal.high_v:
            raise VoltageLimitError(
                f"solution for {solution.task} puts {value:.6g} V on {terminal.name}, whose range "
                f"is {terminal.low_v:g} V to {terminal.high_v:g} V; train it within these limits"
            )
    return np.array([solution.controls[t.name] for t in free])


def _visit(
    voltage: FloatArray, order: Order, *, first: bool, rng: np.random.Generator
) -> np.ndarray:
    if order == "tour":
        return tour(voltage)
    if order not in ("shuffled", "forward"):
        raise ParameterError(f"order {order!r}; choose 'shuffled', 'forward' or 'tour'")
    if first or order == "forward":
        return np.arange(len(voltage))
    return rng.permutation(len(voltage))


def _holds(
    waveform: Waveform, current: FloatArray, n_points: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean, standard deviation and largest magnitude of each hold, (n_points,) nA each."""
    held = current[waveform.segment >= 0].reshape(n_points, -1)
    return held.mean(axis=1), held.std(axis=1), np.abs(held).max(axis=1)


def _strip(waveform: Waveform, current: FloatArray, visit: np.ndarray, mean: FloatArray) -> Strip:
    samples = np.arange(waveform.n_samples)
    first = [int(samples[waveform.segment == k][0]) for k in range(len(visit))]
    held = int(np.sum(waveform.segment == 0))
    return Strip(
        time_s=samples / waveform.rate,
        current_na=current,
        plateaus=tuple(
            StripPlateau(
                first[k] / waveform.rate,
                (first[k] + held) / waveform.rate,
                int(point),
                float(mean[k]),
            )
            for k, point in enumerate(visit)
        ),
    )


def _in_noise(value: float, noise: Noise) -> float:
    if noise.level_na > 0:
        return value / noise.level_na
    return float(np.copysign(np.inf, value)) if value else 0.0


def _accuracy_single(task: Task, levels: FloatArray, score: Score) -> float:
    if not np.isfinite(score.threshold_na):
        return float(task.score(levels).accuracy.mean())
    judged = task.train if task.train.all() else ~task.train
    right = judge.accuracy_at(levels[:, judged], task.target[judged], score.threshold_na)
    return float(right.mean())


def _reasons(task: Task, score: Score, noise: Noise, n_sigma: float) -> tuple[str, ...]:
    """Why a verification fails; nothing when it passes."""
    margin, demanded = float(score.margin_na), n_sigma * noise.level_na
    if task.criterion in ("margin", "distinct"):
        if margin > demanded and margin > 0:
            return ()
        return (f"margin {margin:.3g} nA does not exceed {n_sigma:g} x noise = {demanded:.3g} nA",)
    if bool(score.passed):
        return ()
    if task.criterion == "flatness":
        return (f"levels spread {-margin:.3g} nA further than the tolerance",)
    return (f"accuracy {float(score.accuracy):.1%} on the test points is too low",)
