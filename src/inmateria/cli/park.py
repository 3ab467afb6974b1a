"""`inmateria park`: the terminals of a bench to 0 V after a crash, `kill -9` or a power cut."""

from __future__ import annotations

from pathlib import Path

import click

from inmateria.errors import ConfigurationError


@click.command()
@click.argument("bench", type=click.Path(path_type=Path))
@click.option(
    "--from", "held", metavar="E1=V,...",
    help="What the terminals hold, as measured; those not named are at 0 V.",
)  # fmt: skip
def command(bench: Path, held: str | None) -> None:
    """Bring every terminal of BENCH, a bench file, to 0 V at the allowed slew.

    What the terminals hold is asked of the instrument, else read from the record of last known
    voltages, which every run on the bench keeps.
    """
    from inmateria.bench.bench import open_bench
    from inmateria.bench.park import park

    given = None if held is None else _voltages(held)
    click.echo(str(park(open_bench(bench), held_v=given)))


def _voltages(text: str) -> dict[str, float]:
    """``e1=0.3,e2=-0.1`` as voltages by name."""
    found = {}
    for part in text.split(","):
        name, equals, volts = part.strip().partition("=")
        try:
            found[name] = float(volts)
        except ValueError:
            equals = ""
        if not equals or not name:
            raise ConfigurationError(
                f"--from {text!r}: {part.strip()!r} is no voltage; write e1=0.3,e2=-0.1"
            )
    return found
