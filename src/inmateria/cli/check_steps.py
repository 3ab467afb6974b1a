"""The steps of a run as `inmateria check` rehearses them: the code of the run, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from inmateria.bench.check import Stage, bounds, rehearse, rehearse_unknown
from inmateria.cli.settings import (
    DemoSettings,
    SampleSettings,
    SearchSettings,
    TaskSettings,
    VerifySettings,
)
from inmateria.errors import ConfigurationError

if TYPE_CHECKING:
    from inmateria.cli.devices import Place
    from inmateria.cli.settings import DriveSettings, TrialSettings
    from inmateria.rigs.guard import Guard
    from inmateria.tasks.task import Task
    from inmateria.training.solution import Solution


def steps_of(
    settings: SampleSettings | SearchSettings | VerifySettings | DemoSettings,
    place: Place,
    *,
    tasks: Sequence[str],
    solutions: Sequence[Path],
) -> list[Stage]:
    """What a run with these settings would send.

    Raises
    ------
    ConfigurationError, TaskError
        If it would be refused before its first step.
    """
    if isinstance(settings, SampleSettings):
        return [_sampling(settings, place)]
    if isinstance(settings, VerifySettings):
        return _verification(settings, place, solutions)
    if isinstance(settings, SearchSettings):
        return _training(settings, place, tasks)
    return _demo(settings, place)


def _sampling(settings: DriveSettings, place: Place) -> Stage:
    from inmateria.cli.steps import design_of
    from inmateria.data.sampling import play_design

    design = design_of(settings)
    return rehearse(
        "sampling", place, lambda guard: play_design(guard, design), rate_hz=settings.rate_hz
    )


def _verification(settings: VerifySettings, place: Place, files: Sequence[Path]) -> list[Stage]:
    from inmateria.cli.devices import refuse_another_device
    from inmateria.cli.steps import try_on
    from inmateria.cli.verify import solution_files
    from inmateria.training.solution import load_solution

    if not files:
        raise ConfigurationError(
            "what is verified are solutions; give what `train` wrote with --solution"
        )
    loaded = [load_solution(file) for path in files for file in solution_files(path)]
    refuse_another_device(place, solutions=loaded)

    def tried(solution: Solution) -> Stage:
        return rehearse(
            f"verifying {solution.task}",
            place,
            lambda guard: try_on(guard, settings, solution),
            rate_hz=settings.rate_hz,
        )

    return [tried(solution) for solution in loaded]


def _training(settings: SearchSettings, place: Place, typed: Sequence[str]) -> list[Stage]:
    from inmateria.cli.devices import open_model, refuse_another_device
    from inmateria.cli.tasks import task_names
    from inmateria.cli.train import method_named

    if not typed:
        raise ConfigurationError("what is trained are tasks; give them with --task XOR")
    method_named(settings.method)
    if settings.model is not None:
        model = open_model(settings.model)
        refuse_another_device(place, surrogate=model, named=settings.model)
    stages = []
    for task in _tasks(task_names(typed), place, settings):
        once = partial(_read_once, task, settings)
        rate = settings.rate_hz
        stages += [
            rehearse_unknown(f"reading {task.name} once", place, task, once, rate_hz=rate),
            bounds(f"searching {task.name}", place, seconds=settings.budget_s, rate_hz=rate),
            _trial(settings.verify, place, task),
        ]
    return stages


def _demo(settings: DemoSettings, place: Place) -> list[Stage]:
    from inmateria.bench.bench import Bench
    from inmateria.cli.demo import random_points
    from inmateria.cli.tasks import task_names
    from inmateria.data.sampling import play_design

    # Inputs that are yet to be searched stand anywhere: the first ones do here.
    stand_in = [t.name for t in place.terminals][:2]
    names = task_names(settings.tasks)
    stages = [_sampling(settings.sample, place)]
    stages += [
        _repeated(_trial(settings.verify, place, task), settings.attempts)
        for task in _tasks(names, place, settings.train, stand_in=stand_in)
    ]
    if isinstance(place, Bench):
        judging = rehearse(
            "judging the surrogate",
            place,
            lambda guard: play_design(guard, random_points(guard.rate)),
            rate_hz=place.settings.rate_hz,
        )
        stages.append(judging)
    return stages


def _tasks(
    names: Sequence[str], place: Place, settings: TaskSettings, *, stand_in: Sequence[str] = ()
) -> list[Task]:
    from inmateria.cli.steps import fixed_inputs
    from inmateria.cli.tasks import SPHERE, make_task

    inputs = fixed_inputs(settings, place) or tuple(stand_in)
    if not inputs and any(name != SPHERE for name in names):
        known = ", ".join(t.name for t in place.terminals)
        raise ConfigurationError(f"no inputs are named; give inputs = [...], two of {known}")
    return [make_task(name, place, inputs=inputs, settings=settings) for name in names]


def _read_once(task: Task, settings: SearchSettings, guard: Guard, solution: Solution) -> None:
    """The training points at one setting, which every search begins with."""
    from inmateria.tasks.task import control_terminals
    from inmateria.training.task_on_rig import TaskOnRig
    from inmateria.training.train_on_rig import RIG_OPTIONS

    options = {k: v for k, v in settings.options.items() if k in RIG_OPTIONS}
    on_rig = TaskOnRig(task, guard, budget_s=settings.budget_s, **options)
    controls = [solution.controls[t.name] for t in control_terminals(task, guard)]
    on_rig.measure([controls])


def _trial(settings: TrialSettings, place: Place, task: Task) -> Stage:
    from inmateria.cli.steps import try_on

    return rehearse_unknown(
        f"verifying {task.name}",
        place,
        task,
        lambda guard, solution: try_on(guard, settings, solution),
        rate_hz=settings.rate_hz,
    )


def _repeated(stage: Stage, times: int) -> Stage:
    """A step that what fails has to go through again."""
    if times == 1:
        return stage
    return replace(
        stage,
        name=f"{stage.name}, up to {times} times",
        seconds=times * stage.seconds,
        n_samples=times * stage.n_samples,
    )
