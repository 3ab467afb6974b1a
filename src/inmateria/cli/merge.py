"""`inmateria transport merge`: join parts of one set of samples."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path))
def command(paths: tuple[Path, ...], out: Path) -> None:
    """Join the sets PATHS, parts of one set made with --blocks, into one.

    Every block is checked on the way. The same command goes on after an interruption.
    """
    from inmateria.cli.exits import keeping
    from inmateria.cli.progress import step
    from inmateria.data.sample_store import open_store
    from inmateria.data.store_merge import merge_stores

    with (
        keeping(f"all blocks so far are kept in {out}; run the same command again to go on"),
        step("merging") as report,
    ):
        merge_stores(paths, out, progress=report)
    store = open_store(out)
    missing = len(store.missing_blocks())
    click.echo(f"{store.layout.n_blocks - missing} of {store.layout.n_blocks} blocks")
    click.echo(f"{out}")
