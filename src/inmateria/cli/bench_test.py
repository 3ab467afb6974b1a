"""`inmateria bench test`: noise, offset, delay and crosstalk of every channel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from inmateria.cli.exits import keeping
from inmateria.cli.first_measurements import (
    WRONG,
    SelfTestSettings,
    bench_options,
    finish,
    new_run,
    opened,
    say,
)
from inmateria.cli.settings import flags, resolve


@click.command()
@bench_options
@click.option("--amplitude", "amplitude_v", type=float, metavar="V",
              help="Of the tone on each terminal.  [0.005]")  # fmt: skip
@click.option("--noise", "noise_s", type=float, metavar="S", help="Recorded at rest.  [4]")
@click.option("--tone", "tone_s", type=float, metavar="S",
              help="Of each window of tones.  [0.5]")  # fmt: skip
def command(config: Path | None, out: Path, strict: bool, **given: Any) -> int:
    """Listen to the bench in file BENCH at rest, then play a tone of millivolts on every
    terminal; say what is good and what is wrong with each channel, with a picture.
    """
    settings = resolve(SelfTestSettings, config, flags(given))
    from inmateria.bench.result_files import write_self_test
    from inmateria.bench.self_test import self_test
    from inmateria.cli.progress import step
    from inmateria.report.first_measurement_sections import count_findings, self_test_sections

    with keeping("nothing of it is kept; run the same command again"):
        with (
            opened(settings, notice=say) as bench,
            new_run(out, "bench-test", settings) as run,
            step("bench test") as report,
        ):
            found = self_test(
                bench.guard,
                amplitude_v=settings.amplitude_v,
                noise_s=settings.noise_s,
                tone_s=settings.tone_s,
                progress=report,
            )
        write_self_test(run.data, found, bench.guard)
        finish(
            run,
            settings,
            bench,
            title="Bench test",
            result=count_findings(found.findings),
            findings=found.findings,
            sections=self_test_sections(found),
            device_s=found.device_s,
        )
    return WRONG if strict and not found.passed else 0
