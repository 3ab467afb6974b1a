"""A task's points on a rig: what to play for them, how long it takes, what was read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inmateria.devices.device import FloatArray
from inmateria.errors import ParameterError
from inmateria.gradients.gradient import GradientEstimator
from inmateria.rigs.guard import Guard
from inmateria.signals.waveforms import plateaus
from inmateria.tasks.task import Task, task_voltage

_MANY = 8
"""More points than this are visited in a shuffled order.

Hundreds of points take long enough for the current to drift by nanoamperes. On the short way
through them one class comes after the other, and drift would look like the difference that is to
be learnt; shuffled, it is noise. Ramps become longer, by some milliseconds a point.
"""


@dataclass(frozen=True, eq=False)
class PointsOnRig:
    """Some of a task's points, visited as plateaus or handed to an estimator.

    Parameters
    ----------
    task : Task
    rig : Guard
    which : (n_task_points,) bool array
    output : int
    hold_s, settle_s : float, s
        Averaged at each point, and waited before.

    Raises
    ------
    ParameterError
    """

    task: Task
    rig: Guard
    which: NDArray[np.bool_]
    output: int
    hold_s: float
    settle_s: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.hold_s) and round(self.hold_s * self.rig.rate) >= 1):
            raise ParameterError(
                f"hold_s = {self.hold_s} s; hold a sample or more, {1 / self.rig.rate:g} s"
            )
        if not 0 <= self.settle_s < math.inf:
            raise ParameterError(f"settle_s = {self.settle_s} s; give 0 s or more")

    @cached_property
    def order(self) -> NDArray[np.intp]:
        """Order of visit."""
        n = int(self.which.sum())
        return np.random.default_rng(n).permutation(n) if n > _MANY else np.arange(n)

    def seconds(self, settings: FloatArray) -> float:
        """Time that `measure` takes for settings (n_settings, n_controls), s."""
        path = self._path(settings)
        way = np.vstack([self.rig.last_voltage[None], path.reshape(-1, path.shape[-1])])
        rate = self.rig.rate
        ramp = np.ceil(np.abs(np.diff(way, axis=0)).max(axis=1) * rate / self.rig.slew_v_per_s)
        held = (len(way) - 1) * (round(self.hold_s * rate) + round(self.settle_s * rate))
        return float((ramp.sum() + held) / rate)

    def measure(self, settings: FloatArray, *, keep_clipped: bool = False) -> FloatArray:
        """Visit all points at each setting.

        Parameters
        ----------
        settings : (n_settings, n_controls) array, V
        keep_clipped : bool
            Take the converter's limit for a reading. Otherwise it is NaN.

        Returns
        -------
        (n_settings, n_points) array, nA

        Raises
        ------
        VoltageLimitError
            If a setting lies outside the ranges; nothing of it was played.
        """
        path = self._path(settings)
        level = np.empty(path.shape[:2])
        for k, points in enumerate(path):
            waveform = plateaus(
                points,
                rate=self.rig.rate,
                hold_s=self.hold_s,
                settle_s=self.settle_s,
                slew_v_per_s=self.rig.slew_v_per_s,
                start=self.rig.last_voltage,
            )
            current = self.rig.play(waveform)[self.output]
            mean = waveform.plateau_mean(current)
            held = np.abs(current[waveform.segment >= 0]).reshape(len(points), -1)
            if not keep_clipped:
                mean[held.max(axis=1) >= self.rig.current_range_na] = np.nan
            level[k, self.order if k % 2 == 0 else self.order[::-1]] = mean
        return level

    def extract(self, setting: FloatArray, estimator: GradientEstimator) -> dict[str, Any]:
        """Gradients of the task's output at all points of a setting, as arrays by name."""
        voltage = task_voltage(self.task, self.rig, setting)[self.which]
        found = estimator.extract(voltage[self.order])
        back = np.argsort(self.order)
        linearity = found.linearity
        return {
            "value": found.value[back, self.output],
            "standard_error": found.standard_error[back, self.output],
            "current_na": found.current[back, self.output],
            "problem": found.problem[back, self.output].tolist(),
            "linearity": None if linearity is None else linearity[back, self.output],
            "measurements": found.measurements,
        }

    def _path(self, settings: FloatArray) -> FloatArray:
        """Voltages in order of visit, (n_settings, n_points, n_terminals) V.

        Every other setting is visited backwards, so that ramps stay short.
        """
        path = task_voltage(self.task, self.rig, settings)[:, self.which][:, self.order]
        path[1::2] = path[1::2, ::-1].copy()
        return path
