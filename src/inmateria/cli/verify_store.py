"""`inmateria transport verify`: check every block of a set of samples."""

from __future__ import annotations

from pathlib import Path

import click

from inmateria.errors import DataIntegrityError


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--repair", is_flag=True, help="Remove damaged blocks; generate makes them again.")
def command(path: Path, repair: bool) -> None:
    """Read all of the set PATH and hold it against its digests.

    Damaged blocks are listed and are an error; blocks not computed yet are listed.
    """
    from inmateria.cli.progress import step
    from inmateria.data.store_verify import verify_store

    with step("verifying") as report:
        found = verify_store(path, repair=repair, progress=report)
    for _, message in found.damaged:
        click.echo(message)
    if found.missing:
        shown = ", ".join(map(str, found.missing[:20])) + (", ..." if found.missing[20:] else "")
        click.echo(f"{len(found.missing)} of {found.n_blocks} blocks are not computed: {shown}")
    bad = len({block for block, _ in found.damaged})
    if bad and not repair:
        raise DataIntegrityError(
            f"{path}: {bad} of {found.n_blocks} blocks are damaged; remove them with --repair and "
            "run generate"
        )
    right = found.n_blocks - len(found.missing) - bad
    click.echo(f"{right} of {found.n_blocks} blocks match their digests")
    if bad:
        click.echo(f"{bad} damaged blocks were removed; run generate to compute them again")
