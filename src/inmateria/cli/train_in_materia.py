"""Training on a device: a search with a log for each task, its verification, one report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inmateria.cli.exits import keeping
from inmateria.errors import ConfigurationError, InMateriaError, StoppedError, TaskError

if TYPE_CHECKING:
    from inmateria.cli.devices import Place
    from inmateria.cli.pages import Trained
    from inmateria.cli.settings import SearchSettings
    from inmateria.report.search_sections import ToneSpectrum
    from inmateria.tasks.task import Task
    from inmateria.training.solution import Solution


def run(typed: Sequence[str], settings: SearchSettings, out: Path, *, resume: bool) -> None:
    """Train tasks on a device, one after the other; write solutions, logs and a report.

    Parameters
    ----------
    typed : sequence of str
        Tasks as a person names them.
    settings : SearchSettings
    out : Path
        Folder.
    resume : bool
        Go on with the logs that lie there.

    Raises
    ------
    ConfigurationError, TaskError, TrainingError, StorageError, StoppedError
    """
    from rich.console import Console

    from inmateria.cli.accuracy import accuracy_line, keep_device
    from inmateria.cli.devices import open_place, refuse_another_device
    from inmateria.cli.pages import training_page
    from inmateria.cli.steps import make_folder
    from inmateria.cli.tasks import task_names
    from inmateria.data.provenance import utc_now
    from inmateria.report.page import write_page
    from inmateria.report.scoreboard import count_line
    from inmateria.report.task_sections import row_of
    from inmateria.report.terminal import print_scoreboard

    started = utc_now()
    names = task_names(typed)
    options = _options(settings)
    place = open_place(settings)
    refuse_another_device(place, surrogate=options.get("surrogate"), named=str(settings.model))
    tasks = _tasks(names, place, settings)
    searched = _tasks(names, place, settings.stricter())
    make_folder(out)
    logs = [out / f"{task.name}.search.jsonl" for task in tasks]
    _refuse_kept(logs, resume=resume)
    trained: list[Trained] = []
    failed: InMateriaError | None = None
    for task, stricter, log in zip(tasks, searched, logs, strict=True):
        try:
            found = _search(stricter, place, settings, log=log, options=options)
            trained.append(_tried(found, task, place, settings, log=log))
        except StoppedError:
            raise
        except InMateriaError as error:
            failed = error
            break
    if failed is not None and not trained:
        raise failed
    with keeping(f"all searches are kept in {out}; the same command with --resume shows them"):
        accuracy = accuracy_line(place)
        rows = [row_of(t.verification) for t in trained]
        result = count_line(rows, noun="task" if len(rows) == 1 else "tasks")
        seconds = sum(t.solution.cost.device_s for t in trained)
        page = training_page(
            settings,
            trained,
            place,
            started_utc=started,
            result=f"{result} after {seconds:.0f} s of training on the device",
            accuracy=accuracy,
        )
        keep_device(place, out)
        report = write_page(out / "report.html", page)
    print_scoreboard(Console(highlight=False), rows)
    click.echo(result)
    click.echo(str(report))
    if failed is not None:
        # The tasks before it are worth their report.
        raise failed


def _options(settings: SearchSettings) -> dict[str, Any]:
    """What the method is told, all of it known to the method.

    Raises
    ------
    ConfigurationError
    """
    from inmateria.training.methods import METHODS
    from inmateria.training.train_on_rig import RIG_OPTIONS

    options = settings.method_options
    known = METHODS[settings.method].options(rig=True)
    for name in options:
        if name not in known and name not in RIG_OPTIONS:
            raise ConfigurationError(
                f"method {settings.method} has no {name}; it takes {', '.join(known)}"
            )
    if settings.model is None:
        return options
    if "surrogate" not in known:
        raise ConfigurationError(
            f"--model does not go with method {settings.method}, which trains on a device; give "
            "the device with --device, or use --method in-silico"
        )
    from inmateria.cli.devices import open_model

    return {**options, "surrogate": open_model(settings.model)}


def _tasks(names: Sequence[str], place: Place, settings: SearchSettings) -> list[Task]:
    from inmateria.cli.steps import fixed_inputs
    from inmateria.cli.tasks import SPHERE, make_task

    inputs = fixed_inputs(settings, place)
    if inputs is None and any(name != SPHERE for name in names):
        known = ", ".join(t.name for t in place.terminals)
        raise TaskError(
            f"no inputs are named: a search on a device needs two of {known}; give them with "
            "--inputs A,B (auto searches them in silico only)"
        )
    return [make_task(name, place, inputs=inputs or (), settings=settings) for name in names]


def _refuse_kept(logs: Sequence[Path], *, resume: bool) -> None:
    """Never begin a search over the log of another.

    Raises
    ------
    ConfigurationError
    """
    for log in logs:
        if log.exists() and not resume:
            raise ConfigurationError(
                f"{log} holds a search; go on with it with --resume, or choose another folder"
            )


def _tried(
    found: Solution, task: Task, place: Place, settings: SearchSettings, *, log: Path
) -> Trained:
    """Judge what was found by what is demanded, verify it, record the tones once more."""
    from inmateria.cli.pages import Trained
    from inmateria.cli.steps import try_out
    from inmateria.report.search_sections import measured_gradients
    from inmateria.training.search_log import read_search_log

    solution = replace(found, task_description=task.describe(), score=task.score(found.current_na))
    again = f"the search for {task.name} is kept in {log}; run the same command with --resume"
    with keeping(f"{again} to go on"):
        solution.save(log.with_name(f"{task.name}.json"))
        (verification,) = try_out(settings.verify, [solution], place)
        verification.save(log.with_name(f"{task.name}.verification.json"))
        _, entries = read_search_log(log)
        spectrum = _spectrum(task, place, settings, solution, entries)
    return Trained(solution, verification, measured_gradients(entries), spectrum)


def _search(
    task: Task, place: Place, settings: SearchSettings, *, log: Path, options: dict[str, Any]
) -> Solution:
    from inmateria.cli.devices import open_rig
    from inmateria.cli.progress import step
    from inmateria.training.search import Stop
    from inmateria.training.train import train

    begun_before = log.exists()
    try:
        with (
            open_rig(place, seed=settings.seed, rate_hz=settings.rate_hz) as rig,
            step(f"training {task.name}") as report,
        ):
            return train(
                task,
                rig,
                method=settings.method,
                seed=settings.seed,
                log=log,
                resume=True,
                budget_s=settings.budget_s,
                stop=Stop(loss=settings.stop_loss, passed=settings.stop_when_passed),
                progress=report,
                **options,
            )
    except StoppedError as stop:
        raise StoppedError(
            f"{str(stop).split(';')[0]}; {_iterations(log)} iterations of {task.name} are kept in "
            f"{log}; run the same command with --resume to go on"
        ) from stop
    except InMateriaError:
        # What was refused before its first iteration is not in the way of a better try.
        if not begun_before and _iterations(log) == 0:
            log.unlink(missing_ok=True)
        raise


def _iterations(log: Path) -> int:
    """Iterations that a log holds, 0 where there is no log."""
    from inmateria.training.search_log import read_search_log

    if not log.exists():
        return 0
    _, entries = read_search_log(log)
    return sum(entry["kind"] in ("measure", "extract") for entry in entries)


def _spectrum(
    task: Task,
    place: Place,
    settings: SearchSettings,
    solution: Solution,
    entries: Sequence[dict[str, Any]],
) -> ToneSpectrum | None:
    """The tones at the found controls, recorded on a rig of its own; None without tones."""
    from inmateria.cli.devices import open_rig
    from inmateria.cli.tone_recording import plan_of, record_tones

    plan = plan_of(entries)
    if plan is None:
        return None
    with open_rig(place, seed=settings.verify.seed, rate_hz=settings.rate_hz) as rig:
        return record_tones(rig, plan, task, list(solution.controls.values()), output=0)
