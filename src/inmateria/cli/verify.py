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
@click.option("--model", metavar="PATH", help="Surrogate whose prediction is compared.")
@click.option("--repetitions", type=int, help="Times each gate is gone through.  [3]")
@click.option(
    "--points",
    type=int,
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
    without SOLUTIONS, says whether the surrogate still stands for the device.
    """
    settings = with_points(resolve(VerifySettings, config, flags(given)), points)
    if settings.random_points is None and not solutions:
        raise ConfigurationError("nothing to verify: give SOLUTIONS, or --model and --points N")
    if settings.random_points is not None and model is None:
        raise ConfigurationError("--points compares a surrogate: name it by --model")
    from rich.console import Console

    from inmateria.cli.accuracy import accuracy_line, keep_device
    from inmateria.cli.agreement_pages import agreement_page, with_agreement
    from inmateria.cli.devices import open_device, open_model
    from inmateria.cli.pages import verification_page
    from inmateria.cli.random_points import compare_on_rig
    from inmateria.cli.steps import make_folder, try_out
    from inmateria.report.page import write_page
    from inmateria.report.scoreboard import count_line
    from inmateria.report.task_sections import row_of
    from inmateria.report.terminal import print_scoreboard
    from inmateria.training.solution import load_solution

    files = [file for path in solutions for file in _files(path)]
    loaded = [load_solution(file) for file in files]
    device = open_device(settings.device, device_seed=settings.device_seed, engine=settings.engine)
    surrogate = open_model(model) if model is not None else None
    make_folder(out)
    with keeping("no verification was written; run the same command again"):
        agreement = None
        if settings.random_points is not None and surrogate is not None:
            agreement = compare_on_rig(settings.random_points, device, surrogate)
        found = try_out(settings, loaded, device, surrogate=surrogate) if loaded else []
        accuracy = accuracy_line(device) if found else None
    for verification in found:
        verification.save(out / f"{verification.task}.json")
    keep_device(device, out)
    if found:
        page = verification_page(settings, found, device, accuracy=accuracy)
        rows = [row_of(v) for v in found]
        print_scoreboard(Console(highlight=False), rows)
        click.echo(count_line(rows, noun="tasks"))
    if agreement is not None:
        agreement.save(out / "agreement.json")
        refit = f"`inmateria refit {model} --device {settings.device} -o NEW`"
        line = agreement.sentence(refit=refit)
        if found:
            page = with_agreement(page, agreement, line)
        else:
            page = agreement_page(settings, agreement, line, device, accuracy=accuracy)
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


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    # `train` on a device leaves its verifications and the device beside the solutions.
    others = ("device.json", ".verification.json", "agreement.json")
    files = [file for file in sorted(path.glob("*.json")) if not file.name.endswith(others)]
    if not files:
        raise ConfigurationError(f"{path} holds no solution (*.json); give what `train` wrote")
    return files
