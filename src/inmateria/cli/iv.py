"""`inmateria iv`: every output's current against each terminal's voltage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from inmateria.cli.exits import keeping
from inmateria.cli.first_measurements import (
    WRONG,
    IVSettings,
    bench_options,
    finish,
    new_run,
    opened,
    say,
)
from inmateria.cli.settings import flags, resolve
from inmateria.errors import ConfigurationError


@click.command()
@bench_options
@click.option("--terminals", metavar="A,B", help="To be swept, one after the other.  [all]")
@click.option("--low", "low_v", type=float, metavar="V", help="Lowest voltage.  [the limits]")
@click.option("--high", "high_v", type=float, metavar="V", help="Highest voltage.  [the limits]")
@click.option("--points", type=int, help="On the way up, and on the way down.  [41]")
@click.option("--rest", multiple=True, metavar="NAME=V",
              help="Where a terminal is held while others are swept; repeat for another one.  "
                   "[0 V]")  # fmt: skip
@click.option("--hold", "hold_s", type=float, metavar="S", help="Averaged at each point.  [0.02]")
@click.option("--settle", "settle_s", type=float, metavar="S", help="Waited before it.  [0.01]")
def command(
    config: Path | None,
    out: Path,
    strict: bool,
    terminals: str | None,
    rest: tuple[str, ...],
    **given: Any,
) -> int:
    """Sweep each terminal of the bench in file BENCH up and down, the others at rest, and
    draw the current of every output, with noise and hysteresis.
    """
    overrides = flags(given)
    if terminals is not None:
        overrides["terminals"] = [name.strip() for name in terminals.split(",")]
    if rest:
        overrides["rest"] = dict(_rest(text) for text in rest)
    settings = resolve(IVSettings, config, overrides)
    from inmateria.bench.iv import measure_iv
    from inmateria.bench.result_files import write_iv
    from inmateria.cli.progress import step
    from inmateria.report.first_measurement_sections import count_findings, iv_sections

    with keeping("nothing of it is kept; run the same command again"):
        with (
            opened(settings, notice=say) as bench,
            new_run(out, "iv", settings) as run,
            step("I-V curves") as report,
        ):
            found = measure_iv(
                bench.guard,
                settings.terminals,
                low_v=settings.low_v,
                high_v=settings.high_v,
                n_points=settings.points,
                rest=settings.rest,
                hold_s=settings.hold_s,
                settle_s=settings.settle_s,
                progress=report,
            )
        write_iv(run.data, found, bench.guard)
        held = [f"{t.name} {v:g} V" for t, v in zip(bench.guard.terminals, found.rest, strict=True)]
        finish(
            run,
            settings,
            bench,
            title="I-V curves",
            result=count_findings(found.findings),
            findings=found.findings,
            sections=iv_sections(found),
            device_s=found.device_s,
            facts={"others at": ", ".join(held)},
        )
    return WRONG if strict and any(f.kind == "wrong" for f in found.findings) else 0


def _rest(text: str) -> tuple[str, str]:
    """``e2=0.3`` as a name and a voltage."""
    name, equals, volts = text.partition("=")
    if not (name.strip() and equals and volts.strip()):
        raise ConfigurationError(f"--rest {text!r} is not NAME=V; for example e2=0.3")
    return name.strip(), volts.strip()
