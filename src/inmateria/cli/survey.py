"""`inmateria survey`: what random devices can do, over seeds and parameters."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inmateria.cli.exits import keeping
from inmateria.cli.settings import SurveySettings, flags, resolve
from inmateria.errors import ConfigurationError

if TYPE_CHECKING:
    from inmateria.data.runs import Run
    from inmateria.devices.device import Device
    from inmateria.report.page import Page
    from inmateria.survey.device_survey import Criterion
    from inmateria.survey.samples import Protocol
    from inmateria.survey.scan import Case, Outcome, Survey


@click.command()
@click.option("--device", metavar="PATH", help="A model instead of random dopant networks.")
@click.option("--seeds", metavar="A:B|A,B", help="Of the devices, B left out of A:B.  [0:20]")
@click.option("--settings", type=int, help="Random control settings a device.  [1000]")
@click.option("--inputs", metavar="A,B", help="Logic inputs.  [e2,e6]")
@click.option("--level", "level_v", type=float, metavar="V",
              help="Logic levels, below and above the middle of an input's range.  "
                   "[0.7 of the way to its ends]")  # fmt: skip
@click.option("--margin", type=float,
              help="Lowest high above highest low, in current scales.  [0.25]")  # fmt: skip
@click.option("--margin-na", type=float, help="The same in nA, in place of --margin.")
@click.option("--sweeps", type=int, help="Random settings in which inputs are swept.  [50]")
@click.option("--parameter", multiple=True, metavar="NAME=V,V",
              help="Values of a parameter of the networks; repeat for another one.")  # fmt: skip
@click.option("--engine", help="How networks are solved.  [the device's default]")
@click.option("--seed", type=int, help="Of the voltages.  [0]")
@click.option("--workers", type=int, help="Cores that solve side by side.  [all]")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file; flags override it.")
@click.option(
    "--out", type=click.Path(path_type=Path), default="runs", show_default=True,
    help="Folder that gets a folder for this run.",
)  # fmt: skip
def command(
    out: Path,
    config: Path | None,
    inputs: str | None,
    parameter: tuple[str, ...],
    workers: int | None,
    **given: Any,
) -> None:
    """Survey random dopant networks: how often random control voltages give each
    logic gate, non-linearity, principal components, negative differential resistance.

    After an interruption, the same command goes on where it stopped.
    """
    overrides = flags(given)
    if inputs is not None:
        overrides["inputs"] = inputs.split(",")
    if parameter:
        overrides["parameters"] = dict(_parameter(text) for text in parameter)
    settings = resolve(SurveySettings, config, overrides)
    from inmateria.cli.steps import make_folder
    from inmateria.data.runs import Run

    # Whatever is wrong with the settings shows before a folder is made.
    plan = _plan(settings)
    with _cores(workers):
        make_folder(out)
        run = Run.resume_or_create(out, "survey", config=settings)
        what = f"all devices so far are kept in {run.path}; run the same command again to go on"
        with keeping(what):
            line, report = run_survey(settings, run, *plan)
    click.echo(line)
    click.echo(str(report))


def run_survey(
    settings: SurveySettings,
    run: Run,
    cases: Sequence[Case],
    draw: Callable[[Case], Device],
) -> tuple[str, Path]:
    """Survey what is not yet surveyed in a run folder, and write its files.

    Returns
    -------
    line : str
        What was found, in a sentence.
    report : Path
    """
    from inmateria.cli.progress import step
    from inmateria.report.page import write_page
    from inmateria.report.survey_sections import result_line
    from inmateria.survey.files import read_outcome, write_outcome
    from inmateria.survey.scan import assemble, attempt
    from inmateria.survey.summary import device_row, results

    protocol, criterion = _protocol(settings)
    outcomes: list[tuple[Case, Outcome]] = []
    with step("surveying") as report:
        for case in cases:
            outcome = read_outcome(run.data, case)
            if outcome is None:
                outcome = attempt(case, draw, protocol, seed=settings.seed)
                write_outcome(run.data, case, outcome)
            outcomes.append((case, outcome))
            report(len(outcomes), len(cases))
    survey = assemble(outcomes, protocol, criterion)
    if not survey.devices:
        case, failure = survey.failures[0]
        run.finish(result="no device could be surveyed")
        raise ConfigurationError(
            f"none of {survey.n_cases} devices could be surveyed; {case.label}: {failure.message}"
        )
    rows = [device_row(case, device) for case, device in survey.devices]
    run.write_text("devices.csv", _table(rows))
    run.write_text("results.json", json.dumps(results(survey), indent=2, allow_nan=False) + "\n")
    page = write_page(run.report, _page(settings, survey, run))
    line = result_line(survey)
    run.finish(result=line)
    return line, page


def _plan(settings: SurveySettings) -> tuple[list[Case], Callable[[Case], Device]]:
    """The devices to survey and what makes them.

    Raises
    ------
    ConfigurationError, ParameterError, TaskError
    """
    from inmateria.cli.devices import DEFAULT, open_device
    from inmateria.survey.samples import logic_levels
    from inmateria.survey.scan import Case, check_inputs, drawer, list_cases

    protocol, _ = _protocol(settings)
    if settings.device == DEFAULT:
        cases = list_cases(settings.device_seeds, settings.parameters)
        draw = drawer(settings.engine, settings.engine_settings)
        check_inputs(cases, draw, protocol)
        return cases, draw
    named = ("seeds", "parameters", "engine", "engine_settings")
    wrong = [name for name in named if name in settings.model_fields_set]
    if wrong:
        raise ConfigurationError(
            f"{' and '.join(wrong)} do not go with {settings.device}: a model is one device; "
            "leave them out, or use --device default"
        )
    device = open_device(settings.device)
    logic_levels(device, protocol)
    return [Case(None)], lambda _: device


def _protocol(settings: SurveySettings) -> tuple[Protocol, Criterion]:
    from inmateria.survey.device_survey import Criterion
    from inmateria.survey.samples import Protocol

    protocol = Protocol(
        settings.inputs,  # type: ignore[arg-type]
        settings.level_v,
        settings.settings,
        settings.points,
        settings.sweeps,
        settings.sweep_points,
        settings.output,
    )
    return protocol, Criterion(settings.margin, settings.margin_na)


def _parameter(text: str) -> tuple[str, list[int | float | str]]:
    """``disorder_ev=0.05,0.1`` as a name and its values."""
    name, equals, values = text.partition("=")
    if not (name.strip() and equals and values.strip()):
        raise ConfigurationError(
            f"--parameter {text!r} is not NAME=VALUE,VALUE; for example disorder_ev=0.05,0.1"
        )
    return name.strip(), [_number(value.strip()) for value in values.split(",")]


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


@contextmanager
def _cores(workers: int | None) -> Iterator[None]:
    """Let the compiled engines use so many cores."""
    if workers is None:
        yield
        return
    import numba

    before = numba.get_num_threads()
    if not 1 <= workers <= before:
        raise ConfigurationError(f"--workers {workers}: give 1 to {before}, the cores there are")
    numba.set_num_threads(workers)
    try:
        yield
    finally:
        numba.set_num_threads(before)


def _table(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _page(settings: SurveySettings, survey: Survey, run: Run) -> Page:
    from inmateria.cli.devices import DEFAULT
    from inmateria.data.configuration import to_toml
    from inmateria.data.provenance import versions
    from inmateria.report.page import Listing, Page, Section
    from inmateria.report.survey_sections import result_line, survey_sections

    provenance = json.loads((run.path / "provenance.json").read_text(encoding="utf-8"))
    samples = survey.devices[0][1].samples
    levels = [
        f"{name} {low:+g} V, {high:+g} V"
        for name, (low, high) in zip(samples.inputs, samples.levels_v, strict=True)
    ]
    drawn = settings.device == DEFAULT
    found = versions()
    facts = {
        "devices": f"dopant networks, seeds {settings.seeds}" if drawn else settings.device,
        "engine": str(samples.device.get("engine", "none: a model")),
        **({"accuracy": "not measured for each; see inmateria accuracy"} if drawn else {}),
        "inputs": "; ".join(levels),
        "controls": ", ".join(samples.controls),
        "settings of the controls": f"{settings.settings:,} a device, seed {settings.seed}",
        "fidelity": "simulation: steady state, no measurement noise",
        "started": str(provenance["started_utc"]),
        "software": f"inmateria {found['inmateria']}, Python {found['python']}, "
        f"numpy {found['numpy']}, numba {found['numba']}",
    }
    facts |= {name: ", ".join(map(str, given)) for name, given in settings.parameters.items()}
    appendix = Section("Configuration", [Listing("config.toml", to_toml(settings))])
    title = "Survey of random devices" if drawn else "Survey of a device"
    return Page(title, result_line(survey), facts, [*survey_sections(survey), appendix])
