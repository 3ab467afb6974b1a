"""Capacity: which of all 2^N ways to label N points can a device realise?

A device that realises all of them shatters the points, in the sense of Vapnik
and Chervonenkis; Ruiz Euler et al. 2020 measure the share for N = 4 to 7.
Each labeling is a task of its own over the same points. The two labelings that
put all points in one class need no device (a threshold below or above all
currents does it) and are counted as realised without being trained.
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

CAPACITY_POINTS = ((-1, -1), (-1, 1), (1, -1), (1, 1), (-0.5, 0), (0.5, 0), (0, 1.25))
"""The points in normalised coordinates: the corners of the gates first, then
points between them; no two share both coordinates and no four lie on a line."""


@dataclass(frozen=True)
class Labeling:
    """One labeling of the first N capacity points.

    Parameters
    ----------
    labels : str
        One ``0`` or ``1`` per point, both occurring; as many as there are points.
    inputs : two terminal names
    low_v, high_v : float or one per input, V
        Voltages of normalised coordinates -1 and 1.
    min_margin_na : float, nA
        The lowest high has to exceed the highest low by more than this.

    Raises
    ------
    TaskError
    """

    labels: str
    inputs: tuple[str, ...] = ("e2", "e6")
    low_v: float | tuple[float, ...] = -0.7
    high_v: float | tuple[float, ...] = 0.7
    min_margin_na: float = 2.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", tuple(self.inputs))
        if len(self.inputs) != 2:
            raise TaskError(f"capacity points have 2 inputs; got {len(self.inputs)}: {self.inputs}")
        check_distinct(self.inputs)
        if set(self.labels) != {"0", "1"} or len(self.labels) > len(CAPACITY_POINTS):
            raise TaskError(
                f"labels {self.labels!r}: give 2 to {len(CAPACITY_POINTS)} digits 0 and 1, both "
                "occurring; one class only needs no device"
            )
        object.__setattr__(self, "low_v", per_input(self.low_v, 2, "low_v"))
        object.__setattr__(self, "high_v", per_input(self.high_v, 2, "high_v"))
        scale_points(np.zeros((1, 2)), self.low_v, self.high_v)

    @property
    def name(self) -> str:
        """The labels."""
        return self.labels

    @property
    def points(self) -> FloatArray:
        """The first N capacity points, (N, 2) V."""
        return scale_points(CAPACITY_POINTS[: len(self.labels)], self.low_v, self.high_v)

    @property
    def target(self) -> FloatArray:
        """The labels as numbers, (N,)."""
        return np.array([float(label) for label in self.labels])

    @property
    def train(self) -> BoolArray:
        """All points are for training."""
        return np.ones(len(self.labels), dtype=bool)

    @property
    def criterion(self) -> Criterion:
        """Highs above lows."""
        return "margin"

    def score(self, current: ArrayLike) -> Score:
        """Judge (..., N) nA by the margin between the classes."""
        y = check_current(self, current)
        margin = judge.separation(y, self.target)
        threshold, accuracy = judge.best_threshold(y, self.target)
        return Score(margin, accuracy, margin > self.min_margin_na, threshold)

    def describe(self) -> dict[str, Any]:
        """The constructor's arguments as plain JSON values."""
        return {
            "kind": "labeling",
            "labels": self.labels,
            "inputs": list(self.inputs),
            "low_v": list(np.atleast_1d(self.low_v)),
            "high_v": list(np.atleast_1d(self.high_v)),
            "min_margin_na": self.min_margin_na,
        }


def labelings(
    n_points: int,
    inputs: Sequence[str] = ("e2", "e6"),
    *,
    device: Device | None = None,
    min_margin_na: float = 2.0,
) -> tuple[Labeling, ...]:
    """The 2^N - 2 labelings of the first N points in which both classes occur.

    Parameters
    ----------
    n_points : int
        2 to 7.
    inputs, device, min_margin_na
        As for `gates`.

    Raises
    ------
    TaskError
    """
    if not 2 <= n_points <= len(CAPACITY_POINTS):
        raise TaskError(f"{n_points} points; the capacity test has 2 to {len(CAPACITY_POINTS)}")
    levels: dict[str, Any] = {} if device is None else input_levels(device, inputs)
    return tuple(
        Labeling(
            format(code, f"0{n_points}b"),
            inputs=tuple(inputs),
            min_margin_na=min_margin_na,
            **levels,
        )
        for code in range(1, 2**n_points - 1)
    )
