"""All runs of a folder: what each was, how it stands, what came out."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from inmateria.data.runs import FINISHED, Run
from inmateria.watch.state import State, newest_s, state_of

LOGS = "*.search.jsonl"
_HEAD = 4_000_000  # bytes of a first line, at most
_PIECE = 1_000_000
_MARK = b'"session":{'


@dataclass(frozen=True)
class RunRow:
    """A run in a line.

    Parameters
    ----------
    started_utc : str
        Empty where it is not known.
    name : str
    state : str
        ``"running"``, ``"finished"``, ``"stopped"``, ``"stale"`` or ``"waiting"``.
    result : str
        What came out; else what happened last.
    duration_s : float or None
        From the start to the end, or to the last news, s.
    path : str
    """

    started_utc: str
    name: str
    state: str
    result: str
    duration_s: float | None
    path: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def run_rows(folder: Path) -> list[RunRow]:
    """The runs in a folder, newest last: run folders, and folders that `train` wrote.

    Only small files are read, and of a search log its first line and what follows the
    session that wrote it last.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:
        return []
    rows = [row for path in (folder, *paths) if (row := run_row(path)) is not None]
    return sorted(rows, key=lambda row: (row.started_utc, row.path))


def run_row(path: Path) -> RunRow | None:
    """The line of one folder; None where it is no run."""
    run = Run(path)
    if run.config.is_file() and (path / "provenance.json").is_file():
        return _of_run(run)
    logs = sorted(path.glob(LOGS))
    return _of_training(path, logs) if logs else None


def _of_run(run: Run) -> RunRow:
    provenance = _json(run.path / "provenance.json")
    try:
        history = run.history()
    except OSError:
        history = []
    started = str(provenance.get("started_utc", ""))
    name = str(provenance.get("name", run.path.name))
    last = history[-1] if history else {}
    ended = next((e for e in reversed(history) if e.get("event") == FINISHED), None)
    if ended is not None:
        result, state = str(ended.get("result", "")), "finished"
        until = _seconds(ended.get("utc"))
    else:
        files = [file for folder in (run.path, run.data, run.model) for file in _files(folder)]
        state = state_of(_json(run.path / "session.json"), *files).name
        result = f"last: {last['event']}" if "event" in last else "nothing finished yet"
        until = newest_s(*files)
    return RunRow(started, name, state, result, _span(started, until), str(run.path))


def _of_training(path: Path, logs: list[Path]) -> RunRow:
    """A folder of searches, which has no history: its logs and verifications tell."""
    heads = [_head(log) for log in logs]
    started = min((str(head.get("started_utc", "")) for head in heads), default="")
    verified = [_json(log.with_name(_task(log) + ".verification.json")) for log in logs]
    known = [v for v in verified if "passed" in v]
    report = path / "report.html"
    if len(known) == len(logs) and report.is_file():
        state = State("finished")
    else:
        newest = max(logs, key=lambda log: newest_s(log) or 0.0)
        state = state_of(_session(newest), newest)
    passed = sum(bool(v["passed"]) for v in known)
    method = next((h["search"]["method"] for h in heads if _has_method(h)), "search")
    if known:
        result = f"{passed} of {len(logs)} task{'s' if len(logs) > 1 else ''} verified"
    else:
        result = f"searching: {', '.join(_task(log) for log in logs)}"
    until = newest_s(report, *logs)
    return RunRow(started, f"train {method}", state.name, result, _span(started, until), str(path))


def _head(log: Path) -> dict[str, Any]:
    """The first entry of a search log; empty where it cannot be read."""
    from inmateria.training.search_log import entry_of

    try:
        with open(log, "rb") as file:
            return entry_of(file.readline(_HEAD)) or {}
    except (OSError, ValueError):
        return {}


def _session(log: Path) -> dict[str, Any]:
    """The session that wrote a log last; looked for from the end, where it mostly is near."""
    from inmateria.training.search_log import entry_of

    rest = b""
    try:
        with open(log, "rb") as file:
            end = file.seek(0, 2)
            while end > 0 and not _holds_session(rest):
                begin = max(0, end - _PIECE)
                file.seek(begin)
                # The first line of this piece is whole only with the end of the one before.
                rest = file.read(end - begin) + rest.partition(b"\n")[0] + b"\n"
                end = begin
    except OSError:
        return {}
    for line in reversed(rest.splitlines(keepends=True)):
        if _MARK in line:
            with contextlib.suppress(ValueError, AttributeError):
                session = (entry_of(line) or {}).get("session")
                if isinstance(session, dict):
                    return session
    return {}


def _holds_session(data: bytes) -> bool:
    """Whether the line of a session is in here from its beginning on."""
    at = data.rfind(_MARK)
    return at >= 0 and data.rfind(b"\n", 0, at) >= 0


def _has_method(head: dict[str, Any]) -> bool:
    return isinstance(head.get("search"), dict) and "method" in head["search"]


def _task(log: Path) -> str:
    return log.name.removesuffix(".search.jsonl")


def _files(folder: Path) -> list[Path]:
    try:
        return [file for file in folder.iterdir() if file.is_file()]
    except OSError:
        return []


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _seconds(utc: Any) -> float | None:
    try:
        return datetime.fromisoformat(str(utc)).astimezone(UTC).timestamp()
    except ValueError:
        return None


def _span(started: str, until: float | None) -> float | None:
    begun = _seconds(started)
    return None if begun is None or until is None else max(0.0, round(until - begun, 1))
