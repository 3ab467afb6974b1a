"""`inmateria transport`: commands on a disordered two-dimensional electron gas."""

from __future__ import annotations

import click

from inmateria.cli.app import LazyGroup
from inmateria.cli.generate import COMMANDS as ON_SETS

COMMANDS: dict[str, tuple[str, str]] = {
    "sample": (
        "inmateria.cli.transport_sample",
        "Compute one sample: PLDOS, transmission, scanning-gate map; write a report.",
    ),
    "benchmark": (
        "inmateria.cli.transport_benchmark",
        "Time this machine: samples a second at several accuracies.",
    ),
    **ON_SETS,
}


@click.group(cls=LazyGroup, modules=COMMANDS)
def command() -> None:
    """Quantum transport through a disordered two-dimensional electron gas.

    A source and a drain on a rectangle of GaAs, or of what a TOML file says.
    """
