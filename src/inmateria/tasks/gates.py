"""The sixteen logic gates of two inputs.

A gate's inputs take the states 00, 01, 10, 11. A gate is found when its lowest
high current lies above its highest low current by more than a margin. TRUE and
FALSE have nothing to separate: the device has to ignore its inputs, all four
currents within a tolerance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import Device, FloatArray
from inmateria.errors import TaskError
from inmateria.tasks import judge
from inmateria.tasks.points import per_input, scale_points
from inmateria.tasks.task import (
    BoolArray,
    Criterion,
    Score,
    check_current,
    check_distinct,
    input_levels,
)

STATES = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Logic states of (first, second) input, in the order of a gate's points."""

GATES: dict[str, tuple[int, int, int, int]] = {
    "FALSE": (0, 0, 0, 0),
    "NOR": (1, 0, 0, 0),
    "NOT-A-AND-B": (0, 1, 0, 0),
    "NOT-A": (1, 1, 0, 0),
    "A-AND-NOT-B": (0, 0, 1, 0),
    "NOT-B": (1, 0, 1, 0),
    "XOR": (0, 1, 1, 0),
    "NAND": (1, 1, 1, 0),
    "AND": (0, 0, 0, 1),
    "XNOR": (1, 0, 0, 1),
    "B": (0, 1, 0, 1),
    "NOT-A-OR-B": (1, 1, 0, 1),
    "A": (0, 0, 1, 1),
    "A-OR-NOT-B": (1, 0, 1, 1),
    "OR": (0, 1, 1, 1),
    "TRUE": (1, 1, 1, 1),
}
"""Output for the states 00, 01, 10, 11; A is the first input, B the second."""


@dataclass(frozen=True)
class Gate:
    """One two-input logic gate.

    Parameters
    ----------
    name : str
        A key of `GATES`.
    inputs : two terminal names
    low_v, high_v : float or one per input, V
        Voltages of logic 0 and 1; `input_levels` places them on a device.
    min_margin_na : float, nA
        The lowest high has to exceed the highest low by more than this; a
        caller who knows the noise sets it.
    tolerance_na : float, optional, nA
        For TRUE and FALSE: largest spread of the four currents; by default the
        margin that is demanded of the other gates.

    Raises
    ------
    TaskError
    """

    name: str
    inputs: tuple[str, ...] = ("e2", "e6")
    low_v: float | tuple[float, ...] = -0.7
    high_v: float | tuple[float, ...] = 0.7
    min_margin_na: float = 2.0
    tolerance_na: float | None = None

    def __post_init__(self) -> None:
        if self.name not in GATES:
            raise TaskError(f"no gate {self.name!r}; there are {', '.join(GATES)}")
        object.__setattr__(self, "inputs", tuple(self.inputs))
        if len(self.inputs) != 2:
            raise TaskError(f"a gate has 2 inputs; got {len(self.inputs)}: {self.inputs}")
        check_distinct(self.inputs)
        object.__setattr__(self, "low_v", per_input(self.low_v, 2, "low_v"))
        object.__setattr__(self, "high_v", per_input(self.high_v, 2, "high_v"))
        if not self.min_margin_na >= 0:
            raise TaskError(f"min_margin_na is {self.min_margin_na} nA; give zero or more")
        if self.tolerance_na is not None and not self.tolerance_na > 0:
            raise TaskError(f"tolerance_na is {self.tolerance_na} nA; give more than zero")
        scale_points(np.zeros((1, 2)), self.low_v, self.high_v)

    @property
    def points(self) -> FloatArray:
        """Input voltages of the four states, (4, 2) V."""
        return scale_points(2.0 * np.array(STATES) - 1.0, self.low_v, self.high_v)

    @property
    def target(self) -> FloatArray:
        """Truth table, (4,)."""
        return np.array(GATES[self.name], dtype=np.float64)

    @property
    def train(self) -> BoolArray:
        """All four states are for training."""
        return np.ones(4, dtype=bool)

    @property
    def constant(self) -> bool:
        """Whether this is TRUE or FALSE."""
        return len(set(GATES[self.name])) == 1

    @property
    def criterion(self) -> Criterion:
        """``"flatness"`` for TRUE and FALSE, ``"margin"`` for the others."""
        return "flatness" if self.constant else "margin"

    def score(self, current: ArrayLike) -> Score:
        """Judge (..., 4) nA.

        The margin of a constant gate is its tolerance minus the spread; its
        accuracy is the largest share of states within one tolerance.
        """
        y = check_current(self, current)
        if self.constant:
            tolerance = self.min_margin_na if self.tolerance_na is None else self.tolerance_na
            margin = tolerance - judge.spread(y)
            accuracy = judge.share_in_band(y, tolerance)
            return Score(margin, accuracy, margin > 0, np.full_like(margin, np.nan))
        margin = judge.separation(y, self.target)
        threshold, accuracy = judge.best_threshold(y, self.target)
        return Score(margin, accuracy, margin > self.min_margin_na, threshold)

    def describe(self) -> dict[str, Any]:
        """The constructor's arguments as plain JSON values."""
        return {
            "kind": "gate",
            "name": self.name,
            "inputs": list(self.inputs),
            "low_v": list(np.atleast_1d(self.low_v)),
            "high_v": list(np.atleast_1d(self.high_v)),
            "min_margin_na": self.min_margin_na,
            "tolerance_na": self.tolerance_na,
        }


def gates(
    inputs: Sequence[str] = ("e2", "e6"),
    *,
    device: Device | None = None,
    min_margin_na: float = 2.0,
    tolerance_na: float | None = None,
) -> tuple[Gate, ...]:
    """All sixteen gates on one pair of inputs.

    Parameters
    ----------
    inputs : two terminal names
    device : Device, optional
        Places the logic levels inside the inputs' ranges; -0.7 V and 0.7 V without.
    min_margin_na, tolerance_na : float, nA
        As in `Gate`.
    """
    levels: dict[str, Any] = {} if device is None else input_levels(device, inputs)
    return tuple(
        Gate(
            name,
            inputs=tuple(inputs),
            min_margin_na=min_margin_na,
            tolerance_na=tolerance_na,
            **levels,
        )
        for name in GATES
    )
