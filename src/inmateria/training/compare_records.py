"""What one run of a comparison gave, and the file that keeps it.

``results.jsonl``: the first line says what all runs share (device, bench, budget,
schema), each further line is one finished run, on the disk before the next
begins. Two runs are the same when method, options, task and seed are.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from inmateria.atomic import storage_error
from inmateria.data.provenance import canonical_json, plain
from inmateria.errors import ConfigurationError, DataFileError, SchemaVersionError
from inmateria.version import __version__

SCHEMA = "inmateria.comparison"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class RunRecord:
    """One method on one task with one seed.

    Parameters
    ----------
    method, task : str
    seed : int
        Of the method and of the rig's noise.
    success : bool
        The search saw a reading that met its stop rule within the budget, and the
        controls it gave were then verified.
    met, verified : bool
        Each of the two by itself.
    noise_free : bool
        The task's own criterion, on the device without rig and noise.
    time_to_solution_s : float, s
        Device time of the reading that met the stop rule; NaN without success.
    device_s : float, s
        Device time that the search spent.
    measurements : int
        Plateaus or windows, the last reading of the winner included.
    iterations : int
    wall_s : float, s
        On the clock, of the search alone.
    loss : float
        Lowest as read.
    accuracy, margin_na : float
        As verified; the margin in nA.
    noise_free_accuracy, noise_free_margin_na : float
    controls : mapping of terminal name to V
    failure : str
        Why the method could not be run to a result; empty where it could. All
        numbers are NaN or zero then.
    """

    method: str
    task: str
    seed: int
    success: bool = False
    met: bool = False
    verified: bool = False
    noise_free: bool = False
    time_to_solution_s: float = math.nan
    device_s: float = 0.0
    measurements: int = 0
    iterations: int = 0
    wall_s: float = 0.0
    loss: float = math.nan
    accuracy: float = math.nan
    margin_na: float = math.nan
    noise_free_accuracy: float = math.nan
    noise_free_margin_na: float = math.nan
    controls: Mapping[str, float] = field(default_factory=dict)
    failure: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; what is not finite becomes None."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in plain(asdict(self)).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunRecord:
        """The record that `to_dict` wrote.

        Raises
        ------
        KeyError, TypeError
            If something is missing or unknown.
        """
        known = {f.name for f in fields(cls)}
        if set(values) != known:
            raise KeyError(", ".join(sorted(known ^ set(values))))
        numbers: dict[str, Any] = {k: math.nan if v is None else v for k, v in values.items()}
        return cls(**numbers)


class RecordFile:
    """Records on disk, gone on with where they stopped.

    Parameters
    ----------
    path : Path
    setup : mapping
        What all runs of the file share, as plain JSON values.

    Raises
    ------
    ConfigurationError
        If the file belongs to another setup.
    DataFileError, SchemaVersionError
        If it is no such file.
    StorageError
        If it cannot be read or made.
    """

    def __init__(self, path: Path, setup: Mapping[str, Any]) -> None:
        self.path = path
        self._found: dict[str, RunRecord] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        except OSError as error:
            raise storage_error(path, error, fix="choose another file") from error
        whole = [line for line in lines if line.endswith(b"\n")]
        if whole:
            self._take_up(whole, setup)
        if len(whole) < len(lines):
            # What a crash tore is run again.
            os.truncate(path, sum(map(len, whole)))
        if not whole:
            head = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, "setup": plain(setup)}
            self._write({**head, "software": f"inmateria {__version__}"})

    def get(self, key: str) -> RunRecord | None:
        """The record of a run, if it is finished."""
        return self._found.get(key)

    def append(self, key: str, record: RunRecord) -> None:
        """Keep a record; on the disk when this returns.

        Raises
        ------
        StorageError
        """
        self._write({"key": key, "record": record.to_dict()})
        self._found[key] = record

    def _take_up(self, lines: list[bytes], setup: Mapping[str, Any]) -> None:
        try:
            head, *entries = [json.loads(line) for line in lines]
            if head["schema"] != SCHEMA:
                raise KeyError(head["schema"])
            version, kept = int(head["schema_version"]), head["setup"]
        except (ValueError, KeyError, TypeError) as error:
            raise DataFileError(
                f"{self.path} does not hold results of a comparison; name another file"
            ) from error
        if version > SCHEMA_VERSION:
            raise SchemaVersionError(
                f"{self.path} has schema version {version}; this inmateria reads up to "
                f"{SCHEMA_VERSION}: upgrade it"
            )
        now = plain(setup)
        other = [
            name
            for name in sorted({*kept, *now})
            if canonical_json(kept.get(name)) != canonical_json(now.get(name))
        ]
        if other:
            raise ConfigurationError(
                f"{self.path} holds a comparison with another {' and '.join(other)}; repeat its "
                "settings to go on with it, or name another file"
            )
        for number, entry in enumerate(entries, start=2):
            try:
                self._found[entry["key"]] = RunRecord.from_dict(entry["record"])
            except (KeyError, TypeError, AttributeError) as error:
                raise DataFileError(
                    f"{self.path} is damaged at line {number} ({error}); delete that line, and "
                    "its run is done again"
                ) from error

    def _write(self, entry: Mapping[str, Any]) -> None:
        line = (json.dumps(entry, separators=(",", ":"), allow_nan=False) + "\n").encode()
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            size = os.fstat(handle).st_size
            try:
                if os.write(handle, line) < len(line):
                    os.ftruncate(handle, size)
                    raise OSError(28, "No space left on device")
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise storage_error(
                self.path, error, fix="all finished runs are kept; free space and go on"
            ) from error
