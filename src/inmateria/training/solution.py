"""What every training method returns: controls, score, history and cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from inmateria.errors import ModelFileError, SchemaVersionError
from inmateria.tasks.description import task_from_description
from inmateria.tasks.task import Score, Task
from inmateria.training.verification import write_json

SCHEMA = "inmateria.solution"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Cost:
    """What a search took.

    Parameters
    ----------
    measurements : int
        Operating points asked of the device or model that was trained on.
    device_s : float
        Time a physical (or simulated) rig was playing, s; zero in silico.
    wall_s : float
        Time on the clock, s; shared evenly by tasks that were trained together.
    """

    measurements: int
    device_s: float
    wall_s: float


@dataclass(frozen=True)
class Solution:
    """Control voltages for a task, and how they were found.

    Parameters
    ----------
    task : str
        Name of the task.
    task_description : mapping
        `task.describe()`; `task_from_description` makes the task again.
    inputs : terminal names
    controls : mapping of terminal name to voltage, V
    score : Score
        Of the winner, as the trained device or model sees it; on a rig, of a fresh
        reading after the search.
    current_na : one current per point of the task, nA
        What it is expected to give, or gave in that reading.
    output : str
        Output that is read.
    method : str
    seed : int
    cost : Cost
    history : sequence of mappings
        One per recorded step, numbers by name: ``step``, ``loss_best``,
        ``loss_mean``, ``margin_na`` in silico; ``step``, ``loss``, ``loss_best``,
        ``accuracy``, ``margin_na``, ``passed``, ``device_s`` (and controls and loss
        gradient after a gradient) on a rig.
    device : mapping
        `device.describe()` of what it was trained on.
    """

    task: str
    task_description: Mapping[str, Any]
    inputs: tuple[str, ...]
    controls: Mapping[str, float]
    score: Score
    current_na: tuple[float, ...]
    output: str
    method: str
    seed: int
    cost: Cost
    history: tuple[Mapping[str, float], ...] = ()
    device: Mapping[str, Any] = field(default_factory=dict)

    def make_task(self) -> Task:
        """The task again, if it is one of inmateria's own."""
        return task_from_description(self.task_description)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "task": self.task,
            "task_description": dict(self.task_description),
            "inputs": list(self.inputs),
            "controls_v": dict(self.controls),
            "score": self.score.to_dict(),
            "current_na": list(self.current_na),
            "output": self.output,
            "method": self.method,
            "seed": self.seed,
            "cost": {
                "measurements": self.cost.measurements,
                "device_s": self.cost.device_s,
                "wall_s": self.cost.wall_s,
            },
            "history": [dict(step) for step in self.history],
            "device": dict(self.device),
        }

    def save(self, path: str | Path) -> Path:
        """Write JSON, all or nothing.

        Raises
        ------
        StorageError
        """
        return write_json(path, self.to_dict())

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Solution:
        """A solution from `to_dict`'s values.

        Raises
        ------
        ModelFileError, SchemaVersionError
        """
        if values.get("schema") != SCHEMA:
            raise ModelFileError(f"schema is {values.get('schema')!r}; expected {SCHEMA!r}")
        version = values.get("schema_version")
        if not isinstance(version, int) or version > SCHEMA_VERSION:
            raise SchemaVersionError(
                f"solution has schema version {version}; this inmateria reads up to "
                f"{SCHEMA_VERSION}: upgrade it"
            )
        try:
            score, cost = values["score"], values["cost"]
            threshold = score["threshold_na"]
            return cls(
                task=str(values["task"]),
                task_description=dict(values["task_description"]),
                inputs=tuple(str(name) for name in values["inputs"]),
                controls={str(k): float(v) for k, v in values["controls_v"].items()},
                score=Score(
                    np.array(score["margin_na"], dtype=np.float64),
                    np.array(score["accuracy"], dtype=np.float64),
                    np.array(score["passed"], dtype=np.bool_),
                    np.array(np.nan if threshold is None else threshold, dtype=np.float64),
                ),
                current_na=tuple(float(v) for v in values["current_na"]),
                output=str(values["output"]),
                method=str(values["method"]),
                seed=int(values["seed"]),
                cost=Cost(
                    int(cost["measurements"]), float(cost["device_s"]), float(cost["wall_s"])
                ),
                history=tuple(dict(step) for step in values["history"]),
                device=dict(values["device"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelFileError(
                f"solution is damaged ({type(error).__name__}: {error}); train it again"
            ) from error


def load_solution(path: str | Path) -> Solution:
    """Read what `Solution.save` wrote.

    Raises
    ------
    ModelFileError
        If the file is missing, is not JSON or lacks something.
    SchemaVersionError
        If a newer inmateria wrote it.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelFileError(f"no solution read from {path}: {error.strerror}") from error
    except ValueError as error:
        raise ModelFileError(f"{path} is not a solution file (damaged JSON: {error})") from error
    if not isinstance(values, dict):
        raise ModelFileError(f"{path} is not a solution file; expected a JSON object")
    try:
        return Solution.from_dict(values)
    except (ModelFileError, SchemaVersionError) as error:
        raise type(error)(f"{path}: {error}") from error
