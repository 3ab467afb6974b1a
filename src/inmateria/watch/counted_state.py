"""Runs that are a number of equal pieces: comparisons, surveys, steps of a transport sample."""

from __future__ import annotations

import json
import math
import tomllib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inmateria.watch.numbers import clean
from inmateria.watch.state import LogLine, newest_s
from inmateria.watch.tail import Tail

LOG_LINES = 300


@dataclass
class _Method:
    """What a comparison has of one method so far."""

    runs: int = 0
    successes: int = 0
    device_s: list[float] = field(default_factory=list)


class ComparisonWatch:
    """Follows ``results.jsonl``: one line for each finished search.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path, self.name, self.more = path, "comparison", False
        self._tail = Tail(path)
        self._methods: dict[str, _Method] = {}
        self._log: deque[LogLine] = deque(maxlen=LOG_LINES)

    @property
    def log(self) -> Sequence[LogLine]:
        """A line for each search, the last ones."""
        return tuple(self._log)

    def refresh(self) -> bool:
        """Read what is new; whether the page may look different now."""
        lines = self._tail.read()
        self.more = self._tail.more
        if self._tail.begun_anew:
            self._methods, self._log = {}, deque(maxlen=LOG_LINES)
        for line in lines:
            try:
                self._take(json.loads(line)["record"])
            except (ValueError, KeyError, TypeError):
                continue  # the head, or a line that a crash tore
        return bool(lines) or self._tail.begun_anew

    def part(self) -> dict[str, Any]:
        """Everything that the page draws of it."""
        rows = [
            (name, m.runs, f"{m.successes} ({m.successes / m.runs:.0%})", f"{sum(m.device_s):.0f}")
            for name, m in self._methods.items()
        ]
        return _counted(
            "comparison",
            "searches",
            done=sum(m.runs for m in self._methods.values()),
            header=("method", "runs", "successes", "device time (s)"),
            rows=rows,
        )

    def _take(self, record: Mapping[str, Any]) -> None:
        method = self._methods.setdefault(str(record["method"]), _Method())
        method.runs += 1
        method.successes += bool(record["success"])
        method.device_s.append(float(record["device_s"]))
        said = record["failure"] or ("success" if record["success"] else "no success")
        self._log.append(
            LogLine(
                "",
                f"{record['method']}, {record['task']}, seed {record['seed']}: {said}, "
                f"{record['device_s']:.1f} s on the device",
            )
        )


class SurveyWatch:
    """Counts the devices of a survey: one file for each.

    Parameters
    ----------
    run : Path
        The run folder.
    """

    def __init__(self, run: Path) -> None:
        self.path, self.name, self.more = run / "data", "survey", False
        self._config = run / "config.toml"
        self._counts = (-1, -1)

    @property
    def log(self) -> Sequence[LogLine]:
        """Nothing is told of single devices."""
        return ()

    def refresh(self) -> bool:
        """Count; whether the page may look different now."""
        try:
            names = [file.suffix for file in self.path.iterdir() if file.name[:1] != "."]
        except OSError:
            names = []
        counts = (names.count(".npz"), names.count(".json"))
        changed, self._counts = counts != self._counts, counts
        return changed

    def part(self) -> dict[str, Any]:
        """Everything that the page draws of it."""
        done, failed = self._counts
        return _counted(
            "survey",
            "devices",
            done=done + failed,
            total=_devices_of(self._config),
            header=("outcome", "devices"),
            rows=[("surveyed", done), ("could not be surveyed", failed)],
        )


class TransportWatch:
    """The steps that a transport sample has behind it.

    Parameters
    ----------
    path : Path
        ``transport.nc``, replaced after each step.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.name, self.more = path, "transport sample", False
        self._seen: float | None = None
        self._seconds: dict[str, float] = {}

    @property
    def log(self) -> Sequence[LogLine]:
        """The table says it all."""
        return ()

    def refresh(self) -> bool:
        """Read the file where it is newer; whether it was."""
        import h5py

        from inmateria.data.provenance import plain_attribute

        seen = newest_s(self.path)
        if seen == self._seen:
            return False
        try:
            # Without a lock: nobody may be kept from the file by us.
            with h5py.File(self.path, "r", locking=False) as file:
                self._seconds = dict(json.loads(plain_attribute(file.attrs["steps"])))
        except (OSError, KeyError, ValueError, TypeError, RuntimeError):
            return False
        self._seen = seen
        return True

    def part(self) -> dict[str, Any]:
        """Everything that the page draws of it."""
        return _counted(
            "transport",
            "steps",
            done=len(self._seconds),
            header=("step", "time (s)"),
            rows=[(name, f"{float(s):.2f}") for name, s in self._seconds.items()],
        )


def _counted(
    name: str,
    noun: str,
    *,
    done: int,
    header: Sequence[str],
    rows: Sequence[Sequence[Any]],
    total: int | None = None,
) -> dict[str, Any]:
    part = {"kind": "counted", "name": name, "noun": noun, "done": done, "total": total}
    return dict(clean({**part, "header": header, "rows": rows}))


def _devices_of(config: Path) -> int | None:
    """How many devices a survey is of: seeds times the values of its parameters."""
    try:
        settings = tomllib.loads(config.read_text(encoding="utf-8"))
        seeds, parameters = settings["seeds"], settings.get("parameters", {})
        if isinstance(seeds, str) and ":" in seeds:
            low, high = (int(end or 0) for end in seeds.split(":"))
            n = high - low
        else:
            n = len(seeds.split(",")) if isinstance(seeds, str) else len(seeds)
        return n * math.prod(len(values) for values in parameters.values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
