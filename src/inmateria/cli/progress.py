"""Progress on stderr: a bar with an estimate for people, a plain line per step for logs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class Report(Protocol):
    """Told how much is done, how much there is (0 where that is not known), and how it stands."""

    def __call__(self, done: int, total: int, note: str = "", /) -> None: ...


@contextmanager
def step(title: str) -> Iterator[Report]:
    """Show one step of a run; what it yields is called with (done, total, note)."""
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
        TextColumn("{task.fields[note]}", style="dim", markup=False),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(title, total=None, note="")

        def report(done: int, total: int, note: str = "", /) -> None:
            bar.update(task, completed=done, total=total or None, note=note)

        yield report


def _ignore(done: int, total: int, note: str = "", /) -> None:
    """Nobody is watching."""
