"""What a task is: inputs, the points they take, targets, and a judgement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.devices.device import Device, FloatArray, Terminal
from inmateria.errors import NotFiniteError, ShapeError, TaskError

BoolArray: TypeAlias = NDArray[np.bool_]

Criterion: TypeAlias = Literal["margin", "flatness", "threshold", "distinct"]
"""What a training method has to achieve: highs above lows by a margin; all
states alike; most points on their side of a threshold; all states apart."""

INPUT_SHARE = 0.7
"""Inputs use this share of their terminal's range: 0.7 V of +-1 V."""


@dataclass(frozen=True)
class Score:
    """How well currents do a task; one entry per batch element.

    Parameters
    ----------
    margin_na : (...) array, nA
        Room to the criterion's edge; what it is, each task says.
    accuracy : (...) array
        Share of points that are told right, 0 to 1.
    passed : (...) bool array
    threshold_na : (...) array, nA
        Current that separates the classes; NaN where there is none.
    """

    margin_na: FloatArray
    accuracy: FloatArray
    passed: BoolArray
    threshold_na: FloatArray

    def __getitem__(self, index: Any) -> Score:
        """Score of part of the batch."""
        return Score(
            np.asarray(self.margin_na)[index],
            np.asarray(self.accuracy)[index],
            np.asarray(self.passed)[index],
            np.asarray(self.threshold_na)[index],
        )

    def best(self) -> int:
        """Flat index of the best element: passed, then accuracy, then margin."""
        keys = (np.ravel(self.margin_na), np.ravel(self.accuracy), np.ravel(self.passed))
        return int(np.lexsort(keys)[-1])

    def to_dict(self) -> dict[str, Any]:
        """One element as plain JSON values (a missing threshold as None)."""
        threshold = float(self.threshold_na)
        return {
            "margin_na": float(self.margin_na),
            "accuracy": float(self.accuracy),
            "passed": bool(self.passed),
            "threshold_na": threshold if np.isfinite(threshold) else None,
        }


class Wired(Protocol):
    """What has terminals and outputs: a device, or a rig around one."""

    @property
    def terminals(self) -> tuple[Terminal, ...]:
        """Driven terminals."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs."""


@runtime_checkable
class Task(Protocol):
    """Which terminals are inputs, which points they take, and how currents are judged."""

    @property
    def name(self) -> str:
        """Short name, unique among tasks that are trained together."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the input terminals; every other terminal is a control."""

    @property
    def points(self) -> FloatArray:
        """Input voltages, (n_points, n_inputs) V."""

    @property
    def target(self) -> FloatArray:
        """Wanted output, (n_points,), 0 (low) or 1 (high)."""

    @property
    def train(self) -> BoolArray:
        """(n_points,), True where training may look; the others only judge."""

    @property
    def criterion(self) -> Criterion:
        """What training has to achieve; chooses the default loss."""

    @property
    def min_margin_na(self) -> float:
        """Margin (nA) that has to be exceeded."""

    def score(self, current: ArrayLike) -> Score:
        """Judge (..., n_points) nA."""

    def describe(self) -> dict[str, Any]:
        """What `task_from_description` needs to make this task again."""


def levels_for(terminal: Terminal, *, share: float = INPUT_SHARE) -> tuple[float, float]:
    """Logic levels (V) inside a terminal's range: its centre -+ share / 2 of its width."""
    centre = 0.5 * (terminal.low_v + terminal.high_v)
    half = 0.5 * share * (terminal.high_v - terminal.low_v)
    return centre - half, centre + half


def input_levels(
    device: Wired, inputs: Sequence[str], *, share: float = INPUT_SHARE
) -> dict[str, tuple[float, ...]]:
    """`low_v` and `high_v` for these inputs, to be passed on: ``Gate("XOR", **levels)``."""
    terminals = {t.name: t for t in device.terminals}
    _check_names(inputs, tuple(terminals))
    pairs = [levels_for(terminals[name], share=share) for name in inputs]
    return {"low_v": tuple(p[0] for p in pairs), "high_v": tuple(p[1] for p in pairs)}


def control_terminals(task: Task, device: Wired) -> tuple[Terminal, ...]:
    """Terminals that the task leaves as controls, in the device's order.

    Raises
    ------
    TaskError
        If the task cannot be set on this device.
    """
    check_task(task, device)
    return tuple(t for t in device.terminals if t.name not in task.inputs)


def check_task(task: Task, device: Wired) -> None:
    """Refuse a task that cannot be set on this device.

    Raises
    ------
    TaskError
        Unknown or repeated inputs, points outside an input's range, no control left.
    """
    names = tuple(t.name for t in device.terminals)
    _check_names(task.inputs, names)
    if len(task.inputs) == len(names):
        raise TaskError(
            f"task {task.name} uses all {len(names)} terminals as inputs and leaves no control; "
            "use a device with more terminals or fewer inputs"
        )
    for column, name in enumerate(task.inputs):
        terminal = device.terminals[names.index(name)]
        low, high = float(task.points[:, column].min()), float(task.points[:, column].max())
        # A billionth of the range: what rounding of levels may cost, and no more.
        slack = 1e-9 * (terminal.high_v - terminal.low_v)
        if low < terminal.low_v - slack or high > terminal.high_v + slack:
            worst = low if low < terminal.low_v - slack else high
            raise TaskError(
                f"task {task.name} puts {worst:.4g} V on {name}, whose range is "
                f"{terminal.low_v:g} V to {terminal.high_v:g} V; "
                "take low_v and high_v from input_levels(device, inputs)"
            )


def _check_names(inputs: Sequence[str], names: tuple[str, ...]) -> None:
    for name in inputs:
        if name not in names:
            raise TaskError(f"input {name!r} is not a terminal; the device has {', '.join(names)}")
    check_distinct(inputs)


def check_distinct(inputs: Sequence[str]) -> None:
    """Refuse inputs that are none or name a terminal twice.

    Raises
    ------
    TaskError
    """
    if not inputs:
        raise TaskError("a task needs at least one input terminal; got none")
    for name in inputs:
        if list(inputs).count(name) > 1:
            raise TaskError(f"input {name!r} is named twice; give each input its own terminal")


def task_voltage(task: Task, device: Wired, controls: ArrayLike) -> FloatArray:
    """Voltages that set the task's points at these controls.

    Parameters
    ----------
    controls : (..., n_controls) array, V
        In the order of `control_terminals`.

    Returns
    -------
    (..., n_points, n_terminals) array, V

    Raises
    ------
    TaskError, ShapeError
    """
    terminals = control_terminals(task, device)
    array = np.asarray(controls, dtype=np.float64)
    if array.ndim == 0 or array.shape[-1] != len(terminals):
        raise ShapeError(
            f"controls have shape {array.shape}; the last axis must hold {len(terminals)} "
            f"controls ({', '.join(t.name for t in terminals)})"
        )
    names = [t.name for t in device.terminals]
    voltage = np.empty((*array.shape[:-1], len(task.points), len(names)))
    voltage[..., [names.index(name) for name in task.inputs]] = task.points
    voltage[..., [names.index(t.name) for t in terminals]] = array[..., None, :]
    return voltage


def output_index(device: Wired, output: str | int = 0) -> int:
    """Position of the output that a task reads, by name or position.

    Raises
    ------
    TaskError
        If there is no such output.
    """
    outputs = device.outputs
    if isinstance(output, str) and output in outputs:
        return outputs.index(output)
    if isinstance(output, int | np.integer) and 0 <= output < len(outputs):
        return int(output)
    raise TaskError(f"no output {output!r} on this device; it has {', '.join(outputs)}")


def task_current(
    task: Task, device: Device, controls: ArrayLike, *, output: str | int = 0
) -> FloatArray:
    """Current of one output at the task's points, (..., n_controls) V to (..., n_points) nA."""
    index = output_index(device, output)
    return device.current(task_voltage(task, device, controls))[..., index]


def check_current(task: Task, current: ArrayLike) -> FloatArray:
    """`current` as a float array with a point axis at the end.

    Raises
    ------
    ShapeError, NotFiniteError
    """
    array = np.asarray(current, dtype=np.float64)
    n = len(task.target)
    if array.ndim == 0 or array.shape[-1] != n:
        raise ShapeError(
            f"current has shape {array.shape}; task {task.name} judges (..., {n}) points"
        )
    if not np.isfinite(array).all():
        raise NotFiniteError(
            f"task {task.name} got a current that is NaN or infinite; "
            "leave out clipped or failed points"
        )
    return array
