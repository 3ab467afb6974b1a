"""`inmateria train`: control voltages for tasks, found on a surrogate or on a device."""

from __future__ import annotations

import contextlib
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from inmateria.cli.exits import keeping
from inmateria.cli.settings import (
    SearchSettings,
    SurrogateTraining,
    flags,
    resolve,
)
from inmateria.errors import ConfigurationError

IN_SILICO = "in-silico"
_OUT = {True: Path("solutions"), False: Path("training")}


@click.command()
@click.argument("tasks", nargs=-1, required=True, metavar="TASK...")
@click.option(
    "--method", metavar="NAME",
    help="in-silico, on a surrogate; or on a device: homodyne, homodyne-sequential, "
    "finite-difference, spsa, genetic, cma-es, particle-swarm, physics-aware.  [in-silico]",
)  # fmt: skip
@click.option("--model", metavar="PATH", help="The surrogate to train on (in-silico), or with.")
@click.option(
    "--device", metavar="NAME|PATH",
    help="Device to train on: 'default', a device's file, or a model of a device.  [default]",
)  # fmt: skip
@click.option("--device-seed", type=int, help="Another dopant network of the default kind.")
@click.option("--engine", metavar="NAME", help="How a dopant network is solved.")
@click.option("--bench", metavar="FILE", help="A bench file: the instrument, not a simulation.")
@click.option("--inputs", metavar="A,B", help="Input terminals; in silico 'auto' searches them.")
@click.option("--min-margin", "min_margin_na", type=float, help="Margin to exceed, nA.  [2]")
@click.option("--budget-s", type=float, help="On a device: its time for each task, s.  [120]")
@click.option(
    "--stop-loss", type=float, help="On a device: stop below this loss, too.  [when passed]"
)
@click.option("--iterations", type=int, help="Of one descent on a device.  [300]")
@click.option("--amplitude-v", type=float, help="Of the tones of homodyne, V.  [0.008]")
@click.option("--duration-s", type=float, help="Of a window of tones, s.  [0.1]")
@click.option(
    "--optimiser",
    metavar="NAME",
    help="gradient, momentum or adam, on a device.  [gradient; adam for ring and sphere]",
)
@click.option("--learning-rate", type=float, help="Of a descent on a device.  [0.02]")
@click.option("--restarts", type=int, help="Searches: side by side in silico, else in turn.")
@click.option("--steps", type=int, help="Steps of descent in silico.  [300]")
@click.option("--rate-hz", type=float, help="Sampling rate of the rig, Hz.  [10000]")
@click.option("--seed", type=int, help="Of starting points, and of the device's noise.  [0]")
@click.option("--resume", is_flag=True, help="Go on with searches that OUT holds.")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file; flags override it.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path),
    help="Folder for one JSON file a task, logs and report.  [solutions; training]",
)  # fmt: skip
def command(
    tasks: tuple[str, ...],
    method: str | None,
    inputs: str | None,
    resume: bool,
    out: Path | None,
    config: Path | None,
    **given: Any,
) -> None:
    """Find control voltages for TASKs, on a surrogate or on a device.

    TASK is the name of a gate (AND, XOR, NOT-A-OR-B, ...), 'gates' for all
    sixteen, 'ring', 'sphere', or 'all' (gates and ring).

    In silico, a network stands in for the device (--model). Every other method
    searches on the device itself, through a guarded rig with noise on, logs
    each iteration in OUT/TASK.search.jsonl, verifies what it found and writes
    OUT/report.html.
    """
    overrides = flags(given)
    if inputs is not None:
        overrides["inputs"] = inputs if inputs == "auto" else inputs.split(",")
    chosen = _method(method, config)
    folder = _OUT[chosen == IN_SILICO] if out is None else out
    if chosen != IN_SILICO:
        from inmateria.cli.train_in_materia import run

        overrides["method"] = chosen
        _check_flags(chosen, overrides, SearchSettings, "in-silico")
        run(tasks, resolve(SearchSettings, config, overrides), folder, resume=resume)
        return
    asked = overrides | ({"resume": True} if resume else {})
    _check_flags(chosen, asked, SurrogateTraining, "homodyne")
    settings = resolve(SurrogateTraining, config, overrides)
    if settings.model is None:
        raise ConfigurationError(
            "method in-silico trains on a surrogate; give its path with --model, or train on a "
            "device, for example with --method homodyne"
        )
    _on_surrogate(tasks, settings.model, settings, folder)


def _on_surrogate(
    tasks: tuple[str, ...], model: str, settings: SurrogateTraining, out: Path
) -> None:
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


def _method(typed: str | None, config: Path | None) -> str:
    """The method that is asked for: by the flag, by the file, or in silico.

    Raises
    ------
    ConfigurationError
        If there is none of that name.
    """
    if typed is None and config is not None:
        # What is wrong with a file, `resolve` will say.
        with contextlib.suppress(OSError, ValueError):
            typed = str(tomllib.loads(config.read_text(encoding="utf-8")).get("method", IN_SILICO))
    return method_named(typed or IN_SILICO)


def method_named(typed: str) -> str:
    """A training method as a person names it.

    Raises
    ------
    ConfigurationError
        If there is none of that name.
    """
    name = typed.lower().replace("_", "-")
    if name == IN_SILICO:
        return name
    from inmateria.training.methods import METHODS

    if name not in METHODS:
        near = get_close_matches(name, METHODS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(METHODS)}"
        raise ConfigurationError(f"no training method {typed!r}; {hint}")
    return name


def _check_flags(
    method: str,
    given: dict[str, Any],
    settings: type[SurrogateTraining | SearchSettings],
    other: str,
) -> None:
    """Refuse flags that only the other kind of method knows.

    Raises
    ------
    ConfigurationError
    """
    for name in given:
        if name not in settings.model_fields and name != "method":
            flag = "--" + name.replace("_", "-")
            raise ConfigurationError(
                f"{flag} does not go with method {method}; leave it out, or use --method {other}"
            )
