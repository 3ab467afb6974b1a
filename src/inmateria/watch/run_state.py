"""What a folder's files say as plain JSON: the whole of what the page shows.

The state is a few sections, each JSON of its own, so that a change of one is all that has to
be sent: ``head``, ``part:NAME`` for each search, recording, fit or count, ``log``, ``files``
and ``configuration``. Files are only ever opened for reading, and no lock is tried.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from inmateria.data.runs import FINISHED
from inmateria.training.window_file import window_path
from inmateria.watch.counted_state import ComparisonWatch, SurveyWatch, TransportWatch
from inmateria.watch.fit_state import FitWatch
from inmateria.watch.numbers import clean
from inmateria.watch.sampling_state import SUFFIX, SamplingWatch
from inmateria.watch.search_state import SearchWatch
from inmateria.watch.state import LogLine, State, newest_s, state_of
from inmateria.watch.tail import Tail

SCHEMA = "inmateria.watch"
SCHEMA_VERSION = 1

LOG = ".search.jsonl"
LOG_LINES = 400
MOST_FILES = 40
_TRIALS = ("verifications",)
_JUDGED = (SearchWatch, SamplingWatch, FitWatch)
_OTHER_LOGS = ("results.jsonl", "history.jsonl")
MOST_TEXT = 20_000

Sections: TypeAlias = dict[str, Any]


class Part(Protocol):
    """A file or a few that are followed together."""

    name: str

    @property
    def more(self) -> bool:
        """Whether there is more to be read at once."""

    def refresh(self) -> bool:
        """Read what is new; whether the page may look different now."""

    def part(self) -> dict[str, Any]:
        """Everything that the page draws of it."""


class RunWatch:
    """Follows a run folder, an output folder, or what belongs to a single file.

    Parameters
    ----------
    path : Path
        As `inmateria.watch.target.find_target` gives it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._whole = path.is_dir()
        self._parts: dict[str, Part] = {}
        self._history = Tail(path / "history.jsonl")
        self._events: list[LogLine] = []
        self._finished: dict[str, Any] | None = None
        self._listing: dict[Path, os.stat_result] = {}
        self._drawn: dict[str, tuple[State | None, dict[str, Any]]] = {}
        self._trials: dict[Path, tuple[int, dict[str, Any]]] = {}

    @property
    def more(self) -> bool:
        """Whether there is more to be read at once."""
        return self._history.more or any(part.more for part in self._parts.values())

    def refresh(self) -> None:
        """Look for new files, and read what is new in all of them."""
        self._listing = {file: status for f in self._folders() for file, status in _listed(f)}
        for name, part in self._found():
            self._parts.setdefault(name, part)
        for name, part in self._parts.items():
            if part.refresh():
                self._drawn.pop(name, None)
        self._follow_history()

    def sections(self) -> Sections:
        """The state, section by section."""
        parts = {f"part:{name}": drawn for name in self._parts if (drawn := self._draw(name))}
        return {
            "head": self._head(),
            **parts,
            "log": [{"utc": line.utc, "text": line.text} for line in self._log()],
            "files": self._files(),
            "configuration": _text(self._folder / "config.toml") if self._whole else "",
        }

    @property
    def _folder(self) -> Path:
        return self.path if self._whole else self.path.parent

    def _found(self) -> Iterator[tuple[str, Part]]:
        """What there is to follow now, by a name that stays."""
        if not self._whole:
            journal = self.path.with_name(self.path.name + SUFFIX)
            if self.path.suffix == ".jsonl" and self.path.name not in _OTHER_LOGS:
                # A search may keep its log under any name.
                yield self.path.name, SearchWatch(self.path)
            else:
                yield from _parts_of(journal if journal in self._listing else self.path)
            return
        for file in self._listing:
            if file.parent.name != "verifications":
                yield from _parts_of(file)
        kind = _json(self.path / "provenance.json").get("name")
        if kind == "survey":
            yield "survey", SurveyWatch(self.path)

    def _draw(self, name: str) -> dict[str, Any]:
        """What the page draws of a part; computed again where its files or its state changed."""
        part = self._parts[name]
        state = part.state() if isinstance(part, _JUDGED) else None
        if name not in self._drawn or self._drawn[name][0] != state:
            self._drawn[name] = (state, part.part())
        return self._drawn[name][1]

    def _head(self) -> dict[str, Any]:
        state = self._state()
        provenance = _json(self._folder / "provenance.json") if self._whole else {}
        newest = max((s.st_mtime for s in self._listing.values()), default=None)
        report = self._folder / "report.html"
        return dict(
            clean(
                {
                    "title": provenance.get("name") or self.path.name,
                    "path": str(self.path),
                    "state": state.name,
                    "state_text": state.text,
                    "result": None if self._finished is None else self._finished.get("result"),
                    "verified": self._verified(),
                    "started_utc": provenance.get("started_utc"),
                    # To a tenth of a second; `clean` would keep six digits of the age of Unix.
                    "newest": None if newest is None else f"{newest:.1f}",
                    "report": str(report) if self._whole and report.is_file() else None,
                }
            )
        )

    def _state(self) -> State:
        if not (self.path.is_dir() if self._whole else self._listing):
            return State("gone", f"{self.path} is not there any more")
        if self._finished is not None:
            return State("finished", str(self._finished.get("result", "")))
        session = _json(self.path / "session.json") if self._whole else {}
        if session:
            return state_of(session, *self._listing)
        states = [part.state() for part in self._parts.values() if isinstance(part, _JUDGED)]
        for name in ("running", "stopped", "stale", "waiting"):
            for state in states:
                if state.name == name:
                    return state
        if not states:
            return state_of({}, *self._listing)
        return self._after_searches(states)

    def _after_searches(self, states: Sequence[State]) -> State:
        """All searches are done; their process may still verify and write the report."""
        searches = [part for part in self._parts.values() if isinstance(part, SearchWatch)]
        report = newest_s(self.path / "report.html") if self._whole else None
        logs = newest_s(*(search.path for search in searches))
        if not searches or not self._whole or (report is not None and report >= (logs or 0.0)):
            return states[-1]
        newest = max(searches, key=lambda search: newest_s(search.path) or 0.0)
        state = state_of(newest.session, *self._listing)
        if state.name == "running":
            return State("running", "searches are done; verification and report come next")
        return State(state.name, "searches are done; no report was written")

    def _folders(self) -> list[Path]:
        """Where files of the run lie; of a single file, itself and its companions."""
        if self._whole:
            return [self.path / name for name in ("", "data", "model", "verifications")]
        return [self.path, self.path.with_name(self.path.name + SUFFIX), window_path(self.path)]

    def _verified(self) -> list[dict[str, Any]]:
        """What the trial of each solution on the device gave."""
        found = []
        for file, status in self._listing.items():
            if not (file.name.endswith(".verification.json") or file.parent.name in _TRIALS):
                continue
            seen, said = self._trials.get(file, (0, {}))
            if seen != status.st_mtime_ns:
                said = _json(file)
                self._trials[file] = (status.st_mtime_ns, said)
            if "passed" in said:
                found.append(
                    {"task": str(said.get("task", file.name)), "passed": bool(said["passed"])}
                )
        return found

    def _follow_history(self) -> None:
        lines = self._history.read()
        if self._history.begun_anew:
            self._events, self._finished = [], None
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if not isinstance(entry, dict):
                continue
            if entry.get("event") == FINISHED:
                self._finished = entry
            self._events.append(LogLine(str(entry.get("utc", "")), _event(entry)))
        del self._events[:-LOG_LINES]

    def _log(self) -> list[LogLine]:
        """The last lines of all that is followed, oldest first where times are known."""
        lines = [line for part in self._parts.values() for line in getattr(part, "log", ())]
        # Stable: lines without a time stay in their order, before those with one.
        return sorted([*lines, *self._events], key=lambda line: line.utc[:19])[-LOG_LINES:]

    def _files(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for file, status in self._listing.items():
            name = str(file.relative_to(self._folder))
            found.append({"name": name, "bytes": status.st_size, "modified": int(status.st_mtime)})
        return sorted(found, key=lambda f: -f["modified"])[:MOST_FILES]


def _parts_of(file: Path) -> Iterator[tuple[str, Part]]:
    """What a file belongs to, if that can be followed."""
    name = file.name
    if name.endswith(LOG):
        yield name, SearchWatch(file)
    elif name.endswith(SUFFIX):
        yield name.removesuffix(SUFFIX), SamplingWatch(file.with_name(name.removesuffix(SUFFIX)))
    elif name == "transport.nc":
        yield name, TransportWatch(file)
    elif file.suffix == ".nc" and name != "reconstruction.nc":
        yield name, SamplingWatch(file)
    elif name == "results.jsonl":
        yield name, ComparisonWatch(file)
    else:
        yield from _fit_of(file)


def _fit_of(file: Path) -> Iterator[tuple[str, Part]]:
    """A fit, by its checkpoint or by its history, whichever is there."""
    folder, name = file.parent, file.name
    if name in ("checkpoint", "history.json") and folder.name == "model":
        yield "fit", FitWatch("surrogate", folder / "checkpoint", folder / "history.json")
    elif name == "checkpoint.safetensors" and folder.name == "model":
        yield "fit", FitWatch("reconstruction", file, folder.parent / "training.json")
    elif name.endswith((".checkpoint", ".history.json")):
        stem = name.removesuffix(".checkpoint").removesuffix(".history.json")
        checkpoint = folder / f"{stem}.checkpoint"
        yield f"fit {stem}", FitWatch(stem, checkpoint, folder / f"{stem}.history.json")


def _listed(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """Files of a folder (or a file itself) that are nobody's temporary ones, by name."""
    found: list[tuple[Path, os.stat_result]] = []
    try:
        files = [folder] if folder.is_file() else sorted(folder.iterdir())
    except OSError:
        return found
    for file in files:
        # A file that is removed under our eyes is none.
        with contextlib.suppress(OSError):
            status = file.stat()
            if not file.name.startswith(".") and stat.S_ISREG(status.st_mode):
                found.append((file, status))
    return found


def _event(entry: Mapping[str, Any]) -> str:
    """An event of a history in a line."""
    others = {k: v for k, v in entry.items() if k not in ("utc", "event")}
    said = ", ".join(f"{k} {_short(v)}" for k, v in islice(others.items(), 6))
    return f"{entry.get('event')}: {said}" if said else str(entry.get("event"))


def _short(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 160 else text[:157] + "..."


def _json(path: Path) -> dict[str, Any]:
    """A small JSON object; empty where it is not there, not whole, or not one."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")[:MOST_TEXT]
    except OSError:
        return ""
