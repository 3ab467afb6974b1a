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
"""More points than this are visited in a shuffled order, with references between them.

Hundreds of points take long enough for the current to drift by nanoamperes. On the short way
through them one class comes after the other, and drift would look like the difference that is to
be learnt; shuffled, it is noise. A reference point, the centre of the inputs at the same controls,
is visited every few points: what it drifts by is taken off the others.
"""

REFERENCE_EVERY = 4
_REFERENCE = -1


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
    reference_every : int
        Points between two visits of the reference, 0 for none; nothing where the
        points are few.

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
    reference_every: int = REFERENCE_EVERY

    def __post_init__(self) -> None:
        if not (math.isfinite(self.hold_s) and round(self.hold_s * self.rig.rate) >= 1):
            raise ParameterError(
                f"hold_s = {self.hold_s} s; hold a sample or more, {1 / self.rig.rate:g} s"
            )
        if not 0 <= self.settle_s < math.inf:
            raise ParameterError(f"settle_s = {self.settle_s} s; give 0 s or more")
        if self.reference_every < 0:
            raise ParameterError(f"reference_every = {self.reference_every}; give 0 or more points")

    @cached_property
    def visit(self) -> NDArray[np.intp]:
        """Points in order of visit, -1 for the reference."""
        n = int(self.which.sum())
        if n <= _MANY:
            return np.arange(n)
        shuffled = np.random.default_rng(n).permutation(n)
        if not self.reference_every:
            return shuffled
        between = np.arange(0, n, self.reference_every)
        return np.append(np.insert(shuffled, between, _REFERENCE), _REFERENCE)

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
        level = np.empty((len(settings), int(self.which.sum())))
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
            level[k] = self._levels(mean if k % 2 == 0 else mean[::-1])
        return level

    def extract(self, setting: FloatArray, estimator: GradientEstimator) -> dict[str, Any]:
        """Gradients of the task's output at all points of a setting, as arrays by name."""
        found = estimator.extract(self._path(setting[None])[0])
        point = self.visit != _REFERENCE
        back = np.flatnonzero(point)[np.argsort(self.visit[point])]
        linearity = found.linearity
        known = found.defined[:, self.output]
        return {
            "value": found.value[back, self.output],
            "standard_error": found.standard_error[back, self.output],
            "current_na": self._levels(found.current[:, self.output], known),
            "problem": found.problem[back, self.output].tolist(),
            "linearity": None if linearity is None else linearity[back, self.output],
            "measurements": found.measurements,
        }

    def _levels(self, current: FloatArray, known: NDArray[np.bool_] | None = None) -> FloatArray:
        """Currents in order of visit to those of the points in their order, less the drift.

        The drift is the reference's departure from its mean, on a line between two visits.
        """
        point = self.visit != _REFERENCE
        level = np.empty(int(point.sum()))
        level[self.visit[point]] = current[point]
        seen = ~point & np.isfinite(current) & (True if known is None else known)
        if seen.any():
            place = np.flatnonzero(seen)
            drift = np.interp(np.flatnonzero(point), place, current[seen]) - current[seen].mean()
            level[self.visit[point]] -= drift
        return level

    def _path(self, settings: FloatArray) -> FloatArray:
        """Voltages in order of visit, (n_settings, n_points, n_terminals) V.

        Every other setting is visited backwards, so that ramps stay short.
        """
        voltage = task_voltage(self.task, self.rig, settings)[:, self.which]
        path = voltage[:, np.maximum(self.visit, 0)]
        path[:, self.visit == _REFERENCE] = voltage.mean(axis=1, keepdims=True)
        path[1::2] = path[1::2, ::-1].copy()
        return path
