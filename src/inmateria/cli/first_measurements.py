"""What `bench test`, `iv` and `stability` share: settings, the bench or a device, the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from pydantic import Field

from inmateria.data.configuration import Configuration
from inmateria.errors import ConfigurationError

if TYPE_CHECKING:
    from inmateria.bench.finding import Finding
    from inmateria.data.runs import Run
    from inmateria.report.page import Section
    from inmateria.rigs.guard import Guard

Command = TypeVar("Command", bound=Callable[..., Any])

WRONG = 2
"""Exit status with --strict."""


class BenchSettings(Configuration):
    """A bench by its file, or a simulated device in its place."""

    bench: str | None = None
    device: str | None = None
    device_seed: int | None = Field(default=None, ge=0)
    engine: str | None = None
    rate_hz: float | None = Field(default=None, gt=0)
    # Of a simulated device's noise.
    noise_seed: int = Field(default=0, ge=0)


class SelfTestSettings(BenchSettings):
    """How loud and how long."""

    amplitude_v: float = Field(default=0.005, gt=0)
    noise_s: float = Field(default=4.0, gt=0)
    tone_s: float = Field(default=0.5, gt=0)


class IVSettings(BenchSettings):
    """Which terminals, how far and how finely."""

    terminals: tuple[str, ...] | None = None
    low_v: float | None = None
    high_v: float | None = None
    points: int = Field(default=41, ge=5)
    rest: dict[str, float] = Field(default_factory=dict)
    # A cycle of 50 Hz.
    hold_s: float = Field(default=0.02, gt=0)
    settle_s: float = Field(default=0.01, ge=0)


class StabilitySettings(BenchSettings):
    """How a reference is recorded; a comparison takes all of it from the reference."""

    points: int = Field(default=24, ge=4)
    passes: int = Field(default=6, ge=3)
    hold_s: float = Field(default=0.02, gt=0)
    settle_s: float = Field(default=0.01, ge=0)
    seed: int = Field(default=0, ge=0)


def bench_options(command: Command) -> Command:
    """The argument and the flags that say what is measured on, and where results go."""
    for option in reversed(
        (
            click.argument("bench", required=False, type=click.Path(dir_okay=False)),
            click.option("--device", metavar="NAME|PATH",
                         help="A simulated device in place of a bench: 'default', a device's file, "
                         "or a model of a device."),
            click.option("--device-seed", type=int,
                         help="Another dopant network of the default kind."),
            click.option("--engine", metavar="NAME", help="How a dopant network is solved."),
            click.option("--rate", "rate_hz", type=float,
                         help="Samples per second.  [the bench's; 10000 for a device]"),
            click.option("--noise-seed", type=int, help="Of a simulated device's noise.  [0]"),
            click.option("--config", type=click.Path(path_type=Path),
                         help="TOML file; flags override it."),
            click.option("--out", type=click.Path(path_type=Path), default="runs",
                         show_default=True, help="Folder that gets a folder for this run."),
            click.option("--strict", is_flag=True,
                         help="End with status 2 if something is wrong or has changed."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


@dataclass(frozen=True)
class Opened:
    """What is measured on.

    Parameters
    ----------
    guard : Guard
    name : str
        Of the bench or the device, for the report.
    """

    guard: Guard
    name: str


@contextmanager
def opened(settings: BenchSettings, *, notice: Callable[[str], None]) -> Iterator[Opened]:
    """The bench or the simulated device that the settings name, guarded; at 0 V afterwards.

    Raises
    ------
    ConfigurationError
        If both are named, or none.
    """
    if settings.bench is not None:
        of_a_device = ("device", "device_seed", "engine", "noise_seed")
        given = [name for name in of_a_device if getattr(settings, name) not in (None, 0)]
        if given:
            raise ConfigurationError(
                f"{', '.join(given)} does not go with the bench {settings.bench}; leave one of "
                "them out"
            )
        from inmateria.bench.bench import open_bench

        bench = open_bench(settings.bench)
        with bench.guard(rate_hz=settings.rate_hz, notice=notice) as guard:
            yield Opened(guard, f"{bench.settings.name}: {bench.settings.device}")
        return
    if settings.device is None:
        raise ConfigurationError(
            "no bench: give a bench file, or --device default for a simulated device"
        )
    from inmateria.cli.devices import open_device, open_rig
    from inmateria.cli.pages import label

    device = open_device(settings.device, device_seed=settings.device_seed, engine=settings.engine)
    rate_hz = 10_000.0 if settings.rate_hz is None else settings.rate_hz
    with open_rig(device, seed=settings.noise_seed, rate_hz=rate_hz) as guard:
        yield Opened(guard, label(device))


def say(line: str) -> None:
    """A notice of the guard or the bench, on stderr."""
    click.echo(line, err=True)


@contextmanager
def new_run(out: Path, name: str, settings: BenchSettings) -> Iterator[Run]:
    """A folder for this run, made before anything is measured, and gone where nothing was."""
    import shutil

    from inmateria.cli.steps import make_folder
    from inmateria.data.runs import Run

    make_folder(out)
    run = Run.create(out, name, config=settings)
    try:
        yield run
    except BaseException:
        shutil.rmtree(run.path, ignore_errors=True)
        raise


def finish(
    run: Run,
    settings: BenchSettings,
    opened: Opened,
    *,
    title: str,
    result: str,
    findings: Sequence[Finding],
    sections: Sequence[Section],
    device_s: float,
    facts: dict[str, str] | None = None,
) -> None:
    """Write the page, end the run, and print findings, result and where the report is."""
    from inmateria.data.configuration import to_toml
    from inmateria.data.provenance import utc_now, versions
    from inmateria.report.first_measurement_sections import findings_section
    from inmateria.report.page import Listing, Page, Section, write_page

    guard, found = opened.guard, versions()
    simulated = guard.fidelity == "simulation"
    listed = {
        "bench" if settings.bench else "device": opened.name,
        "terminals": ", ".join(
            f"{t.name} {t.low_v:g} V to {t.high_v:g} V" for t in guard.terminals
        ),
        "outputs": ", ".join(guard.outputs),
        "rate": f"{guard.rate:g} Hz, {guard.slew_v_per_s:g} V/s at most",
        "played": f"{device_s:.1f} s",
        "fidelity": "simulation: rig in software, measurement noise on"
        if simulated
        else "measurement",
        "finished": utc_now(),
        "software": f"inmateria {found['inmateria']}, Python {found['python']}, "
        f"numpy {found['numpy']}",
        **(facts or {}),
    }
    appendix = Section("Configuration", [Listing("config.toml", to_toml(settings))])
    page = Page(title, result, listed, [findings_section(findings), *sections, appendix])
    write_page(run.report, page)
    run.finish(result=result)
    for finding in findings:
        click.echo(str(finding))
    click.echo(result)
    click.echo(str(run.report))
