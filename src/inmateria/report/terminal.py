"""The same results as tables in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from inmateria.report.scoreboard import COLUMNS, TaskRow, cells


def print_scoreboard(console: Console, rows: Sequence[TaskRow]) -> None:
    """One line per task; narrow terminals lose the controls, never a verdict."""
    shown = len(COLUMNS) if console.width >= 140 else len(COLUMNS) - 1
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, name in enumerate(COLUMNS[:shown]):
        table.add_column(name, justify="right" if 2 <= i <= 5 else "left", no_wrap=True)
    for row in rows:
        texts = [Text(cell) for cell in cells(row)[:shown]]
        texts[1].stylize("green" if row.verified else "bold red")
        table.add_row(*texts)
    console.print(table)


def print_facts(console: Console, facts: Mapping[str, str]) -> None:
    """Names on the left, values on the right."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(Text(name), Text(value))
    console.print(table)


def print_rows(console: Console, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A plain table; every column but the first is set right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, name in enumerate(header):
        table.add_column(name, justify="right" if i else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
