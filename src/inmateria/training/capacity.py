"""The capacity test: the share of all labelings that a device realises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from inmateria.devices.device import Device
from inmateria.tasks.capacity import labelings
from inmateria.training.in_silico import Progress
from inmateria.training.solution import Solution
from inmateria.training.train import train_all

_TOGETHER = 32
"""Labelings in one batch: 32 x 64 restarts x 7 points fit in the cache's reach."""


@dataclass(frozen=True)
class Capacity:
    """Which labelings of N points were realised.

    Parameters
    ----------
    n_points : int
    realised, total : int
        Of the 2^N labelings; the two with a single class count as realised.
    solutions : sequence of Solution
        One per labeling with both classes, found or not.
    """

    n_points: int
    realised: int
    total: int
    solutions: tuple[Solution, ...]

    @property
    def share(self) -> float:
        """Realised over total; 1 when the points are shattered."""
        return self.realised / self.total


def capacity(
    device: Device,
    n_points: int,
    *,
    inputs: Sequence[str] = ("e2", "e6"),
    min_margin_na: float = 2.0,
    method: str = "in-silico",
    seed: int = 0,
    progress: Progress | None = None,
    **options: Any,
) -> Capacity:
    """Train every labeling of the first N capacity points.

    Parameters
    ----------
    device : Device
        What the method trains on.
    n_points : int
        2 to 7; 4 to 7 in the literature.
    inputs : two terminal names
    min_margin_na : float, nA
        A labeling is realised when its margin exceeds this.
    method, seed, **options
        As for `train_all`.
    progress : callable, optional
        Called as progress(done, total, note) after each batch of labelings.

    Raises
    ------
    TaskError, TrainingError
    """
    tasks = labelings(n_points, inputs, device=device, min_margin_na=min_margin_na)
    solutions: list[Solution] = []
    for first in range(0, len(tasks), _TOGETHER):
        part = tasks[first : first + _TOGETHER]
        solutions += train_all(part, device, method=method, seed=seed, **options)
        if progress is not None:
            found = sum(bool(s.score.passed) for s in solutions)
            progress(len(solutions), len(tasks), f"{found} of {len(solutions)} labelings")
    realised = 2 + sum(bool(s.score.passed) for s in solutions)
    return Capacity(n_points, realised, 2**n_points, tuple(solutions))
