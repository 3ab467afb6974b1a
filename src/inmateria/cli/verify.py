"""`inmateria verify`: found controls on the device, noise on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from inmateria.cli.exits import keeping
from inmateria.cli.settings import PointSettings, VerifySettings, flags, resolve
from inmateria.data.configuration import parse_configuration
from inmateria.errors import ConfigurationError


@click.command()
@click.argument("solutions", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--device", metavar="NAME|PATH", help="'default', a device's file, or a model of a device."
)
@click.option("--device-seed", type=int, help="Another dopant network of the default kind.")
@click.option("--engine", metavar="NAME", help="How a dopant network is solved.")
@click.option("--bench", metavar="FILE", help="A bench file: the instrument, not a simulation.")
@click.option("--model", metavar="PATH", help="Surrogate whose prediction is compared.")
@click.option("--repetitions", type=int, help="Times each gate is gone through.  [3]")
@click.option(
    "--points",
    type=click.IntRange(min=80),
    metavar="N",
    help="Compare the surrogate with the device at N random points, too.",
)
@click.option("--seed", type=int, help="Of noise and order.  [1]")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file; flags override it.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), default="verification", show_default=True,
    help="Folder for one JSON file a task and report.html.",
)  # fmt: skip
def command(
    solutions: tuple[Path, ...],
    model: str | None,
    points: int | None,
    out: Path,
    config: Path | None,
    **given: Any,
) -> None:
    """Apply SOLUTIONS, files that `train` wrote or their folder, to the device.

    Every control is set within its range through a guarded rig with noise on;
    a margin has to exceed the measured noise. `--model MODEL --points N`, with or
    without SOLUTIONS, says whether the surrogate still stands for the device. With
    --bench all is measured there.
    """
    settings = with_points(resolve(VerifySettings, config, flags(given)), points)
    if settings.random_points is None and not solutions:
        raise ConfigurationError("nothing to verify: give SOLUTIONS, or --model and --points N")
    if settings.random_points is not None and model is None:
        raise ConfigurationError("--points compares a surrogate: name it by --model")
    from rich.console import Console

    from inmateria.cli.accuracy import accuracy_line, keep_device
    from inmateria.cli.agreement_pages import agreement_page, with_agreement
    from inmateria.cli.devices import open_model, open_place, refuse_another_device
    from inmateria.cli.pages import verification_page
    from inmateria.cli.random_points import compare_on_rig
    from inmateria.cli.steps import make_folder, try_out
    from inmateria.report.page import write_page
    from inmateria.report.scoreboard import count_line
    from inmateria.report.task_sections import row_of
    from inmateria.report.terminal import print_scoreboard
    from inmateria.training.solution import load_solution

    files = [file for path in solutions for file in solution_files(path)]
    loaded = [load_solution(file) for file in files]
    place = open_place(settings)
    surrogate = open_model(model) if model is not None else None
    refuse_another_device(place, surrogate=surrogate, named=str(model), solutions=loaded)
    make_folder(out)
    with keeping("no verification was written; run the same command again"):
        agreement = None
        if settings.random_points is not None and surrogate is not None:
            agreement = compare_on_rig(settings.random_points, place, surrogate)
        found = try_out(settings, loaded, place, surrogate=surrogate) if loaded else []
        accuracy = accuracy_line(place) if found else None
    for verification in found:
        verification.save(out / f"{verification.task}.json")
    keep_device(place, out)
    if found:
        page = verification_page(settings, found, place, accuracy=accuracy)
        rows = [row_of(v) for v in found]
        print_scoreboard(Console(highlight=False), rows)
        click.echo(count_line(rows, noun="tasks"))
    if agreement is not None:
        agreement.save(out / "agreement.json")
        where = f"--bench {settings.bench}" if settings.bench else f"--device {settings.device}"
        refit = f"`inmateria refit {model} {where} -o NEW`"
        line = agreement.sentence(refit=refit)
        if found:
            page = with_agreement(page, agreement, line)
        else:
            page = agreement_page(settings, agreement, line, place, accuracy=accuracy)
        click.echo(line)
    click.echo(str(write_page(out / "report.html", page)))


def with_points(settings: VerifySettings, n: int | None) -> VerifySettings:
    """The settings with the number of random points of a flag, if it was given."""
    if n is None:
        return settings
    chosen = settings.random_points or PointSettings()
    checked = parse_configuration(
        chosen.model_dump() | {"n_points": n}, PointSettings, source="the command line"
    )
    return settings.model_copy(update={"random_points": checked})


def solution_files(path: Path) -> list[Path]:
    """A solution's file, or those in a folder that `train` wrote.

    Raises
    ------
    ConfigurationError
        If there are none.
    """
    if not path.is_dir():
        return [path]
    # `train` on a device leaves its verifications and the device beside the solutions.
    others = ("device.json", ".verification.json", "agreement.json")
    files = [file for file in sorted(path.glob("*.json")) if not file.name.endswith(others)]
    if not files:
        raise ConfigurationError(f"{path} holds no solution (*.json); give what `train` wrote")
    return files
