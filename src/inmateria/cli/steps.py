"""The steps of a run, each with its progress: what the commands and the demo share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from inmateria.cli.devices import open_rig
from inmateria.cli.progress import step
from inmateria.cli.tasks import RING, SPHERE, make_task, task_names
from inmateria.data.designs import Plateaus, Sinusoids, Triangles
from inmateria.data.sampling import sample
from inmateria.errors import StorageError

if TYPE_CHECKING:
    import xarray as xr

    from inmateria.cli.devices import Place
    from inmateria.cli.settings import (
        DriveSettings,
        FitSettings,
        TaskSettings,
        TrainSettings,
        TrialSettings,
    )
    from inmateria.devices.device import Device
    from inmateria.rigs.guard import Guard
    from inmateria.surrogates.fit import Fit
    from inmateria.tasks.task import Task, Wired
    from inmateria.training.solution import Solution
    from inmateria.training.verification import Verification

# Opposite each other and both a quarter of the rim from the output of the embedded device.
DEFAULT_INPUTS = ("e2", "e6")
MANY_POINTS = 32


def record(settings: DriveSettings, place: Place, out: Path) -> Path:
    """Sample a device or a bench into a measurement file; goes on where it stopped."""
    with (
        open_rig(place, seed=settings.seed, rate_hz=settings.rate_hz) as rig,
        step("sampling") as report,
    ):
        return sample(rig, design_of(settings), path=out, progress=report)


def design_of(settings: DriveSettings) -> Sinusoids | Triangles | Plateaus:
    """The sampling design that the settings name."""
    if settings.design == "plateaus":
        usual = Plateaus(settings.points, seed=settings.seed)
        return replace(
            usual,
            hold_s=usual.hold_s if settings.hold_s is None else settings.hold_s,
            settle_s=usual.settle_s if settings.settle_s is None else settings.settle_s,
        )
    kind = Triangles if settings.design == "triangles" else Sinusoids
    return kind(settings.duration_s, base_hz=settings.base_hz, seed=settings.seed)


def fit(settings: FitSettings, dataset: xr.Dataset, *, checkpoint: Path) -> Fit:
    """Fit a surrogate; goes on from the checkpoint where there is one."""
    from inmateria.surrogates.fit import fit_surrogate

    with step("fitting") as report:
        return fit_surrogate(
            dataset,
            **settings.model_dump(),
            checkpoint=checkpoint,
            resume=True,
            progress=lambda line: report(int(line["epoch"]), settings.epochs),
        )


def search(settings: TrainSettings, names: Sequence[str], device: Device) -> list[Solution]:
    """Control voltages for the named tasks, found on a differentiable device.

    Where the inputs are free, they are those for which most gates are found.
    """
    from inmateria.surrogates.loop import cpu_threads

    with cpu_threads(settings.threads):
        return _search(settings, names, device)


def _search(settings: TrainSettings, names: Sequence[str], device: Device) -> list[Solution]:
    from inmateria.training.find_inputs import find_inputs
    from inmateria.training.in_silico import Descent
    from inmateria.training.train import train_all

    descent = Descent(restarts=settings.restarts, steps=settings.steps)
    inputs = fixed_inputs(settings, device)
    solutions: dict[str, Solution] = {}
    # The sphere has three inputs, named in the settings.
    of_pairs = [name for name in task_names(names) if name != SPHERE]
    if inputs is None and of_pairs:
        # A search compares pairs by tasks that share their points: the gates, else the ring.
        searched = [name for name in of_pairs if name != RING] or [RING]

        def make_tasks(pair: tuple[str, ...]) -> list[Task]:
            return [make_task(name, device, inputs=pair, settings=settings) for name in searched]

        with step("choosing inputs") as report:
            found = find_inputs(
                device,
                make_tasks,
                seed=settings.seed,
                descent=descent,
                progress=lambda done, total, _: report(done, total),
            )
        inputs = found.inputs
        solutions = dict(zip(searched, found.solutions, strict=True))
    missing = [name for name in task_names(names) if name not in solutions]
    tasks = [make_task(name, device, inputs=inputs or (), settings=settings) for name in missing]
    if tasks:
        with step("training") as report:
            trained = train_all(
                tasks,
                device,
                descent=descent,
                seed=settings.seed,
                progress=lambda done, total, _: report(done, total),
            )
        solutions |= dict(zip(missing, trained, strict=True))
    return [solutions[name] for name in task_names(names)]


def fixed_inputs(settings: TaskSettings, device: Wired) -> tuple[str, ...] | None:
    """The inputs asked for, or those that suit the embedded device; None to search."""
    if settings.inputs == "auto":
        return None
    if settings.inputs is not None:
        return settings.inputs
    known = {t.name for t in device.terminals}
    return DEFAULT_INPUTS if known.issuperset(DEFAULT_INPUTS) else None


def try_out(
    settings: TrialSettings,
    solutions: Sequence[Solution],
    place: Place,
    *,
    surrogate: Device | None = None,
) -> list[Verification]:
    """Apply solutions to the device, noise on, one after the other on one guarded rig."""
    with (
        open_rig(place, seed=settings.seed, rate_hz=settings.rate_hz) as rig,
        step("verifying") as report,
    ):
        found = []
        for k, solution in enumerate(solutions):
            found.append(try_on(rig, settings, solution, surrogate=surrogate))
            report(k + 1, len(solutions))
        return found


def try_on(
    rig: Guard, settings: TrialSettings, solution: Solution, *, surrogate: Device | None = None
) -> Verification:
    """Apply a solution on a rig, as long as its task takes."""
    from inmateria.training.verify import verify

    task = solution.make_task()
    many = len(task.points) > MANY_POINTS
    return verify(
        solution,
        task,
        rig,
        repetitions=settings.ring_repetitions if many else settings.repetitions,
        hold_s=settings.ring_hold_s if many else settings.hold_s,
        settle_s=settings.ring_settle_s if many else settings.settle_s,
        order="tour" if many else "shuffled",
        n_sigma=settings.n_sigma,
        surrogate=surrogate,
        seed=settings.seed,
    )


def make_folder(path: Path) -> Path:
    """A folder to write into, made now and not after minutes of work.

    Raises
    ------
    StorageError
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise StorageError(
            f"cannot write to {path}: {error.strerror}; choose another folder"
        ) from error
    return path
