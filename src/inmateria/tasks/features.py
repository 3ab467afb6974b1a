"""Feature mapping: the 16 patterns of 2 x 2 pixels to 16 distinguishable currents.

One device then reads a patch of a picture in one shot (Ruiz Euler et al. 2020):
four inputs carry the pixels, three controls are left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray
from inmateria.errors import TaskError
from inmateria.tasks import judge
from inmateria.tasks.points import per_input, scale_points
from inmateria.tasks.task import BoolArray, Criterion, Score, check_current, check_distinct


@dataclass(frozen=True)
class Features:
    """All black-and-white patterns of a patch, told apart by one current.

    Parameters
    ----------
    inputs : terminal names, one per pixel
        2 to 6 pixels.
    low_v, high_v : float or one per input, V
        Voltages of a black and of a white pixel.
    min_margin_na : float, nA
        Two levels are distinguishable when they differ by more than this.

    Raises
    ------
    TaskError
    """

    inputs: tuple[str, ...] = ("e1", "e3", "e5", "e7")
    low_v: float | tuple[float, ...] = -0.7
    high_v: float | tuple[float, ...] = 0.7
    min_margin_na: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", tuple(self.inputs))
        check_distinct(self.inputs)
        n = len(self.inputs)
        if not 2 <= n <= 6:
            raise TaskError(f"{n} pixels give {2**n} patterns; use 2 to 6 inputs")
        object.__setattr__(self, "low_v", per_input(self.low_v, n, "low_v"))
        object.__setattr__(self, "high_v", per_input(self.high_v, n, "high_v"))
        if not self.min_margin_na >= 0:
            raise TaskError(f"min_margin_na is {self.min_margin_na} nA; give zero or more")
        scale_points(np.zeros((1, n)), self.low_v, self.high_v)

    @property
    def name(self) -> str:
        """``"features"``."""
        return "features"

    @property
    def points(self) -> FloatArray:
        """All patterns in binary order, first input most significant, V."""
        n = len(self.inputs)
        bits = (np.arange(2**n)[:, None] >> np.arange(n - 1, -1, -1)) & 1
        return scale_points(2.0 * bits - 1.0, self.low_v, self.high_v)

    @property
    def target(self) -> FloatArray:
        """No classes: zeros, one per pattern."""
        return np.zeros(2 ** len(self.inputs))

    @property
    def train(self) -> BoolArray:
        """All patterns are for training."""
        return np.ones(2 ** len(self.inputs), dtype=bool)

    @property
    def criterion(self) -> Criterion:
        """All levels apart."""
        return "distinct"

    def score(self, current: ArrayLike) -> Score:
        """Judge (..., 2^n) nA.

        The margin is the smallest gap between two levels; the accuracy the
        share of levels that are distinguishable (all of them when passed).
        """
        y = check_current(self, current)
        margin = judge.smallest_gap(y)
        accuracy = judge.count_distinct(y, self.min_margin_na) / y.shape[-1]
        return Score(margin, accuracy, margin > self.min_margin_na, np.full_like(margin, np.nan))

    def describe(self) -> dict[str, Any]:
        """The constructor's arguments as plain JSON values."""
        return {
            "kind": "features",
            "inputs": list(self.inputs),
            "low_v": list(np.atleast_1d(self.low_v)),
            "high_v": list(np.atleast_1d(self.high_v)),
            "min_margin_na": self.min_margin_na,
        }
