"""What genetic algorithm, CMA-ES and particle swarm share: a unit cube around the controls.

The methods work on coordinates from 0 (a control's lowest voltage) to 1 (its
highest), so that one step size means the same share of every range.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray
from inmateria.errors import ParameterError


class Readings(Protocol):
    """What a device answered to settings of its controls."""

    @property
    def current_na(self) -> FloatArray:
        """(n_settings, n_points) nA."""


class MeasuredTask(Protocol):
    """A task on a rig, as far as a method without gradients has to know it."""

    @property
    def low_v(self) -> FloatArray:
        """Lowest voltage of each control, (n_controls,) V."""

    @property
    def high_v(self) -> FloatArray:
        """Highest voltage of each control, (n_controls,) V."""

    def measure(self, controls: FloatArray) -> Readings:
        """Settings (n_settings, n_controls) V to what the device gives there."""

    def loss_of(self, current_na: FloatArray) -> FloatArray:
        """(..., n_points) nA to the task's loss, (...)."""

    def note(self, **fields: float) -> None:
        """Add numbers to the last line of the history."""


def measured_loss(task: MeasuredTask, unit: FloatArray, *, generation: int) -> FloatArray:
    """Loss of a population, (n_settings, n_controls) in the unit cube to (n_settings,).

    Settings are asked for one by one: a search ends with the first that is good
    enough, and a budget is spent to the last setting that fits. A reading that is
    not finite (a clipped output, say) counts as infinitely bad: it ranks last and
    is never a number to compute with.
    """
    controls = task.low_v + (task.high_v - task.low_v) * unit
    current = np.concatenate([task.measure(setting[None]).current_na for setting in controls])
    loss = np.asarray(task.loss_of(current), dtype=np.float64)
    loss = np.where(np.isfinite(loss), loss, np.inf)
    task.note(generation=generation, loss_median=float(np.median(loss)))
    return loss


def reflected(unit: ArrayLike) -> FloatArray:
    """Coordinates folded back into [0, 1] as by mirrors at both ends.

    A triangle wave of period 2: 1.2 becomes 0.8, -0.3 becomes 0.3. Clipping
    instead would pile settings up on the edges.
    """
    x = np.mod(np.asarray(unit, dtype=np.float64), 2.0)
    return np.asarray(np.where(x > 1.0, 2.0 - x, x))


def check_count(name: str, value: object, *, least: int) -> None:
    """Refuse what is not a whole number of `least` or more.

    Raises
    ------
    ParameterError
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ParameterError(f"{name} is {value!r}; give a whole number of {least} or more")


def check_number(name: str, value: float, *, low: float, high: float = math.inf) -> None:
    """Refuse a number outside (low, high]; the upper end is infinite by default.

    Raises
    ------
    ParameterError
    """
    if not (low < value <= high and math.isfinite(value)):
        limit = f"more than {low:g}" + ("" if math.isinf(high) else f", up to {high:g}")
        raise ParameterError(f"{name} is {value!r}; give a number of {limit}")
