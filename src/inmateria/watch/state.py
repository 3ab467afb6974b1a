"""How a run stands: running, finished, stopped, or without news; and the lines of its log."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from inmateria.data.session import is_alive

StateName: TypeAlias = Literal["waiting", "running", "finished", "stopped", "stale", "gone"]

STALE_S = 60.0
"""Without a word for so long, and nothing known of its process, a run may have ended."""


@dataclass(frozen=True)
class State:
    """A word, and a sentence that says why."""

    name: StateName
    text: str = ""


@dataclass(frozen=True)
class LogLine:
    """What happened, and when (UTC, empty where that is not known)."""

    utc: str
    text: str


def state_of(session: Mapping[str, Any], *files: Path) -> State:
    """How something unfinished stands: by its process, else by the age of its files.

    Parameters
    ----------
    session : mapping
        From `inmateria.data.session.this_session`; empty where nobody wrote it down.
    *files : Path
        That grow while it runs.
    """
    alive = is_alive(session) if session else None
    if alive is not None:
        if alive:
            return State("running", "its process is at work")
        return State("stopped", "its process has ended without finishing")
    age = age_s(*files)
    if age is None:
        return State("waiting", "nothing was written yet")
    if age > STALE_S:
        return State("stale", "nothing new for a while; whether it still runs is not known")
    return State("running", "its files change")


def age_s(*files: Path) -> float | None:
    """Seconds since the newest of these files was written; None where there is none."""
    newest = newest_s(*files)
    return None if newest is None else max(0.0, time.time() - newest)


def newest_s(*files: Path) -> float | None:
    """When the newest of these files was written, seconds since 1970."""
    found = []
    for file in files:
        try:
            found.append(file.stat().st_mtime)
        except OSError:
            continue
    return max(found, default=None)
