"""A task on a rig: the only road of a training method to the device.

A method asks for readings (plateaus at the training points) or gradients; here
they are played or served from the log, device seconds are counted, the best
setting is kept and the search is ended. Test points are played by
`measure_best` alone, after the search.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray, Terminal
from inmateria.errors import ConfigurationError, ParameterError, ShapeError, TrainingError
from inmateria.gradients.gradient import CLIPPED, Gradient, GradientEstimator
from inmateria.rigs.guard import Guard
from inmateria.tasks.task import Task, control_terminals, output_index
from inmateria.training.points_on_rig import REFERENCE_EVERY, PointsOnRig
from inmateria.training.rig_loss import TaskLoss, training_score
from inmateria.training.search import BestSoFar, Progress, Reading, SearchEnded, Stop
from inmateria.training.search_log import CONFIRM, FINAL, NOTE, SearchLog
from inmateria.training.window_file import WindowFile

_SAME_V = 1e-6  # below any converter's step, above what the threads of a BLAS may change

__all__ = ["BestSoFar", "Progress", "Reading", "SearchEnded", "Stop", "TaskOnRig"]


@runtime_checkable
class CountsCalls(Protocol):
    """An estimator that draws anew at each call: it has to know of those served from a log."""

    call: int


class TaskOnRig:
    """A task set on a guarded rig.

    Parameters
    ----------
    task : Task
    rig : Guard
    output : str or int
    loss : str, optional
        A key of `LOSSES`; `RIG_LOSS` chooses by the task's criterion.
    scale_na : float, optional, nA
        Of the loss.
    hold_s, settle_s : float, s
        Averaged at each point, and waited before.
    reference_every : int
        Of many points, how many are visited between two visits of a reference
        that takes the drift out; 0 for none.
    budget_s : float, optional, s
        Device time of the search, set-up and ramps included. A request that
        would not end within it is not begun.
    stop : Stop, optional
    log : SearchLog, optional
        Requests that it holds already are served from it.
    progress : callable, optional
    windows : WindowFile, optional
        Shown what tones read, for those who watch.

    Attributes
    ----------
    terminals : tuple of Terminal
        Controls, in the device's order.
    low_v, high_v : (n_controls,) arrays, V
        Their ranges, narrowed to the guard's limits.
    target : (n_points,) array
        Of the training points.
    best : BestSoFar or None
    history : list of dict
        A line for each iteration; see `Solution`.
    labels : dict
        Numbers that go with every line from now on, such as the restart.
    expected_iterations : int or None
        A method that knows how many it will need at most says so here.

    Raises
    ------
    TaskError, ParameterError, TrainingError
    """

    def __init__(
        self,
        task: Task,
        rig: Guard,
        *,
        output: str | int = 0,
        loss: str | None = None,
        scale_na: float | None = None,
        hold_s: float = 0.02,
        settle_s: float = 0.015,
        reference_every: int = REFERENCE_EVERY,
        budget_s: float | None = None,
        stop: Stop | None = None,
        log: SearchLog | None = None,
        progress: Progress | None = None,
        windows: WindowFile | None = None,
    ) -> None:
        if budget_s is not None and not 0 < budget_s < math.inf:
            raise ParameterError(f"budget_s = {budget_s} s; give more than 0 s, or None")
        self.task, self.rig = task, rig
        self.terminals: tuple[Terminal, ...] = control_terminals(task, rig)
        self.low_v = np.array([t.low_v for t in self.terminals])
        self.high_v = np.array([t.high_v for t in self.terminals])
        self.output = output_index(rig, output)
        self.target: FloatArray = np.asarray(task.target[task.train], dtype=np.float64)
        self.n_points = int(self.target.size)
        self.loss = TaskLoss(task, loss, scale_na)
        self.points = PointsOnRig(
            task, rig, task.train, self.output, hold_s, settle_s, reference_every
        )
        self.budget_s = budget_s
        self.stop = Stop() if stop is None else stop
        self.log = log
        self.expected_iterations: int | None = None
        self.spent_s, self.wall_s = 0.0, 0.0
        self.measurements, self.iterations = 0, 0
        self.best: BestSoFar | None = None
        self.history: list[dict[str, float]] = []
        self.labels: dict[str, float] = {}
        self.ended = "the method is done"
        self._setup_s = 0.0
        self._lowest = math.inf
        self._last_s: dict[int, float] = {}
        self._progress, self._windows = progress, windows
        self._clock = time.perf_counter()

    def loss_of(self, current_na: ArrayLike) -> FloatArray:
        """(..., n_points) nA to the task's loss, (...); infinite where a point is NaN."""
        return self.loss(current_na)

    def loss_gradient(self, current_na: ArrayLike) -> FloatArray:
        """dE/dI, (n_points,) nA to (n_points,) 1/nA."""
        return self.loss.slope(current_na)

    def measure(self, controls: ArrayLike) -> Reading:
        """Visit the training points at settings, noise on; one iteration.

        Parameters
        ----------
        controls : (n_settings, n_controls) array, V

        Raises
        ------
        SearchEnded
            If this does not fit the budget, or was the last reading that was needed.
        VoltageLimitError
            If a setting lies outside the ranges.
        """
        settings = self._checked(controls, ndim=2)
        answer, replayed = self._request(
            "measure",
            settings,
            lambda: self._levels(settings),
            seconds=lambda: self.points.seconds(settings),
        )
        current = np.array(answer["current_na"], dtype=np.float64)
        self._keep(settings, current)
        self._show_and_stop()
        return Reading(current, self.measurements, self.spent_s, replayed)

    def extract(
        self, controls: ArrayLike, estimator: GradientEstimator, *, seconds: float = 0.0
    ) -> Gradient:
        """Gradients at all training points; one iteration.

        Parameters
        ----------
        controls : (n_controls,) array, V
        estimator : GradientEstimator
            On this rig, with this task's controls.
        seconds : float
            Device time that it will take at least, where the caller knows.

        Returns
        -------
        Gradient
            Of the task's output alone: `.value` (n_points, n_controls),
            `.current` and `.problem` (n_points,).

        Raises
        ------
        SearchEnded, VoltageLimitError
        """
        setting = self._checked(controls, ndim=1)
        names = tuple(t.name for t in self.terminals)
        if estimator.controls != names:
            raise TrainingError(
                f"the estimator differentiates by {', '.join(estimator.controls)}, task "
                f"{self.task.name} leaves the controls {', '.join(names)}; make one for these"
            )
        answer, replayed = self._request(
            "extract",
            setting,
            lambda: self.points.extract(setting, estimator),
            seconds=lambda: max(seconds, self._last_s.get(id(estimator), 0.0)),
        )
        self._last_s[id(estimator)] = float(answer["device_s"])
        if replayed and isinstance(estimator, CountsCalls):
            estimator.call += 1
        if self._windows is not None and not replayed:
            self._windows.show(
                estimator, iteration=self.iterations, output=self.output, controls=names
            )
        gradient = _gradient_of(answer, names)
        # Kept only where all points could be read; a clipped current is no reading.
        current = np.where(gradient.problem == CLIPPED, np.nan, gradient.current)
        row = self._keep(setting[None], current[None])
        value, error = self.loss.chain(gradient)
        row["points_left_out"] = float((~gradient.defined).sum())
        for m, name in enumerate(names):
            row[f"control_v.{name}"] = float(setting[m])
            row[f"gradient_per_v.{name}"] = float(value[m])
            row[f"gradient_error_per_v.{name}"] = float(error[m])
        self._show_and_stop()
        return gradient

    def set_up(
        self, name: str, run: Callable[[Guard], Mapping[str, Any]], *, seconds: float = 0.0
    ) -> dict[str, Any]:
        """What a method does on the rig before it begins, such as a calibration.

        It is logged like a request, so that a resumed search does not repeat it.

        Parameters
        ----------
        name : str
        run : callable
            Given the rig, gives plain JSON values; among them ``device_s``
            where more was played than this session did.
        seconds : float
            Device time that it will take at least.
        """

        def play() -> dict[str, Any]:
            result = dict(run(self.rig))
            return {"measurements": 0, "result": result, "device_s": result.get("device_s", 0.0)}

        answer, _ = self._request("setup", name, play, seconds=lambda: seconds)
        self._setup_s += float(answer["device_s"])
        return dict(answer["result"])

    def note(self, **fields: float) -> None:
        """Add numbers to the last line of the history; logged."""
        numbers = {name: float(value) for name, value in fields.items()}
        if self.history:
            self.history[-1].update(numbers)
        self._log_note(numbers)

    def remark(self, text: str) -> None:
        """Say something in words; shown and logged."""
        if self._progress is not None:
            self._progress(self.iterations, self._total(), text)
        self._log_note({"text": text})

    def measure_best(self) -> FloatArray:
        """The best setting at all points of the task, test points too, (n_all_points,) nA.

        After the search: what it takes is counted, but not against the budget.

        Raises
        ------
        TrainingError
            If no setting could be read.
        """
        if self.best is None:
            raise TrainingError(
                f"no setting of task {self.task.name} could be read ({self.ended}): the output was "
                f"clipped at {self.rig.current_range_na:g} nA each time; use a converter with a "
                "larger range"
            )
        controls = self.best.controls
        answer = None if self.log is None else self.log.final(controls.tolist())
        if answer is None:
            everywhere = PointsOnRig(
                self.task,
                self.rig,
                np.ones_like(self.task.train),
                self.output,
                self.points.hold_s,
                self.points.settle_s,
                self.points.reference_every,
            )
            began = self.rig.played_s
            current = everywhere.measure(controls[None], keep_clipped=True)[0]
            answer = {"controls": controls.tolist(), "current_na": current.tolist()}
            answer |= {"measurements": current.size, "ended": self.ended}
            answer = self._finish(FINAL, answer, began)
        self._count(answer)
        return np.array(answer["current_na"], dtype=np.float64)

    def end(self, reason: str) -> None:
        """Say in the log why this session ends, if it asked for anything."""
        if self.spent_s > 0 or self.iterations:
            self._log_note({"ended": reason})

    def _checked(self, controls: ArrayLike, *, ndim: int) -> FloatArray:
        values = np.array(controls, dtype=np.float64)
        if values.ndim != ndim or values.shape[-1] != len(self.terminals) or values.size == 0:
            wanted = "n_settings, " if ndim == 2 else ""
            raise ShapeError(
                f"controls have shape {values.shape}; give ({wanted}{len(self.terminals)},)"
            )
        return values

    def _request(
        self,
        kind: str,
        asked: FloatArray | str,
        play: Callable[[], dict[str, Any]],
        *,
        seconds: Callable[[], float],
    ) -> tuple[dict[str, Any], bool]:
        """Serve a request from the log, or play and log it; whether it was served."""
        logged = None if self.log is None else self.log.serve()
        if logged is None:
            self._check_budget(kind, seconds())
            began = self.rig.played_s
            answer = self._finish(kind, {"asked": asked, **play()}, began)
        else:
            self._refuse_other(kind, asked, logged)
            answer = logged
        self._count(answer)
        self.iterations += kind not in ("setup", CONFIRM)
        return answer, logged is not None

    def _finish(self, kind: str, answer: dict[str, Any], began: float) -> dict[str, Any]:
        """Add what it took to an answer, and log it."""
        now = time.perf_counter()
        answer["device_s"] = max(self.rig.played_s - began, answer.get("device_s", 0.0))
        answer["wall_s"], self._clock = now - self._clock, now
        entry = {"kind": kind, **answer}
        if self.log is not None:
            self.log.append(entry)
        return entry

    def _refuse_other(self, kind: str, asked: FloatArray | str, logged: Mapping[str, Any]) -> None:
        was = logged.get("asked")
        same = logged["kind"] == kind
        if same and isinstance(asked, str):
            same = was == asked
        elif same:
            before = np.array(was, dtype=np.float64)
            same = before.shape == np.shape(asked) and np.allclose(
                before, np.asarray(asked), rtol=0, atol=_SAME_V
            )
        if not same:
            assert self.log is not None
            raise ConfigurationError(
                f"{self.log.path} is the log of another search: request {self.iterations + 1} was "
                f"to {logged['kind']} {_short(was)} and is to {kind} {_short(asked)} now; "
                "name another log"
            )

    def _check_budget(self, kind: str, seconds: float) -> None:
        if self.budget_s is None or self.spent_s + seconds <= self.budget_s:
            return
        if self.iterations == 0:
            spent = f"set-up took {self._setup_s:.3g} s and " if self._setup_s else ""
            what = "set-up" if kind == "setup" else "one iteration"
            raise TrainingError(
                f"a budget of {self.budget_s:g} s is too small for task {self.task.name}: {spent}"
                f"{what} takes {seconds:.3g} s; give {self.spent_s + seconds:.3g} s or more"
            )
        self._end(f"the budget of {self.budget_s:g} s is spent")

    def _count(self, answer: Mapping[str, Any]) -> None:
        self.spent_s += float(answer["device_s"])
        self.wall_s += float(answer["wall_s"])
        self.measurements += int(answer["measurements"])

    def _log_note(self, fields: Mapping[str, Any]) -> None:
        if self.log is not None and self.log.n_left == 0:
            self.log.append({"kind": NOTE, "iteration": self.iterations, **fields})

    def _keep(self, settings: FloatArray, current: FloatArray) -> dict[str, float]:
        """The line of the history for (n_settings, n_points) nA; keeps the best setting."""
        loss, score = self.loss(current), training_score(self.task, current)
        first = int(np.lexsort((loss, ~score.passed))[0])
        found = BestSoFar(
            settings[first].copy(),
            current[first].copy(),
            float(loss[first]),
            bool(score.passed[first]),
            self.spent_s,
            self.iterations,
        )
        if found.passed and self.stop.passed:
            found = replace(found, passed=self._passes_again(found.controls))
        if np.isfinite(found.loss) and found.beats(self.best):
            self.best = found
        self._lowest = min(self._lowest, float(loss.min()))
        self.history.append(
            {
                "step": float(self.iterations),
                "loss": found.loss,
                "loss_best": self._lowest,
                "accuracy": float(score.accuracy[first]),
                "margin_na": float(score.margin_na[first]),
                "passed": float(found.passed),
                "device_s": self.spent_s,
                **self.labels,
            }
        )
        return self.history[-1]

    def _passes_again(self, controls: FloatArray) -> bool:
        """Whether a second reading of a setting passes too."""
        settings = controls[None]
        answer, _ = self._request(
            CONFIRM,
            settings,
            lambda: self._levels(settings),
            seconds=lambda: self.points.seconds(settings),
        )
        current = np.array(answer["current_na"], dtype=np.float64)
        return bool(training_score(self.task, current).passed[0])

    def _levels(self, settings: FloatArray) -> dict[str, Any]:
        current = self.points.measure(settings)
        return {"measurements": current.size, "current_na": current}

    def _show_and_stop(self) -> None:
        row = self.history[-1]
        if self._progress is not None:
            self._progress(
                self.iterations,
                self._total(),
                f"loss {row['loss']:.3g} (best {row['loss_best']:.3g}), "
                f"accuracy {row['accuracy']:.1%}, {self.spent_s:.1f} s on the rig",
            )
        if self.stop.passed and row["passed"]:
            self._end("the task is passed at its training points")
        if self.stop.loss is not None and self._lowest < self.stop.loss:
            self._end(f"the loss {self._lowest:.3g} is below {self.stop.loss:g}")
        if self.stop.iterations is not None and self.iterations >= self.stop.iterations:
            self._end(f"{self.iterations} iterations are done")

    def _end(self, reason: str) -> None:
        self.ended = reason
        raise SearchEnded(reason)

    def _total(self) -> int:
        """Iterations that there will be at most, as far as can be told; else 0."""
        known = [n for n in (self.stop.iterations, self.expected_iterations) if n is not None]
        searched = self.spent_s - self._setup_s
        if self.budget_s is not None and self.iterations and searched > 0:
            each = searched / self.iterations
            known.append(max(self.iterations, int((self.budget_s - self._setup_s) / each)))
        return min(known, default=0)


def _gradient_of(answer: Mapping[str, Any], controls: tuple[str, ...]) -> Gradient:
    linearity = answer["linearity"]
    return Gradient(
        value=np.array(answer["value"], dtype=np.float64),
        standard_error=np.array(answer["standard_error"], dtype=np.float64),
        current=np.array(answer["current_na"], dtype=np.float64),
        controls=controls,
        problem=np.array(answer["problem"], dtype=np.str_),
        linearity=None if linearity is None else np.array(linearity, dtype=np.float64),
        measurements=int(answer["measurements"]),
        device_s=float(answer["device_s"]),
    )


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else str(np.asarray(value).tolist())
    return text if len(text) <= 60 else text[:57] + "..."
