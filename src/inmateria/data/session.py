"""Which process writes, and whether it is still there: for those who only look on.

A file that stops growing may be waiting for an instrument or have lost its process. Nobody
else's lock is tried for that, since the attempt could refuse the process that wants it.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from inmateria.data.provenance import utc_now

_SLACK_S = 5.0
"""How much later than its own note a process may seem to have begun: clocks are set."""


def this_session() -> dict[str, Any]:
    """This process as plain JSON values: when it began to write, and how to find it again.

    The machine is a digest of its name: enough to compare, and it says nothing to a stranger.
    """
    return {"utc": utc_now(), "pid": os.getpid(), "machine": _machine()}


def is_alive(session: Mapping[str, Any]) -> bool | None:
    """Whether the process of a session still runs; None where that cannot be known.

    Parameters
    ----------
    session : mapping
        From `this_session`, perhaps on another machine.
    """
    pid = session.get("pid")
    if session.get("machine") != _machine() or not isinstance(pid, int) or pid <= 0:
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    begun, noted = _began(pid), _seconds(session.get("utc"))
    # A process that began after the session was noted has only inherited its number.
    return not (begun is not None and noted is not None and begun > noted + _SLACK_S)


def _machine() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:12]


def _began(pid: int) -> float | None:
    """When a process began, seconds since 1970; None where the system does not tell.

    A process that is dead but not yet collected by its parent began never.
    """
    try:
        # Behind the name, which may hold anything: state is the first, start in ticks the 20th.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        lines = Path("/proc/stat").read_text(encoding="utf-8").splitlines()
        boot = next(float(line.split()[1]) for line in lines if line.startswith("btime"))
        if fields[0] in "ZX":
            return float("inf")
        return boot + float(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, StopIteration):
        return None


def _seconds(utc: Any) -> float | None:
    try:
        return datetime.fromisoformat(str(utc)).timestamp()
    except ValueError:
        return None
