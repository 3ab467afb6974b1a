"""A search on a device as its log tells it: learning curve, controls, output, seconds left.

The log holds what was asked and measured, not what it is worth; loss and judgement are computed
here as the search computes them, many requests at once.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inmateria.errors import InMateriaError
from inmateria.training.search_log import CONFIRM, FINAL, NOTE, SCHEMA, entry_of
from inmateria.watch.numbers import Series, clean, curve
from inmateria.watch.state import LogLine, State, state_of
from inmateria.watch.tail import Tail
from inmateria.watch.window_state import WindowWatch

if TYPE_CHECKING:
    from inmateria.watch.task_at_work import TaskAtWork

LOG_LINES = 300
SPARK_POINTS = 240
RECENT = 50


@dataclass
class _Known:
    """What has been read of a log so far."""

    head: dict[str, Any] = field(default_factory=dict)
    task: TaskAtWork | None = None
    session: dict[str, Any] = field(default_factory=dict)
    clock: datetime | None = None
    spent_s: float = 0.0
    searched_s: float = 0.0
    measurements: int = 0
    ended: str = ""
    final: bool = False
    damaged: int = 0
    loss: Series = field(default_factory=Series)
    lowest: Series = field(default_factory=Series)
    quality: Series = field(default_factory=Series)
    device_s: Series = field(default_factory=Series)
    controls: list[Series] = field(default_factory=list)
    last: dict[str, Any] = field(default_factory=dict)
    recent: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=RECENT))
    best: dict[str, Any] = field(default_factory=dict)
    best_before: dict[str, Any] = field(default_factory=dict)
    extracted: Mapping[str, Any] | None = None
    log: deque[LogLine] = field(default_factory=lambda: deque(maxlen=LOG_LINES))


class SearchWatch:
    """Follows a search log.

    Parameters
    ----------
    path : Path
        ``TASK.search.jsonl``; its windows of tones lie beside it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name.removesuffix(".jsonl").removesuffix(".search")
        self._tail = Tail(path)
        self._windows = WindowWatch(path)
        self._known = _Known()

    def refresh(self) -> bool:
        """Read what is new; whether the page may look different now."""
        lines = self._tail.read()
        if self._tail.begun_anew:
            self._known = _Known()
        entries = []
        for line in lines:
            entry = _parsed(line)
            if entry is not None:
                entries.append(entry)
            else:
                self._known.damaged += 1
        self._take(entries)
        return self._windows.refresh() or bool(lines) or self._tail.begun_anew

    @property
    def more(self) -> bool:
        """Whether there is more to be read at once."""
        return self._tail.more

    @property
    def log(self) -> Sequence[LogLine]:
        """The last lines of what happened."""
        return tuple(self._known.log)

    @property
    def session(self) -> Mapping[str, Any]:
        """The process that writes or wrote it, where the log says so."""
        return self._known.session

    @property
    def finished(self) -> bool:
        """Whether the search has measured its winner, its last act."""
        return self._known.final

    def state(self) -> State:
        """How the search stands."""
        known = self._known
        if known.final:
            return State("finished", known.ended or "the winner was measured")
        if known.ended:
            return State("stopped", known.ended)
        return state_of(known.session, self.path)

    def part(self) -> dict[str, Any]:
        """Everything that the page draws of it."""
        known = self._known
        search = known.head.get("search", {})
        budget = known.session.get("budget_s")
        n = len(known.loss)
        step = np.arange(1, n + 1, dtype=np.float64)
        state, window = self.state(), self._windows.part()
        drawn = {
            "kind": "search",
            "name": self.name,
            "file": self.path.name,
            "state": state.name,
            "state_text": state.text,
            "method": search.get("method"),
            "seed": search.get("seed"),
            "read_share": self._tail.share,
            "iterations": n,
            "measurements": known.measurements,
            "spent_s": known.spent_s,
            "searched_s": known.searched_s,
            "budget_s": budget,
            "damaged_lines": known.damaged,
            "loss": curve(step, known.loss.values),
            "lowest": curve(step, known.lowest.values),
            "quality": curve(step, known.quality.values),
            "device_s": curve(step, known.device_s.values, most=100),
            "last": known.last,
            "strip": self._strip(window),
            "best": known.best,
            "controls": self._controls(),
            "window": window,
            **({} if known.task is None else known.task.words()),
        }
        return dict(clean(drawn))

    def _strip(self, window: Mapping[str, Any] | None) -> dict[str, Any]:
        """The reading to show as a strip: the one whose windows are there, else the last.

        Windows are written once a second, so they may be a few iterations old.
        """
        if window is not None:
            for reading in self._known.recent:
                if reading["iteration"] == window["iteration"]:
                    return {**reading, "recorded": True}
        return {**self._known.last, "recorded": False}

    def _controls(self) -> list[dict[str, Any]]:
        known = self._known
        if known.task is None:
            return []
        last, best = known.last.get("controls", ()), known.best.get("controls", ())
        gradient = {} if known.extracted is None else _gradients(known.extracted)
        rows = []
        for m, terminal in enumerate(known.task.controls):
            values = known.controls[m].values
            rows.append(
                {
                    "name": terminal.name,
                    "low_v": terminal.low_v,
                    "high_v": terminal.high_v,
                    "now_v": last[m] if last else None,
                    "best_v": best[m] if best else None,
                    "history": curve(np.arange(1, values.size + 1), values, most=SPARK_POINTS),
                    **{k: v[m] for k, v in gradient.items() if m < len(v)},
                }
            )
        return rows

    def _take(self, entries: Sequence[dict[str, Any]]) -> None:
        """Take up entries in their order; loss and judgement of all readings at once."""
        known = self._known
        for entry in entries:
            if entry.get("schema") == SCHEMA:
                self._begin(entry)
        readings = [e for e in entries if e.get("kind") in ("measure", "extract")]
        judged = iter(()) if known.task is None else iter(known.task.judge(readings))
        for entry in entries:
            kind = entry.get("kind")
            if kind in ("measure", "extract", "setup", CONFIRM, FINAL):
                self._count(entry)
            if kind in ("measure", "extract"):
                known.ended, known.final = "", False
                found = next(judged, None)
                if found is not None:
                    self._keep(entry, found)
            elif kind == CONFIRM:
                self._confirm(entry)
            elif kind == "setup":
                self._say(f"set-up: {entry.get('asked')}, {_s(entry.get('device_s'))}")
            elif kind == FINAL:
                known.final, known.ended = True, str(entry.get("ended", ""))
                self._say(f"winner measured at all points; {known.ended or 'search done'}")
            elif kind == NOTE:
                self._note(entry)

    def _begin(self, head: dict[str, Any]) -> None:
        # Losses bring torch, which takes seconds: the page is there before it.
        from inmateria.watch.task_at_work import TaskAtWork

        known = self._known
        known.head, known.session = head, _mapping(head.get("session"))
        known.clock = _time(head.get("started_utc"))
        try:
            known.task = TaskAtWork(_mapping(head.get("search")))
            known.controls = [Series() for _ in known.task.controls]
        except (InMateriaError, KeyError, TypeError, ValueError, AttributeError) as error:
            # A task or a rig of someone's own: its requests are counted, not judged.
            self._say(f"what this search is about cannot be told: {error}")
        search = _mapping(head.get("search"))
        self._say(f"search begun: method {search.get('method')}, seed {search.get('seed')}")

    def _count(self, entry: Mapping[str, Any]) -> None:
        known = self._known
        seconds = _number(entry.get("device_s"))
        known.spent_s += seconds
        # What the last reading of the winner takes is not held against the budget.
        known.searched_s += 0.0 if entry["kind"] == FINAL else seconds
        known.measurements += int(_number(entry.get("measurements")))
        if known.clock is not None:
            known.clock += timedelta(seconds=_number(entry.get("wall_s")))

    def _keep(self, entry: Mapping[str, Any], found: dict[str, Any]) -> None:
        known = self._known
        assert known.task is not None
        loss = found["loss"]
        lowest = min(found["lowest"], known.lowest.last)
        known.loss.add([loss])
        known.lowest.add([lowest])
        known.quality.add([found["quality"]])
        known.device_s.add([known.spent_s])
        for series, value in zip(known.controls, found["controls"], strict=True):
            series.add([value])
        known.last = {**found, "iteration": len(known.loss), "device_s": known.spent_s}
        known.recent.append(known.last)
        known.best_before = known.best
        if _beats(known.last, known.best):
            known.best = known.last
        if entry["kind"] == "extract":
            known.extracted = entry
        problems = sorted({str(p) for p in entry.get("problem", ()) if p})
        said = f", output {' and '.join(problems)}" if problems else ""
        self._say(
            f"iteration {len(known.loss)}: loss {loss:.3g}, {known.task.quality_word} "
            f"{found['quality']:.3g} {known.task.quality_unit}, "
            f"{known.spent_s:.1f} s on the device{said}"
        )

    def _confirm(self, entry: Mapping[str, Any]) -> None:
        known = self._known
        if known.task is None or not known.last:
            return
        passed = known.task.passes(entry)
        if not passed:
            # A reading that passed by luck: what it beat was better.
            known.last = {**known.last, "passed": False}
            better = _beats(known.last, known.best_before)
            known.best = known.last if better else known.best_before
        again = "passes again" if passed else "does not pass a second time"
        self._say(f"read once more: {again}")

    def _note(self, entry: Mapping[str, Any]) -> None:
        known = self._known
        if "session" in entry:
            known.session = _mapping(entry["session"])
            known.clock = _time(known.session.get("utc"))
            known.ended, known.final = "", False
            self._say("search goes on")
        if "ended" in entry:
            known.ended = str(entry["ended"])
            self._say(known.ended)
        if "text" in entry:
            self._say(str(entry["text"]))

    def _say(self, text: str) -> None:
        clock = self._known.clock
        utc = "" if clock is None else clock.isoformat(timespec="seconds").replace("+00:00", "Z")
        self._known.log.append(LogLine(utc, f"{self.name}: {text}"))


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        return entry_of(line)
    except ValueError:
        return None


def _beats(found: Mapping[str, Any], best: Mapping[str, Any]) -> bool:
    """As a search decides: one that passes, then the lowest loss."""
    if not math.isfinite(found["loss"]):
        return False
    if not best or bool(found["passed"]) != bool(best["passed"]):
        return not best or bool(found["passed"])
    return bool(found["loss"] < best["loss"])


def _gradients(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Mean over the points of each derivative and its standard error, (n_controls,) nA/V."""
    try:
        value = np.atleast_2d(np.array(entry["value"], dtype=np.float64))
        error = np.atleast_2d(np.array(entry["standard_error"], dtype=np.float64))
    except (KeyError, TypeError, ValueError):
        return {}
    known = np.isfinite(value).all(axis=1)
    if not known.any():
        return {}
    n = int(known.sum())
    return {
        "gradient": value[known].mean(axis=0).tolist(),
        "gradient_error": (np.sqrt((error[known] ** 2).sum(axis=0)) / n).tolist(),
    }


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0


def _s(value: Any) -> str:
    return f"{_number(value):.2f} s on the device"


def _time(utc: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(utc))
    except ValueError:
        return None
