"""`inmateria demo`: the whole job, from an unknown device to verified gates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inmateria.cli.exits import keeping
from inmateria.cli.settings import DemoSettings, flags, resolve

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

    from inmateria.bench.bench import Bench
    from inmateria.cli.devices import Place
    from inmateria.cli.pages import FitResult
    from inmateria.data.designs import Plateaus
    from inmateria.data.runs import Run
    from inmateria.devices.device import Device, FloatArray
    from inmateria.surrogates.surrogate import Surrogate
    from inmateria.training.solution import Solution
    from inmateria.training.verification import Verification

N_TEST = 4000
N_MEASURED = 300
TEST_SEED = 2_000_003
FEWER_RESTARTS = 8


@click.command()
@click.option("--device", metavar="PATH", help="A device's file or a model, not the default.")
@click.option("--device-seed", type=int, help="Another dopant network of the default kind.")
@click.option("--engine", metavar="NAME", help="How a dopant network is solved.")
@click.option("--bench", metavar="FILE", help="A bench file: the instrument, not a simulation.")
@click.option("--seed", type=int, help="Of sampling, fit, training and noise.  [0]")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file; flags override it.")
@click.option(
    "--out", type=click.Path(path_type=Path), default="runs", show_default=True,
    help="Folder that gets a folder for this run.",
)  # fmt: skip
def command(out: Path, config: Path | None, seed: int | None, **given: Any) -> None:
    """Sample a device, fit a surrogate, find all sixteen gates and the ring on
    it, and verify them on the device, noise on.

    Takes minutes. After an interruption, the same command goes on where it
    stopped.
    """
    settings = resolve(DemoSettings, config, flags(given))
    if seed is not None:
        settings = _seeded(settings, seed)
    from rich.console import Console

    from inmateria.cli.devices import open_place
    from inmateria.cli.steps import make_folder
    from inmateria.cli.tasks import task_names
    from inmateria.report.terminal import print_scoreboard

    task_names(settings.tasks)
    place = open_place(settings)
    make_folder(out)
    from inmateria.data.runs import Run

    run = Run.resume_or_create(out, "demo", config=settings)
    with keeping(f"all steps so far are kept in {run.path}; run the same command again to go on"):
        rows, line, report = run_demo(settings, place, run)
    print_scoreboard(Console(highlight=False), rows)
    click.echo(line)
    click.echo(str(report))


def run_demo(settings: DemoSettings, place: Place, run: Run) -> tuple[list[Any], str, Path]:
    """Do what is not yet done in a run folder.

    Parameters
    ----------
    settings : DemoSettings
    place : Device or Bench
    run : Run

    Returns
    -------
    rows : list of TaskRow
    line : str
        How many gates are verified.
    report : Path
    """
    from inmateria.cli.accuracy import accuracy_line, keep_device
    from inmateria.cli.pages import demo_page
    from inmateria.report.page import write_page
    from inmateria.report.scoreboard import count_line
    from inmateria.report.task_sections import row_of

    dataset = _sampled(settings, place, run)
    surrogate = _fitted(settings, dataset, run)
    solutions = _found(settings, surrogate, run)
    verified, again = _verified(settings, solutions, place, surrogate, run)
    gates = [row_of(v) for v in verified if v.criterion != "threshold"]
    line = count_line(gates or [row_of(v) for v in verified], noun="gates" if gates else "tasks")
    page = demo_page(
        settings,
        verified,
        place,
        fit=_judged(surrogate, place, run),
        started_utc=_started(run),
        result=line,
        again=again,
        accuracy=accuracy_line(place),
    )
    keep_device(place, run.path)
    report = write_page(run.report, page)
    run.finish(result=line)
    return [row_of(v) for v in verified], line, report


def _sampled(settings: DemoSettings, place: Place, run: Run) -> xr.Dataset:
    from inmateria.cli.steps import record
    from inmateria.data.measurement import open_measurement

    path = record(settings.sample, place, run.data / "measurement.nc")
    dataset = open_measurement(path)
    run.record("sampled", rows=dataset.sizes["sample"])
    return dataset


def _fitted(settings: DemoSettings, dataset: xr.Dataset, run: Run) -> Surrogate:
    from inmateria.cli.steps import fit
    from inmateria.surrogates.surrogate import load_surrogate

    stem = run.model / "surrogate"
    if stem.with_suffix(".json").exists():
        return load_surrogate(stem)
    result = fit(settings.fit, dataset, checkpoint=run.model / "checkpoint")
    run.write_text("model/history.json", json.dumps(result.history) + "\n")
    result.surrogate.save(stem)
    (run.model / "checkpoint").unlink(missing_ok=True)
    run.record("fitted", rmse_na=result.error.rmse_na, epochs=len(result.history))
    return result.surrogate


def _found(settings: DemoSettings, surrogate: Surrogate, run: Run) -> list[Solution]:
    from inmateria.cli.steps import make_folder, search
    from inmateria.cli.tasks import task_names
    from inmateria.training.solution import load_solution

    names = task_names(settings.tasks)
    folder = make_folder(run.path / "solutions")
    files = [folder / f"{name}.json" for name in names]
    if all(file.exists() for file in files):
        return [load_solution(file) for file in files]
    solutions = search(settings.train, names, surrogate)
    for solution, file in zip(solutions, files, strict=True):
        solution.save(file)
    run.record("trained", found=sum(bool(s.score.passed) for s in solutions), tasks=len(names))
    return solutions


def _verified(
    settings: DemoSettings,
    solutions: Sequence[Solution],
    place: Place,
    surrogate: Surrogate,
    run: Run,
) -> tuple[list[Verification], dict[str, int]]:
    """Verifications, and how often each task had to be searched again.

    What fails on the device though the surrogate promised it has often used an
    error of the surrogate. It is searched again from other and fewer starts,
    which end elsewhere, and tried on the device with other noise.
    """
    from inmateria.cli.steps import make_folder, search, try_out
    from inmateria.cli.tasks import task_names

    names = task_names(settings.tasks)
    found = try_out(settings.verify, solutions, place, surrogate=surrogate)
    again: dict[str, int] = {}
    for attempt in range(1, settings.attempts):
        failed = [k for k, verification in enumerate(found) if not verification.passed]
        if not failed:
            break
        train = settings.train.model_copy(
            update={
                "inputs": found[0].inputs,
                "restarts": min(settings.train.restarts, FEWER_RESTARTS),
                "seed": settings.train.seed + attempt,
            }
        )
        trial = settings.verify.model_copy(update={"seed": settings.verify.seed + attempt})
        searched = search(train, [names[k] for k in failed], surrogate)
        tried = try_out(trial, searched, place, surrogate=surrogate)
        for k, solution, verification in zip(failed, searched, tried, strict=True):
            again[verification.task] = attempt
            if verification.passed:
                found[k] = verification
                solution.save(run.path / "solutions" / f"{names[k]}.json")
        run.record("searched again", tasks=[names[k] for k in failed])
    folder = make_folder(run.path / "verifications")
    for verification in found:
        verification.save(folder / f"{verification.task}.json")
    run.record("verified", passed=sum(v.passed for v in found), tasks=len(found))
    return found, again


def _judged(surrogate: Surrogate, place: Place, run: Run) -> FitResult:
    """The surrogate at points that it has not seen, against the device itself."""
    from inmateria.bench.bench import Bench
    from inmateria.cli.pages import FitResult

    history = json.loads((run.model / "history.json").read_text(encoding="utf-8"))
    if isinstance(place, Bench):
        voltage, current = _measured(place, run)
        caption = (
            f"The surrogate at {len(voltage)} independent, uniformly drawn points against the "
            "device as measured there, noise and drift included."
        )
    else:
        voltage, current = _computed(place)
        caption = (
            f"The surrogate at {N_TEST} independent, uniformly drawn points against the device "
            "without noise."
        )
    return FitResult(surrogate, history, current[:, 0], surrogate.current(voltage)[:, 0], caption)


def _computed(device: Device) -> tuple[FloatArray, FloatArray]:
    """Random points of a device, V, and its currents without noise, nA."""
    import numpy as np

    low = np.array([t.low_v for t in device.terminals])
    high = np.array([t.high_v for t in device.terminals])
    voltage = np.random.default_rng(TEST_SEED).uniform(low, high, (N_TEST, len(low)))
    return voltage, device.current(voltage)


def _measured(bench: Bench, run: Run) -> tuple[FloatArray, FloatArray]:
    """Random points of a bench, V, and what was measured there, nA; kept in the run's data."""
    from inmateria.cli.devices import open_rig
    from inmateria.cli.progress import step
    from inmateria.data.measurement import open_measurement
    from inmateria.data.sampling import sample

    with open_rig(bench, seed=TEST_SEED) as rig, step("judging the surrogate") as report:
        path = sample(
            rig, random_points(rig.rate), path=run.data / "random-points.nc", progress=report
        )
    dataset = open_measurement(path)
    good = ~dataset["clipped"].values.any(axis=1)
    return dataset["voltage"].values[good], dataset["current"].values[good]


def random_points(rate_hz: float) -> Plateaus:
    """Where a surrogate is judged on a bench, by a short way from point to point.

    Held for a step at least, where an instrument is stepped slowly.
    """
    from inmateria.data.designs import Plateaus

    hold_s, settle_s = max(0.02, 1 / rate_hz), max(0.01, 1 / rate_hz)
    return Plateaus(N_MEASURED, hold_s=hold_s, settle_s=settle_s, order="tour", seed=TEST_SEED)


def _started(run: Run) -> str:
    provenance = json.loads((run.path / "provenance.json").read_text(encoding="utf-8"))
    return str(provenance["started_utc"])


def _seeded(settings: DemoSettings, seed: int) -> DemoSettings:
    """One seed for all steps; verification draws other noise than sampling."""
    return settings.model_copy(
        update={
            "sample": settings.sample.model_copy(update={"seed": seed}),
            "fit": settings.fit.model_copy(update={"seed": seed}),
            "train": settings.train.model_copy(update={"seed": seed}),
            "verify": settings.verify.model_copy(update={"seed": seed + 1}),
        }
    )
