"""One run of a comparison: a search on the bench, then its judges.

The controls that a search gives are judged by others: verified with noise on a
fresh rig, and scored on the device itself without noise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from inmateria.data.provenance import canonical_json
from inmateria.devices.device import Device
from inmateria.errors import InMateriaError, ParameterError, StoppedError
from inmateria.rigs.guard import Guard
from inmateria.rigs.noise import PowerLawNoise
from inmateria.rigs.simulated import SimulatedRig
from inmateria.tasks.task import Task, control_terminals, task_current
from inmateria.training.compare_records import RunRecord
from inmateria.training.search import Stop
from inmateria.training.train import train
from inmateria.training.verify import verify

MANY_POINTS = 32
"""Tasks with more points have shorter holds, and are verified along a short way."""

JUDGE_SEED = 1_000_003
"""Added to a run's seed for the noise of its verification."""


@dataclass(frozen=True)
class Bench:
    """The rig of all runs, and how results are judged.

    Parameters
    ----------
    rate_hz : float
    hold_s, settle_s : float, s
        Of a reading: averaged at each point, and waited before.
    many_hold_s, many_settle_s : float, s
        The same for tasks with more than 32 points.
    noise : PowerLawNoise or None
    reserve : float
        A search stops at a reading that passes so many times better than the task
        demands: margin times this, tolerance and errors divided by it.
    repetitions : int
        Of a verification of few points; many are visited once.
    n_sigma : float
        Margin that a verification demands, in units of noise.
    """

    rate_hz: float = 10_000.0
    hold_s: float = 0.02
    settle_s: float = 0.015
    many_hold_s: float = 0.005
    many_settle_s: float = 0.005
    noise: PowerLawNoise | None = field(default_factory=PowerLawNoise)
    reserve: float = 2.0
    repetitions: int = 5
    n_sigma: float = 3.0

    def __post_init__(self) -> None:
        if not 1 <= self.reserve < math.inf:
            raise ParameterError(f"reserve is {self.reserve}; give 1 or more")
        if self.repetitions < 1:
            raise ParameterError(f"repetitions is {self.repetitions}; give 1 or more")

    def rig(self, device: Device, seed: int) -> SimulatedRig:
        """The device behind the chain, with the noise of this seed."""
        return SimulatedRig(device, rate=self.rate_hz, noise=self.noise, seed=seed)

    def holds(self, task: Task) -> dict[str, Any]:
        """`hold_s` and `settle_s` for a task."""
        if len(task.points) > MANY_POINTS:
            return {"hold_s": self.many_hold_s, "settle_s": self.many_settle_s}
        return {"hold_s": self.hold_s, "settle_s": self.settle_s}


@dataclass(frozen=True)
class Job:
    """One run that is to be done."""

    method: str
    task: Task
    seed: int
    options: Mapping[str, Any]

    @property
    def key(self) -> str:
        """What tells it from other runs on the same bench."""
        return canonical_json([self.method, self.options, self.task.describe(), self.seed])


@dataclass(frozen=True)
class Runner:
    """All that a run needs besides its job; goes to the processes that do the work."""

    device: Device
    bench: Bench
    budget_s: float
    output: str | int

    def __call__(self, job: Job) -> RunRecord:
        """Search, then judge; a method that cannot be run gives a record that says why.

        Raises
        ------
        StoppedError
        """
        try:
            return self._run(job)
        except StoppedError:
            raise
        except InMateriaError as error:
            failure = " ".join(str(error).split())
            return RunRecord(job.method, job.task.name, job.seed, failure=failure)

    def _run(self, job: Job) -> RunRecord:
        task, bench = job.task, self.bench
        solution = train(
            stricter(task, bench.reserve),
            bench.rig(self.device, job.seed),
            method=job.method,
            seed=job.seed,
            budget_s=self.budget_s,
            stop=Stop(passed=True),
            output=self.output,
            **bench.holds(task),
            **job.options,
        )
        many = len(task.points) > MANY_POINTS
        with Guard(bench.rig(self.device, JUDGE_SEED + job.seed)) as rig:
            judged = verify(
                solution,
                task,
                rig,
                repetitions=1 if many else bench.repetitions,
                order="tour" if many else "shuffled",
                n_sigma=bench.n_sigma,
                seed=job.seed,
                **bench.holds(task),
            )
        names = [t.name for t in control_terminals(task, self.device)]
        controls = [solution.controls[name] for name in names]
        exact = task.score(task_current(task, self.device, controls, output=self.output))
        rows = solution.history
        met = next((row["device_s"] for row in rows if row.get("passed")), None)
        success = met is not None and judged.passed
        return RunRecord(
            method=job.method,
            task=task.name,
            seed=job.seed,
            success=success,
            met=met is not None,
            verified=judged.passed,
            noise_free=bool(exact.passed),
            time_to_solution_s=float(met) if success and met is not None else math.nan,
            device_s=float(rows[-1]["device_s"]),
            measurements=solution.cost.measurements,
            iterations=len(rows),
            wall_s=solution.cost.wall_s,
            loss=min((row["loss"] for row in rows if "loss" in row), default=math.nan),
            accuracy=judged.accuracy,
            margin_na=judged.margin_na,
            noise_free_accuracy=float(exact.accuracy),
            noise_free_margin_na=float(exact.margin_na),
            controls=dict(solution.controls),
        )


def stricter(task: Task, reserve: float) -> Task:
    """A task that demands more by a factor; one of a kind we do not know stays as it is.

    Margins are multiplied by the reserve; the tolerance of a constant gate and the
    errors that a classification may make are divided by it.
    """
    changes: dict[str, float] = {}
    if task.criterion == "flatness" and hasattr(task, "tolerance_na"):
        tolerance = task.min_margin_na if task.tolerance_na is None else task.tolerance_na
        changes["tolerance_na"] = tolerance / reserve
    elif task.criterion == "threshold" and hasattr(task, "min_accuracy"):
        changes["min_accuracy"] = 1 - (1 - task.min_accuracy) / reserve
    elif task.criterion in ("margin", "distinct"):
        changes["min_margin_na"] = task.min_margin_na * reserve
    if not changes or not hasattr(task, "__dataclass_fields__"):
        return task
    harder: Task = replace(task, **changes)  # type: ignore[type-var]
    return harder
