"""`inmateria transport export`: a set of samples as one netCDF file."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--partial", is_flag=True, help="Leave out blocks that are missing.")
def command(path: Path, out: Path, partial: bool) -> None:
    """Write the set PATH as one netCDF4 file OUT, values in their units."""
    from inmateria.cli.exits import keeping
    from inmateria.cli.progress import step
    from inmateria.data.store_export import export_store

    with keeping("nothing was replaced"), step("exporting") as report:
        export_store(path, out, partial=partial, progress=report)
    click.echo(f"{out}")
