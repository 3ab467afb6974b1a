"""`inmateria bench`: commands on what stands on a table in the lab."""

from __future__ import annotations

import click

from inmateria.cli.app import LazyGroup

COMMANDS: dict[str, tuple[str, str]] = {
    "test": (
        "inmateria.cli.bench_test",
        "Play a tiny safe signal: noise, offset, delay and crosstalk of every channel.",
    ),
}


@click.group(cls=LazyGroup, modules=COMMANDS)
def command() -> None:
    """What stands on a table in the lab, described by one file."""
