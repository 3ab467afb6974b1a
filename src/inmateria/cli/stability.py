"""`inmateria stability`: has the device changed since the reference?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from inmateria.cli.exits import keeping
from inmateria.cli.first_measurements import (
    WRONG,
    StabilitySettings,
    bench_options,
    finish,
    new_run,
    opened,
    say,
)
from inmateria.cli.settings import flags, resolve


@click.command()
@bench_options
@click.option("--reference", type=click.Path(path_type=Path, dir_okay=False),
              default="reference.nc", show_default=True,
              help="Earlier measurement; recorded now if there is none.")  # fmt: skip
@click.option("--points", type=int, help="Of a new reference.  [24]")
@click.option("--passes", type=int, help="Over the points of a new reference.  [6]")
@click.option("--hold", "hold_s", type=float, metavar="S", help="Averaged at each point.  [0.02]")
@click.option("--settle", "settle_s", type=float, metavar="S", help="Waited before it.  [0.01]")
@click.option("--seed", type=int, help="Of a new reference's points.  [0]")
def command(config: Path | None, out: Path, strict: bool, reference: Path, **given: Any) -> int:
    """Visit the points of an earlier measurement again on the bench in file BENCH, and say
    whether the device is unchanged, has drifted, or has changed.

    Where there is no reference yet, it is recorded.
    """
    settings = resolve(StabilitySettings, config, flags(given))
    with keeping("nothing of it is kept; run the same command again"):
        if not reference.exists():
            path = _record(settings, reference)
            click.echo("recorded a reference; the same command compares with it from now on")
            click.echo(str(path))
            return 0
        return _compare(settings, reference, out, strict=strict)


def _record(settings: StabilitySettings, path: Path) -> Path:
    from inmateria.bench.stability import record_reference
    from inmateria.cli.progress import step
    from inmateria.cli.steps import make_folder
    from inmateria.data.measurement import write_measurement

    make_folder(path.parent)
    with opened(settings, notice=say) as bench, step("reference") as report:
        found = record_reference(
            bench.guard,
            n_points=settings.points,
            n_passes=settings.passes,
            hold_s=settings.hold_s,
            settle_s=settings.settle_s,
            seed=settings.seed,
            progress=report,
        )
    return write_measurement(path, found)


def _compare(settings: StabilitySettings, path: Path, out: Path, *, strict: bool) -> int:
    from inmateria.bench.result_files import write_stability
    from inmateria.bench.stability import check_stability
    from inmateria.cli.progress import step
    from inmateria.data.measurement import open_measurement
    from inmateria.report.first_measurement_sections import stability_sections

    then = open_measurement(path)
    with (
        opened(settings, notice=say) as bench,
        new_run(out, "stability", settings) as run,
        step("stability") as report,
    ):
        began = bench.guard.played_s
        found = check_stability(bench.guard, then, progress=report)
        device_s = bench.guard.played_s - began
    write_stability(run.data, found, bench.guard)
    finish(
        run,
        settings,
        bench,
        title="Has the device changed?",
        result=found.verdict,
        findings=found.findings,
        sections=stability_sections(found),
        device_s=device_s,
        facts={"reference": f"{path.name}, {found.then_utc}"},
    )
    return WRONG if strict and found.verdict == "changed" else 0
