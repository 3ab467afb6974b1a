"""`inmateria check`: a dry run of a configuration, or a look at a bench file."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inmateria.cli.settings import (
    DemoSettings,
    SampleSettings,
    SearchSettings,
    VerifySettings,
    resolve,
)
from inmateria.errors import ConfigurationError, InMateriaError

if TYPE_CHECKING:
    from inmateria.bench.bench import Bench
    from inmateria.bench.check import Stage
    from inmateria.cli.devices import Place

MODELS: dict[str, type[SampleSettings | SearchSettings | VerifySettings | DemoSettings]] = {
    "sample": SampleSettings,
    "train": SearchSettings,
    "verify": VerifySettings,
    "demo": DemoSettings,
}


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--bench", metavar="FILE", help="The bench that it is meant for.")
@click.option("--for", "name", type=click.Choice(list(MODELS)), help="The command of CONFIG.")
@click.option("--task", "tasks", multiple=True, metavar="TASK", help="What `train` is given.")
@click.option(
    "--solution", "solutions", multiple=True, type=click.Path(path_type=Path),
    help="What `verify` is given.",
)  # fmt: skip
def command(
    config: Path,
    bench: str | None,
    name: str | None,
    tasks: tuple[str, ...],
    solutions: tuple[Path, ...],
) -> None:
    """Say what a run would send, without an instrument.

    CONFIG is a TOML file of `demo`, `sample`, `train` or `verify`, or a bench file. All that
    would be played is played on a rig that only remembers: each terminal's lowest and highest
    voltage and steepest slope, samples and seconds, what would be refused. Exit status 2 if
    anything would be.
    """
    from rich.console import Console

    from inmateria.bench.bench import Bench, open_bench
    from inmateria.bench.check import overall
    from inmateria.cli.check_steps import steps_of
    from inmateria.cli.devices import open_place
    from inmateria.report.terminal import print_facts, print_rows

    console = Console(highlight=False)
    fields = _fields(config)
    place: Place
    stages: Sequence[Stage]
    if {"instrument", "terminal"} & set(fields):
        if name is not None:
            raise ConfigurationError(
                f"--for {name} goes with a file of settings, and {config} is a bench; give the "
                f"settings and --bench {config}"
            )
        place, stages = open_bench(config), []
    else:
        model = MODELS[name or _only_one(fields, config)]
        settings = resolve(model, config, {} if bench is None else {"bench": bench})
        place = open_place(settings)
        stages = steps_of(settings, place, tasks=tasks, solutions=solutions)
    refused = [f"{stage.name}: {stage.refused}" for stage in stages if stage.refused]
    if isinstance(place, Bench):
        print_facts(console, _facts(place))
        refused = [*_refused_by_bench(place), *refused]
        console.print()
    if stages:
        print_rows(console, ("step", "samples", "seconds"), [_stage_row(s) for s in stages])
        console.print()
    whole = overall(stages)
    print_rows(console, *_terminal_table(place, whole))
    for line in refused:
        click.echo(f"refused: {line}")
    if whole is not None:
        at_most = "at most " if whole.at_most else ""
        click.echo(f"{at_most}{whole.seconds:.1f} s of device time, {whole.n_samples} samples")
    if refused:
        more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        raise ConfigurationError(f"{config} would be refused: {refused[0]}{more}")
    click.echo("nothing would be refused; no instrument was opened")


def _fields(config: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(config.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigurationError(f"{config} does not exist; check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{config} is not TOML: {error}") from error


def _only_one(fields: dict[str, Any], config: Path) -> str:
    """The command whose settings these are.

    Raises
    ------
    ConfigurationError
        If there are several, or none.
    """
    known = [name for name, model in MODELS.items() if set(fields) <= set(model.model_fields)]
    if len(known) == 1:
        return known[0]
    if known:
        raise ConfigurationError(
            f"{config} may be settings of {' or '.join(known)}; say which with --for {known[0]}"
        )
    nearest = max(MODELS, key=lambda name: len(set(fields) & set(MODELS[name].model_fields)))
    resolve(MODELS[nearest], config, {})
    raise ConfigurationError(f"{config} is of no command; say which with --for")


def _facts(bench: Bench) -> dict[str, str]:
    settings = bench.settings
    farthest = max(max(-t.low_v, t.high_v) for t in bench.terminals)
    wanted = settings.instrument
    where = wanted.server or wanted.station or (wanted.device if bench.is_simulated else "")
    compliance = settings.compliance_na
    return {
        "bench": f"{settings.name} ({bench.path})",
        "device": settings.device or "not named",
        "instrument": f"{wanted.kind} {where}".strip() + ", not opened",
        "plays at most": f"{settings.rate_hz:g} Hz",
        "slew": f"{settings.slew_v_per_s:g} V/s; {farthest / settings.slew_v_per_s:.3g} s from "
        f"{farthest:g} V to 0 V",
        "compliance": "none" if compliance is None else f"{compliance:g} nA",
        "outputs": ", ".join(
            f"{o.name} on {o.address} (+-{settings.reach_na(o):g} nA)" for o in settings.output
        ),
        "last voltages": _last(bench),
    }


def _last(bench: Bench) -> str:
    if bench.is_driven:
        return "another process drives this bench"
    try:
        last = bench.last_voltages()
    except InMateriaError as error:
        return str(error)
    return f"nothing was driven yet ({bench.record})" if last is None else str(last)


def _refused_by_bench(bench: Bench) -> list[str]:
    """What the bench itself would refuse, as far as that is known without its instrument."""
    refused = []
    try:
        last = bench.last_voltages()
        if bench.is_driven:
            refused.append("another process drives this bench; wait until it has ended")
        elif last is not None and not last.at_rest:
            refused.append(f"terminals may not be at 0 V; run `inmateria park {bench.path}` first")
        if bench.is_simulated:
            from inmateria.bench.simulated import simulated_device

            simulated_device(bench.settings, folder=bench.path.parent)
    except InMateriaError as error:
        refused.append(str(error))
    return refused


def _stage_row(stage: Stage) -> tuple[str, ...]:
    at_most = "<= " if stage.at_most else ""
    return stage.name, f"{at_most}{stage.n_samples}", f"{at_most}{stage.seconds:.2f}"


def _terminal_table(
    place: Place, whole: Stage | None
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Limits of each terminal, and what would be sent there."""
    rows = []
    for k, terminal in enumerate(place.terminals):
        row = [terminal.name, f"{terminal.low_v:g}", f"{terminal.high_v:g}"]
        if whole is not None:
            row += [f"{whole.lowest_v[k]:+.4f}", f"{whole.highest_v[k]:+.4f}"]
            row += [f"{whole.steepest_v_per_s[k]:.4g}"]
        rows.append(tuple(row))
    header = ("terminal", "limits (V)", "")
    sent = () if whole is None else ("lowest (V)", "highest (V)", "steepest (V/s)")
    return (*header, *sent), rows
