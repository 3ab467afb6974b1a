"""The last windows of tones of a search, for those who watch it: a small file, replaced in place.

Nothing of it is ever read by a search. So it is written at most once a second, never waited
for, and a disk that refuses it costs the search nothing.
"""

from __future__ import annotations

import contextlib
import io
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from inmateria.devices.device import FloatArray
from inmateria.errors import DataFileError
from inmateria.signals.tones import TonePlan

MOST_POINTS = 16
"""Operating points that are kept: enough for a picture, little to write."""

_EVERY_S = 1.0


@runtime_checkable
class PlaysTones(Protocol):
    """An estimator that reads its gradients off tones."""

    plan: TonePlan

    @property
    def last_windows(self) -> FloatArray | None:
        """(n_points, n_groups, n_outputs, n_samples) nA, as last recorded."""


class WindowFile:
    """Where the last windows of a search go.

    Parameters
    ----------
    path : Path
        Beside the search's log.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._next = 0.0

    def show(
        self, estimator: object, *, iteration: int, output: int, controls: tuple[str, ...]
    ) -> None:
        """Write what an estimator recorded last, if that is due and it plays tones at all."""
        now = time.monotonic()
        if now < self._next or not isinstance(estimator, PlaysTones):
            return
        windows = estimator.last_windows
        if windows is None:
            return
        self._next = now + _EVERY_S
        plan = estimator.plan
        buffer = io.BytesIO()
        np.savez(
            buffer,
            current_na=windows[:MOST_POINTS, :, output].astype(np.float32),
            rate_hz=plan.rate,
            frequency_hz=plan.frequency_hz,
            group=plan.group,
            iteration=iteration,
            controls=np.array(controls),
        )
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        try:
            temporary.write_bytes(buffer.getvalue())
            os.replace(temporary, self.path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()


def window_path(log: Path) -> Path:
    """The file of windows that goes with a search log, ``TASK.window.npz``."""
    return log.with_name(f"{log.name.removesuffix('.jsonl').removesuffix('.search')}.window.npz")


def read_windows(path: Path) -> Mapping[str, Any]:
    """The arrays of such a file, by the names that `WindowFile.show` gives them.

    Raises
    ------
    DataFileError
        If it cannot be read.
    """
    try:
        # From memory: what NumPy opens itself stays open where the archive is damaged.
        data = path.read_bytes()
    except OSError as error:
        raise DataFileError(f"cannot read {path}: {error.strerror}; check the path") from error
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:
        # zipfile, zlib and NumPy each have errors of their own for a damaged archive.
        raise DataFileError(f"{path} is damaged: {error}; a search replaces it") from error
