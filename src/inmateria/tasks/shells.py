"""A ball against the shell around it: what ring (plane) and sphere (space) share."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray
from inmateria.errors import TaskError
from inmateria.tasks import judge
from inmateria.tasks.points import ball_and_shell, check_radii, per_input, scale_points
from inmateria.tasks.task import BoolArray, Criterion, Score, check_current, check_distinct


@dataclass(frozen=True)
class Shells:
    """Two classes that no straight line tells apart.

    Points of the inner class should give a low current and points of the outer
    class a high one. The threshold is chosen on the training points, the
    accuracy counted on the test points.

    Parameters
    ----------
    inputs : terminal names, one per dimension
    low_v, high_v : float or one per input, V
        Voltages of normalised coordinates -1 and 1; `input_levels` gives them.
    n_train, n_test : int
    inner_radius, gap, outer_radius : float
        Ball inside `inner_radius`, shell from `inner_radius` + `gap` to
        `outer_radius`, in normalised coordinates.
    min_accuracy : float
        Share of test points that must be told right.
    min_margin_na : float, nA
        Not a criterion here; kept as the noise that a margin is compared with.
    seed : int
        Draws the points.

    Raises
    ------
    TaskError
    """

    kind: ClassVar[str] = "shells"
    dimension: ClassVar[int] = 2

    inputs: tuple[str, ...] = ("e2", "e6")
    low_v: float | tuple[float, ...] = -0.7
    high_v: float | tuple[float, ...] = 0.7
    n_train: int = 200
    n_test: int = 500
    inner_radius: float = 0.25
    gap: float = 0.5
    outer_radius: float = 1.0
    min_accuracy: float = 0.9
    min_margin_na: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", tuple(self.inputs))
        if len(self.inputs) != self.dimension:
            raise TaskError(
                f"task {self.name} has {self.dimension} inputs; "
                f"got {len(self.inputs)}: {self.inputs}"
            )
        check_distinct(self.inputs)
        object.__setattr__(self, "low_v", per_input(self.low_v, self.dimension, "low_v"))
        object.__setattr__(self, "high_v", per_input(self.high_v, self.dimension, "high_v"))
        if min(self.n_train, self.n_test) < 2:
            raise TaskError(
                f"{self.n_train} training and {self.n_test} test points; "
                "give 2 of each or more, one per class"
            )
        check_radii(self.inner_radius, self.gap, self.outer_radius)
        if not 0 < self.min_accuracy <= 1:
            raise TaskError(f"min_accuracy is {self.min_accuracy}; give a share above 0, up to 1")
        scale_points(np.zeros((1, self.dimension)), self.low_v, self.high_v)

    @property
    def name(self) -> str:
        """Name of the kind."""
        return self.kind

    @cached_property
    def _drawn(self) -> tuple[FloatArray, FloatArray]:
        rng = np.random.default_rng(self.seed)
        radii = {
            "inner_radius": self.inner_radius,
            "gap": self.gap,
            "outer_radius": self.outer_radius,
        }
        train = ball_and_shell(self.dimension, self.n_train, rng=rng, **radii)
        test = ball_and_shell(self.dimension, self.n_test, rng=rng, **radii)
        normalised = np.concatenate([train[0], test[0]])
        return (
            scale_points(normalised, self.low_v, self.high_v),
            np.concatenate([train[1], test[1]]),
        )

    @property
    def points(self) -> FloatArray:
        """Training points, then test points, (n_train + n_test, n_inputs) V."""
        return self._drawn[0]

    @property
    def target(self) -> FloatArray:
        """1 in the shell, 0 in the ball."""
        return self._drawn[1]

    @property
    def train(self) -> BoolArray:
        """True for the first `n_train` points."""
        return np.arange(self.n_train + self.n_test) < self.n_train

    @property
    def criterion(self) -> Criterion:
        """Points on their side of a free threshold."""
        return "threshold"

    def score(self, current: ArrayLike) -> Score:
        """Judge (..., n_train + n_test) nA.

        The margin is that of the test points (negative when classes overlap);
        passed when the accuracy on them reaches `min_accuracy`.
        """
        y = check_current(self, current)
        seen, unseen = y[..., : self.n_train], y[..., self.n_train :]
        target = self.target
        threshold, _ = judge.best_threshold(seen, target[: self.n_train])
        accuracy = judge.accuracy_at(unseen, target[self.n_train :], threshold)
        margin = judge.separation(unseen, target[self.n_train :])
        return Score(margin, accuracy, accuracy >= self.min_accuracy, threshold)

    def describe(self) -> dict[str, Any]:
        """The constructor's arguments as plain JSON values."""
        fields = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return {"kind": self.kind, **fields}
