"""Progress on stderr: a bar with an estimate for people, a plain line per step for logs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Report = Callable[[int, int], None]
"""Told how much is done and how much there is."""


@contextmanager
def step(title: str) -> Iterator[Report]:
    """Show one step of a run; what it yields is called with (done, total)."""
    console = Console(stderr=True)
    if not console.is_terminal:
        started = time.perf_counter()
        yield _ignore
        print(f"{title}: {time.perf_counter() - started:.1f} s", file=sys.stderr, flush=True)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(title, total=None)

        def report(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield report


def _ignore(done: int, total: int) -> None:
    """Nobody is watching."""
