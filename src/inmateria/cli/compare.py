"""`inmateria compare`: every training method on the same device, tasks, noise and budget."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inmateria.cli.exits import keeping
from inmateria.cli.settings import CompareSettings, flags, resolve
from inmateria.errors import ConfigurationError

if TYPE_CHECKING:
    from inmateria.data.runs import Run
    from inmateria.devices.device import Device
    from inmateria.report.page import Page
    from inmateria.tasks.task import Task
    from inmateria.training.compare_summary import Comparison

WIDE = 120
NARROW_COLUMNS = 6
"""A narrow terminal shows rates and times; the report shows the rest."""


@click.command()
@click.argument("tasks", nargs=-1, metavar="[TASK...]")
@click.option("--methods", metavar="A,B", help="Training methods.  [all]")
@click.option("--device", metavar="NAME|PATH",
              help="'default', a device's file, or a model of a device.  [default]")  # fmt: skip
@click.option("--device-seed", type=int, help="Another dopant network of the default kind.")
@click.option("--engine", metavar="NAME", help="How a dopant network is solved.")
@click.option("--inputs", metavar="A,B", help="Input terminals of gates and ring.  [e2,e6]")
@click.option("--budget-s", type=float, help="Device time of each search, s.  [120]")
@click.option("--seeds", metavar="N|A:B|A,B", help="How many, or which; B left out of A:B.  [10]")
@click.option("--rate-hz", type=float, help="Sampling rate of the rig, Hz.  [10000]")
@click.option("--workers", type=int, default=1, show_default=True,
              help="Processes that work side by side.")  # fmt: skip
@click.option("--config", type=click.Path(path_type=Path), help="TOML file; flags override it.")
@click.option(
    "--out", type=click.Path(path_type=Path), default="runs", show_default=True,
    help="Folder that gets a folder for this run.",
)  # fmt: skip
def command(
    out: Path,
    config: Path | None,
    workers: int,
    methods: str | None,
    inputs: str | None,
    seeds: str | None,
    **given: Any,
) -> None:
    """Compare training methods: success rate and device time to solution.

    TASK is the name of a gate (AND, XOR, ...), 'gates' for all sixteen, 'ring',
    'sphere', or 'all'; gates, ring and sphere by default. Every method runs on
    every task with every seed, on the same simulated device with the same noise
    and the same budget of device seconds.

    After an interruption, the same command goes on where it stopped.
    """
    overrides = flags(given)
    for name, text in (("methods", methods), ("inputs", inputs)):
        if text is not None:
            overrides[name] = text.split(",")
    if seeds is not None:
        overrides["seeds"] = int(seeds) if seeds.isdecimal() else seeds
    settings = resolve(CompareSettings, config, overrides)
    from rich.console import Console

    from inmateria.cli.steps import make_folder
    from inmateria.data.runs import Run
    from inmateria.report.compare_section import HEADER, failure_lines, scoreboard_rows
    from inmateria.report.terminal import print_rows

    # Whatever is wrong with the settings shows before a folder is made.
    chosen, device = _checked(settings, workers)
    make_folder(out)
    run = Run.resume_or_create(out, "compare", config=settings)
    what = f"finished runs are kept in {run.path}; run the same command again to go on"
    with keeping(what):
        comparison, line, report = run_compare(settings, run, chosen, device, workers=workers)
    console = Console(highlight=False)
    shown = len(HEADER) if console.width >= WIDE else NARROW_COLUMNS
    rows = [row[:shown] for row in scoreboard_rows(comparison)]
    print_rows(console, HEADER[:shown], rows)
    for failure in failure_lines(comparison):
        click.echo(failure)
    click.echo(line)
    click.echo(str(report))


def run_compare(
    settings: CompareSettings, run: Run, tasks: list[Task], device: Device, *, workers: int
) -> tuple[Comparison, str, Path]:
    """Do the runs that a run folder lacks, and write its files.

    Returns
    -------
    comparison : Comparison
    line : str
        What was found, in a sentence.
    report : Path
    """
    from inmateria.cli.progress import step
    from inmateria.report.compare_section import result_line
    from inmateria.report.page import write_page
    from inmateria.training.compare import compare

    with step("comparing") as report:
        comparison = compare(
            tasks,
            device,
            **_arguments(settings),
            workers=workers,
            path=run.path / "results.jsonl",
            progress=lambda done, total, _: report(done, total),
        )
    line = result_line(comparison)
    page = write_page(run.report, _page(settings, comparison, run))
    run.finish(result=line)
    return comparison, line, page


def _checked(settings: CompareSettings, workers: int) -> tuple[list[Task], Device]:
    """Tasks and device, and nothing wrong with the rest.

    Raises
    ------
    ConfigurationError, TaskError, TrainingError, ParameterError
    """
    from inmateria.cli.devices import open_device
    from inmateria.cli.steps import fixed_inputs
    from inmateria.cli.tasks import SPHERE, make_task, task_names
    from inmateria.training.compare import check_comparison

    if workers < 1:
        raise ConfigurationError(f"--workers {workers}: give 1 or more")
    names = task_names(settings.tasks)
    device = open_device(settings.device, device_seed=settings.device_seed, engine=settings.engine)
    inputs = fixed_inputs(settings, device)
    if inputs is None and any(name != SPHERE for name in names):
        known = ", ".join(t.name for t in device.terminals)
        raise ConfigurationError(
            f"no inputs are named: gates and ring need two of {known}; give them with --inputs A,B"
        )
    tasks = [make_task(name, device, inputs=inputs or (), settings=settings) for name in names]
    arguments = _arguments(settings)
    check_comparison(tasks, device, methods=arguments["methods"], options=arguments["options"])
    return tasks, device


def _arguments(settings: CompareSettings) -> dict[str, Any]:
    """What the settings say, as arguments of `compare`."""
    from inmateria.training.compare_run import Bench
    from inmateria.training.methods import METHODS

    names = ("rate_hz", "hold_s", "settle_s", "many_hold_s", "many_settle_s", "reserve",
             "repetitions", "n_sigma")  # fmt: skip
    return {
        "methods": settings.methods or tuple(METHODS),
        "budget_s": settings.budget_s,
        "seeds": settings.run_seeds,
        "bench": Bench(**{name: getattr(settings, name) for name in names}),
        "options": settings.options,
    }


def _page(settings: CompareSettings, comparison: Comparison, run: Run) -> Page:
    from inmateria.data.configuration import to_toml
    from inmateria.data.provenance import versions
    from inmateria.report.compare_section import compare_sections, result_line
    from inmateria.report.page import Listing, Page, Section

    provenance = json.loads((run.path / "provenance.json").read_text(encoding="utf-8"))
    found = versions()
    device = comparison.setup["device"]
    facts = {
        "device": settings.device,
        "kind": str(device.get("kind", "-")),
        "engine": str(device.get("engine", "none: a model")),
        "budget": f"{settings.budget_s:g} s of device time a search",
        "seeds": ", ".join(map(str, comparison.seeds)),
        "rig": f"{settings.rate_hz:g} Hz, default chain and noise",
        "fidelity": "simulation",
        "started": str(provenance["started_utc"]),
        "software": f"inmateria {found['inmateria']}, Python {found['python']}, "
        f"numpy {found['numpy']}, torch {found['torch']}",
    }
    appendix = Section("Configuration", [Listing("config.toml", to_toml(settings))])
    title = "Training methods compared"
    return Page(title, result_line(comparison), facts, [*compare_sections(comparison), appendix])
