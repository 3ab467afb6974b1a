"""`inmateria train`: control voltages for tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from inmateria.cli.exits import keeping
from inmateria.cli.settings import TrainSettings, flags, resolve


@click.command()
@click.argument("tasks", nargs=-1, required=True, metavar="TASK...")
@click.option("--model", required=True, metavar="PATH", help="The surrogate to train on.")
@click.option("--inputs", metavar="A,B", help="Input terminals, or 'auto' to search the pair.")
@click.option("--min-margin", "min_margin_na", type=float, help="Margin to exceed, nA.  [2]")
@click.option("--restarts", type=int, help="Searches side by side.  [64]")
@click.option("--steps", type=int, help="Steps of descent.  [300]")
@click.option("--seed", type=int, help="Of the starting points.  [0]")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file; flags override it.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), default="solutions", show_default=True,
    help="Folder for one JSON file a task.",
)  # fmt: skip
def command(
    tasks: tuple[str, ...],
    model: str,
    inputs: str | None,
    out: Path,
    config: Path | None,
    **given: Any,
) -> None:
    """Find control voltages for TASKs on a surrogate.

    TASK is the name of a gate (AND, XOR, NOT-A-OR-B, ...), 'gates' for all
    sixteen, 'ring', or 'all'.
    """
    overrides = flags(given)
    if inputs is not None:
        overrides["inputs"] = inputs if inputs == "auto" else inputs.split(",")
    settings = resolve(TrainSettings, config, overrides)
    from rich.console import Console

    from inmateria.cli.devices import open_model
    from inmateria.cli.steps import make_folder, search
    from inmateria.cli.tasks import task_names
    from inmateria.report.terminal import print_rows

    names = task_names(tasks)
    surrogate = open_model(model)
    make_folder(out)
    with keeping("no solution was written; run the same command again"):
        solutions = search(settings, names, surrogate)
    rows = []
    for solution in solutions:
        path = solution.save(out / f"{solution.task}.json")
        score = solution.score
        found = "yes" if bool(score.passed) else "no"
        margin = f"{float(score.margin_na):.2f} nA"
        rows.append((solution.task, found, margin, f"{float(score.accuracy):.1%}", str(path)))
    header = ("task", "found", "margin", "accuracy", "file")
    print_rows(Console(highlight=False), header, rows)
    click.echo(f"{sum(row[1] == 'yes' for row in rows)} of {len(rows)} tasks found")
