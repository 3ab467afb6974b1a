"""The words of a search on a rig: when it stops, what it reads, the best so far."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from inmateria.devices.device import FloatArray
from inmateria.errors import ParameterError

Progress: TypeAlias = Callable[[int, int, str], None]
"""Called as progress(iteration, total, note); total is 0 where it is not known."""


class SearchEnded(Exception):  # noqa: N818 - not an error: budget, stop criterion or limit
    """Raised right after the request with which a search ends; `str` says why."""


@dataclass(frozen=True)
class Stop:
    """When a search has found what it was looking for.

    Parameters
    ----------
    loss : float, optional
        A reading with a loss below this.
    passed : bool
        A reading that passes the task at its training points, and passes again
        when its setting is read a second time: of many noisy readings one passes
        by luck sooner or later.
    iterations : int, optional
        This many requests, whatever they gave.
    """

    loss: float | None = None
    passed: bool = False
    iterations: int | None = None

    def __post_init__(self) -> None:
        if self.loss is not None and math.isnan(self.loss):
            raise ParameterError("stop at a loss of NaN; give a number")
        if self.iterations is not None and self.iterations < 1:
            raise ParameterError(f"stop after {self.iterations} iterations; give 1 or more")


@dataclass(frozen=True, eq=False)
class Reading:
    """What settings gave at the training points.

    Parameters
    ----------
    current_na : (n_settings, n_points) array, nA
        NaN where the output was clipped.
    measurements : int
    device_s : float, s
        Both counted from the start of the search, this reading included.
    replayed : bool
        Whether it comes from the log.
    """

    current_na: FloatArray
    measurements: int
    device_s: float
    replayed: bool


@dataclass(frozen=True, eq=False)
class BestSoFar:
    """The best setting: one that passes at the training points, then the lowest loss.

    Parameters
    ----------
    controls : (n_controls,) array, V
    current_na : (n_points,) array, nA
        As read at the training points, noise and its luck included.
    loss : float
    passed : bool
    device_s : float, s
        Of the search, when it was found.
    iteration : int
        Request that found it, from 1.
    """

    controls: FloatArray
    current_na: FloatArray
    loss: float
    passed: bool
    device_s: float
    iteration: int

    def beats(self, other: BestSoFar | None) -> bool:
        """Whether this is to be kept instead."""
        if other is None or self.passed != other.passed:
            return other is None or self.passed
        return self.loss < other.loss
