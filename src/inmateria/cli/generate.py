"""`inmateria transport generate`: a set of samples, on all cores or a cluster."""

from __future__ import annotations

import os
from pathlib import Path

import click

from inmateria.cli.exits import keeping
from inmateria.errors import ConfigurationError

# The commands on sets of samples, for a group that imports them when they are called.
COMMANDS: dict[str, tuple[str, str]] = {
    "generate": ("inmateria.cli.generate", "Generate a set of samples from a TOML file."),
    "verify": ("inmateria.cli.verify_store", "Check every block of a set against its digest."),
    "merge": ("inmateria.cli.merge", "Join parts of one set."),
    "export": ("inmateria.cli.export", "Write a set as one netCDF file."),
}


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), default="samples.zarr", show_default=True
)
@click.option("--workers", type=click.IntRange(1), help="Processes.  [all cores]")
@click.option("--blocks", metavar="A:B", help="Blocks to compute, B left out.  [all]")
@click.option(
    "--scheduler", metavar="ADDRESS", help="Of a Dask cluster, in place of processes here."
)
def command(
    config: Path, out: Path, workers: int | None, blocks: str | None, scheduler: str | None
) -> None:
    """Generate the set of samples that the TOML file CONFIG describes.

    After an interruption, the same command goes on where it stopped.
    """
    from inmateria.cli.progress import step
    from inmateria.data.configuration import read_configuration
    from inmateria.datasets.generate import generate
    from inmateria.datasets.settings import GenerationSettings

    settings = read_configuration(config, GenerationSettings)
    with (
        keeping(f"all blocks so far are kept in {out}; run the same command again to go on"),
        step("generating") as report,
    ):
        found = generate(
            settings,
            out,
            workers=workers or len(os.sched_getaffinity(0)),
            progress=report,
            blocks=None if blocks is None else block_range(blocks),
            scheduler=scheduler,
        )
    rate = found.n_samples / max(found.wall_s, 1e-9)
    rest = f", {found.n_missing} blocks are missing" if found.n_missing else ""
    click.echo(f"{found.n_samples} samples, {rate:.3g} samples/s{rest}")
    click.echo(f"{found.path}")


def block_range(text: str) -> range:
    """``"0:100"`` as blocks 0 to 99.

    Raises
    ------
    ConfigurationError
    """
    first, colon, stop = text.strip().partition(":")
    if not (colon and first.isdecimal() and stop.isdecimal() and int(first) < int(stop)):
        raise ConfigurationError(
            f"--blocks {text!r} are not FIRST:STOP, blocks from 0 without STOP; for example 0:100"
        )
    return range(int(first), int(stop))
