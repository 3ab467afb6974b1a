"""The task of a search log: what its readings are worth, and how they are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from inmateria.devices.device import FloatArray, Terminal
from inmateria.errors import TaskError
from inmateria.gradients.gradient import CLIPPED
from inmateria.surrogates.loop import cpu_threads
from inmateria.tasks.description import task_from_description
from inmateria.training.rig_loss import TaskLoss, training_score

FEW_POINTS = 16
"""Up to here each point of a strip is named by its inputs."""


class TaskAtWork:
    """A task as the head of a search log describes it.

    Parameters
    ----------
    search : mapping
        ``task``, ``options`` and ``rig`` of the head.

    Raises
    ------
    TaskError, KeyError, TypeError, ValueError
        If it is not a task of ours.
    """

    def __init__(self, search: Mapping[str, Any]) -> None:
        self.task = task_from_description(search["task"])
        options = search.get("options", {})
        self._loss = TaskLoss(self.task, options.get("loss"), options.get("scale_na"))
        limits = search["rig"]["guard"]["limits_v"]
        self.controls = tuple(
            Terminal(name, float(low), float(high))
            for name, (low, high) in limits.items()
            if name not in self.task.inputs
        )
        share = self.task.criterion == "threshold"
        self.quality_word, self.quality_unit = {
            "threshold": ("accuracy", "%"),
            "flatness": ("room to spare", "nA"),
        }.get(self.task.criterion, ("margin", "nA"))
        described = search["task"]
        self._goal = 100 * float(described.get("min_accuracy", 0)) if share else (
            0.0 if self.task.criterion == "flatness" else float(self.task.min_margin_na)
        )  # fmt: skip
        if not self.controls:
            raise TaskError("no control is left; check the log's limits")

    def words(self) -> dict[str, Any]:
        """What the page says of the task: names, units, points and targets."""
        task = self.task
        points = task.points[task.train]
        middle = (points.min(axis=0) + points.max(axis=0)) / 2
        two_levels = all(np.unique(points[:, i]).size <= 2 for i in range(points.shape[1]))
        labels = None
        if len(points) <= FEW_POINTS:
            labels = [
                "".join(str(int(v)) for v in p > middle)
                if two_levels
                else ", ".join(f"{v:.2g}" for v in p)
                for p in points
            ]
        return {
            "task": task.name,
            "inputs": list(task.inputs),
            "quality_label": f"{self.quality_word} ({self.quality_unit})",
            "goal": self._goal,
            "labels": labels,
            "labels_are": "logic" if two_levels else "V",
            "target": task.target[task.train],
            "flat": task.criterion == "flatness",
        }

    def judge(self, readings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any] | None]:
        """Loss, quality and levels of each reading; of several settings in one, of the best.

        None for a reading whose numbers do not fit the task.
        """
        tables = [self._levels(reading) for reading in readings]
        known = [table for table in tables if table is not None]
        if not known:
            return [None] * len(tables)
        current = np.concatenate([levels for levels, _ in known])
        # One thread: the search beside us needs the cores more than we do.
        with cpu_threads(1):
            loss, score = self._loss(current), training_score(self.task, current)
        found: list[dict[str, Any] | None] = []
        first = 0
        for table in tables:
            if table is None:
                found.append(None)
                continue
            levels, settings = table
            rows = slice(first, first + len(levels))
            first += len(levels)
            at = int(np.lexsort((loss[rows], ~score.passed[rows]))[0])
            quality = score.accuracy if self.quality_unit == "%" else score.margin_na
            scale = 100.0 if self.quality_unit == "%" else 1.0
            found.append(
                {
                    "loss": float(loss[rows][at]),
                    "lowest": float(loss[rows].min()),
                    "quality": scale * float(quality[rows][at]),
                    "passed": bool(score.passed[rows][at]),
                    "threshold_na": float(score.threshold_na[rows][at]),
                    "levels_na": levels[at].tolist(),
                    "controls": settings[at].tolist(),
                    "n_settings": len(settings),
                }
            )
        return found

    def passes(self, reading: Mapping[str, Any]) -> bool:
        """Whether a reading of one setting passes."""
        table = self._levels(reading)
        return table is not None and bool(training_score(self.task, table[0][0]).passed)

    def _levels(self, reading: Mapping[str, Any]) -> tuple[FloatArray, FloatArray] | None:
        """Currents (n_settings, n_points) nA and settings (n_settings, n_controls) V."""
        try:
            current = np.atleast_2d(np.array(reading["current_na"], dtype=np.float64))
            settings = np.atleast_2d(np.array(reading["asked"], dtype=np.float64))
        except (KeyError, TypeError, ValueError):
            return None
        if "problem" in reading:
            # As in the search: a clipped current is no reading.
            clipped = np.array(reading["problem"], dtype=np.str_) == CLIPPED
            current = np.where(clipped, np.nan, current)
        due = (len(settings), int(self.task.train.sum()))
        if current.shape != due or settings.shape[1] != len(self.controls):
            return None
        return current, settings
