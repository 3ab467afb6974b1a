"""What was measured when found controls were applied to a device."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inmateria.atomic import write_text
from inmateria.devices.device import FloatArray
from inmateria.tasks.task import BoolArray


@dataclass(frozen=True)
class StripPlateau:
    """One point held for a while: when it is averaged (s), which point, its level (nA)."""

    start_s: float
    stop_s: float
    point: int
    level_na: float


@dataclass(frozen=True, eq=False)
class Strip:
    """The recording of the first repetition.

    Parameters
    ----------
    time_s, current_na : (n_samples,) arrays
    plateaus : sequence of StripPlateau, in order of time
    """

    time_s: FloatArray
    current_na: FloatArray
    plateaus: tuple[StripPlateau, ...]


@dataclass(frozen=True)
class Noise:
    """How far repeated levels scatter, nA.

    Parameters
    ----------
    level_na : float
        Standard deviation of one level (the mean over one hold) around its
        point's mean over repetitions, drift included. With one repetition
        only, the deviation of samples within a hold stands in.
    drift_na : float
        Standard deviation over repetitions of what all points share: the part
        that is slower than a repetition. NaN with one repetition.
    fast_na : float
        Standard deviation of a level when each repetition's common shift is
        taken out. NaN with one repetition.
    sample_na : float
        Standard deviation of single samples within a hold.
    """

    level_na: float
    drift_na: float
    fast_na: float
    sample_na: float


@dataclass(frozen=True, eq=False)
class Verification:
    """A solution on the device, measured.

    Parameters
    ----------
    task, inputs, controls, output
        As in `Solution`.
    criterion : str
        The task's.
    points : (n_points, n_inputs) array, V
    target : (n_points,) array
    states : (n_points, n_inputs) bool array
        Whether each input is in the upper half of the levels it takes.
    levels_na : (repetitions, n_points) array, nA
        Mean over each hold.
    level_na : (n_points,) array, nA
        Mean over repetitions; what is judged.
    noise : Noise
    margin_na : float, nA
        The task's margin of `level_na`.
    margin_in_noise : float
        The margin over `noise.level_na`; infinite without noise.
    threshold_na : float, nA
        NaN where there is none.
    accuracy : float
        The task's accuracy of `level_na`.
    accuracy_single : float
        Share of single levels, one hold each, on their side of the threshold
        (for tasks without one: the mean of the repetitions' accuracies).
    passed : bool
    reasons : sequence of str
        Why not, one sentence each; empty when passed.
    n_sigma : float
        Margin demanded, in units of noise.
    predicted_na : (n_points,) array, nA
        What the surrogate, or else the solution itself, expects.
    predicted_margin_na : float, nA
    disagreement_na, disagreement_in_noise : (n_points,) arrays
        Measured minus predicted.
    offset_na : float, nA
        What the disagreements have in common: their mean. Drift since the
        device was sampled, or a bias of the model; a threshold follows it.
    clipped : int
        Holds in which the chain clipped: their levels are bounds.
    measurements : int
        Points held.
    device_s : float
        Time on the rig, s.
    fidelity : str
        ``"simulation"`` or ``"measurement"``.
    rig : mapping
        `rig.describe()`.
    strip : Strip
    """

    task: str
    inputs: tuple[str, ...]
    controls: Mapping[str, float]
    output: str
    criterion: str
    points: FloatArray
    target: FloatArray
    states: BoolArray
    levels_na: FloatArray
    level_na: FloatArray
    noise: Noise
    margin_na: float
    margin_in_noise: float
    threshold_na: float
    accuracy: float
    accuracy_single: float
    passed: bool
    reasons: tuple[str, ...]
    n_sigma: float
    predicted_na: FloatArray
    predicted_margin_na: float
    disagreement_na: FloatArray
    disagreement_in_noise: FloatArray
    offset_na: float
    clipped: int
    measurements: int
    device_s: float
    fidelity: str
    rig: Mapping[str, Any]
    strip: Strip

    def to_dict(self) -> dict[str, Any]:
        """Everything but the strip, as plain JSON values; NaN and infinity as None."""
        return {
            "schema": "inmateria.verification",
            "schema_version": 1,
            "task": self.task,
            "inputs": list(self.inputs),
            "controls_v": dict(self.controls),
            "output": self.output,
            "criterion": self.criterion,
            "points_v": self.points.tolist(),
            "target": self.target.tolist(),
            "level_na": self.level_na.tolist(),
            "levels_na": self.levels_na.tolist(),
            "noise_na": {
                "level": _number(self.noise.level_na),
                "drift": _number(self.noise.drift_na),
                "fast": _number(self.noise.fast_na),
                "sample": _number(self.noise.sample_na),
            },
            "margin_na": self.margin_na,
            "margin_in_noise": _number(self.margin_in_noise),
            "threshold_na": _number(self.threshold_na),
            "accuracy": self.accuracy,
            "accuracy_single": self.accuracy_single,
            "passed": self.passed,
            "reasons": list(self.reasons),
            "n_sigma": self.n_sigma,
            "predicted_na": self.predicted_na.tolist(),
            "predicted_margin_na": self.predicted_margin_na,
            "disagreement_na": self.disagreement_na.tolist(),
            "offset_na": self.offset_na,
            "clipped": self.clipped,
            "measurements": self.measurements,
            "device_s": self.device_s,
            "fidelity": self.fidelity,
            "rig": dict(self.rig),
        }

    def save(self, path: str | Path) -> Path:
        """Write `to_dict` as JSON, all or nothing.

        Raises
        ------
        StorageError
        """
        return write_json(path, self.to_dict())


def write_json(path: str | Path, values: Mapping[str, Any]) -> Path:
    """Write JSON, all or nothing.

    Raises
    ------
    StorageError
    """
    return write_text(Path(path), json.dumps(values, indent=1) + "\n")


def noise_of(levels: FloatArray, deviations: NDArray[np.float64]) -> Noise:
    """Scatter of levels.

    Drift as 1/f^1.5 has no finite variance over long times: what counts as one
    level's noise depends on how long the whole series takes. The raw scatter
    (`level_na`) contains it, as a fixed threshold would see it; `fast_na` is
    what is left when each repetition's common shift is removed, with
    (repetitions - 1) (points - 1) degrees of freedom.

    Parameters
    ----------
    levels : (repetitions, n_points) array, nA
    deviations : (repetitions, n_points) array, nA
        Standard deviation of the samples within each hold.
    """
    n_repetitions, n_points = levels.shape
    sample = float(np.sqrt(np.mean(deviations**2)))
    if n_repetitions < 2:
        return Noise(sample, np.nan, np.nan, sample)
    away = levels - levels.mean(axis=0)
    shift = away.mean(axis=1, keepdims=True)
    freedom = n_repetitions - 1
    fast = away - shift
    return Noise(
        level_na=float(np.sqrt(np.sum(away**2) / (freedom * n_points))),
        drift_na=float(np.sqrt(np.sum(shift**2) / freedom)),
        fast_na=float(np.sqrt(np.sum(fast**2) / (freedom * max(n_points - 1, 1)))),
        sample_na=sample,
    )


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
