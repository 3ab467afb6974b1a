"""A network in training as its checkpoint or its history tells it: error against epoch."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inmateria.watch.numbers import clean, curve
from inmateria.watch.state import State, newest_s, state_of

_MOST_HEADER = 100_000_000  # of a safetensors file, as its own reader allows


class FitWatch:
    """Follows a fit: of a surrogate, or of a network that reads disorder.

    Parameters
    ----------
    name : str
    checkpoint : Path
        There while it trains (and after a stop).
    history : Path
        There when it is done; of `inmateria fit`, `demo` or `reconstruct train`.
    """

    def __init__(self, name: str, checkpoint: Path, history: Path) -> None:
        self.name, self.checkpoint, self.history = name, checkpoint, history
        self.more = False
        self._seen: tuple[float | None, float | None] = (None, None)
        self._drawn: dict[str, Any] = {}

    @property
    def finished(self) -> bool:
        """Whether the history was written."""
        return self.history.is_file()

    def state(self) -> State:
        """How the fit stands."""
        if self.finished:
            return State("finished", "the network is trained")
        return state_of({}, self.checkpoint)

    def refresh(self) -> bool:
        """Read what is new; whether the page may look different now."""
        seen = (newest_s(self.checkpoint), newest_s(self.history))
        if seen == self._seen:
            return False
        try:
            if self.finished:
                self._drawn = {**self._drawn, **_curves(_json(self.history))}
            else:
                record = checkpoint_record(self.checkpoint)
                self._drawn = {**_curves(record.get("loop", record)["history"]), **_plan(record)}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            # Replaced or removed under our eyes: the next look will tell.
            return False
        self._seen = seen
        return True

    def part(self) -> dict[str, Any]:
        """Everything that the page draws of it."""
        state = self.state()
        drawn = {
            "kind": "fit",
            "name": self.name,
            "file": (self.history if self.finished else self.checkpoint).name,
            "state": state.name,
            "state_text": state.text,
            **self._drawn,
        }
        return dict(clean(drawn))


def checkpoint_record(path: Path) -> dict[str, Any]:
    """What a checkpoint says in words: the JSON in the header of a safetensors file.

    Raises
    ------
    OSError, ValueError, KeyError
        If it cannot be read.
    """
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
        if not 0 < length < _MOST_HEADER:
            raise ValueError("not a checkpoint")
        header = json.loads(file.read(length))
    record = json.loads(header["__metadata__"]["record"])
    if not isinstance(record, dict):
        raise ValueError("not a checkpoint")
    return record


def _curves(history: Any) -> dict[str, Any]:
    """Of a surrogate's history (a line an epoch, nA) or a network's (lists of losses)."""
    if isinstance(history, Mapping):
        training, validation = history["training_loss"], history["validation_loss"]
        seconds, unit = float(sum(history["seconds"])), ""
    elif isinstance(history, Sequence):
        training = [line["train_na"] for line in history]
        validation = [line["validation_na"] for line in history]
        seconds, unit = float(history[-1]["seconds"] if history else 0.0), "nA"
    else:
        raise ValueError("not a history")
    epochs = range(1, len(training) + 1)
    return {
        "epochs_done": len(training),
        "seconds": seconds,
        "unit": unit,
        "curves": {"training": curve(epochs, training), "validation": curve(epochs, validation)},
        "lowest": min(validation, default=None),
    }


def _plan(record: Mapping[str, Any]) -> dict[str, Any]:
    """How many epochs there will be at most."""
    settings = record.get("plan") or record.get("fit", {}).get("settings", {})
    return {"epochs": settings.get("epochs")}


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
