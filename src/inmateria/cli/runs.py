"""`inmateria runs`: all runs of a folder in a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inmateria.errors import DataFileError

if TYPE_CHECKING:
    from inmateria.watch.run_list import RunRow

RUNS = Path("runs")
WIDE = 1000  # a pipe has no width, and one line a run is what the next program wants
HEADER = ("started (UTC)", "name", "state", "took", "result", "path")


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(folder: Path | None, as_json: bool) -> None:
    """List the runs in FOLDER, newest last: when, what, how it stands, what came out.

    FOLDER is 'runs' where there is one, else the present folder.
    """
    from inmateria.watch.run_list import run_rows

    if folder is None:
        folder = RUNS if RUNS.is_dir() else Path()
    if not folder.is_dir():
        raise DataFileError(f"{folder} is not a folder; give the one that holds the runs")
    rows = run_rows(folder)
    if as_json:
        for row in rows:
            click.echo(json.dumps(row.to_dict()))
        return
    if not rows:
        click.echo(f"no runs in {folder}")
        return
    _print(rows)


def _print(rows: list[RunRow]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in HEADER:
        # In a narrow terminal the result is folded, and nothing is ever cut.
        table.add_column(name, no_wrap=name not in ("result", "path"), overflow="fold")
    colours = {"finished": "green", "running": "bold cyan", "stopped": "bold red"}
    for row in rows:
        state = Text(row.state, style=colours.get(row.state, ""))
        cells = (row.started_utc[:16].replace("T", " "), row.name, state, took(row.duration_s))
        table.add_row(*(Text(c) if isinstance(c, str) else c for c in cells),
                      Text(row.result), Text(row.path))  # fmt: skip
    console.print(table)


def took(seconds: float | None) -> str:
    """A duration in a few characters: 45 s, 12 min, 3.2 h, 2.1 d."""
    if seconds is None:
        return "-"
    for unit, size in (("d", 86400.0), ("h", 3600.0)):
        if seconds >= size * (2 if unit == "d" else 1):
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
