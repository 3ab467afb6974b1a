"""`inmateria reconstruct`: from an image of transport back to the disorder."""

from __future__ import annotations

import click

from inmateria.cli.app import LazyGroup

COMMANDS: dict[str, tuple[str, str]] = {
    "infer": (
        "inmateria.cli.reconstruct_infer",
        "Reconstruct the disorder behind an image; write a report.",
    ),
    "train": (
        "inmateria.cli.reconstruct_train",
        "Train a network on a set of samples; write a report.",
    ),
    "evaluate": (
        "inmateria.cli.reconstruct_evaluate",
        "Judge a model on samples it has not seen; write a report.",
    ),
}


@click.group(cls=LazyGroup, modules=COMMANDS)
def command() -> None:
    """From an image of transport (PLDOS, scanning-gate map) back to the disorder.

    `inmateria transport generate` makes the sets of samples that networks learn from.
    """
