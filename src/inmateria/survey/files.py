"""Outcomes of a scan on disk: one file per case, whole or not there at all.

Samples are a NumPy archive (`.npz`, read without pickle), failures JSON. What is
concluded is not stored: it is computed from the samples in a moment, so that
another margin needs no new measurement.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from inmateria.atomic import write_bytes, write_text
from inmateria.errors import DataFileError
from inmateria.survey.samples import Samples
from inmateria.survey.scan import Case, Failure, Outcome

_TEXT = ("device", "inputs", "controls")
_ARRAYS = tuple(field.name for field in fields(Samples) if field.name not in _TEXT)


def write_outcome(folder: Path, case: Case, outcome: Outcome) -> Path:
    """Keep the outcome of a case in `folder`.

    Raises
    ------
    StorageError
    """
    if isinstance(outcome, Failure):
        content = {"kind": outcome.kind, "message": outcome.message}
        return write_text(folder / f"{case.name}.json", json.dumps(content, indent=2) + "\n")
    facts = {name: getattr(outcome, name) for name in _TEXT}
    buffer = io.BytesIO()
    np.savez(
        buffer,
        facts=np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8),
        **{name: getattr(outcome, name) for name in _ARRAYS},
    )
    return write_bytes(folder / f"{case.name}.npz", buffer.getvalue())


def read_outcome(folder: Path, case: Case) -> Outcome | None:
    """The outcome of a case, or None where there is none yet.

    Raises
    ------
    DataFileError
        If the file is damaged.
    """
    for suffix, read in ((".npz", _read_samples), (".json", _read_failure)):
        path = folder / f"{case.name}{suffix}"
        if not path.exists():
            continue
        try:
            return read(path)
        except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise DataFileError(
                f"{path} is damaged ({str(error).splitlines()[0] if str(error) else 'empty'}); "
                "delete it and run the same command again"
            ) from error
    return None


def _read_samples(path: Path) -> Samples:
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
        facts: dict[str, Any] = json.loads(archive["facts"].tobytes())
        arrays = {name: archive[name] for name in _ARRAYS}
    return Samples(
        device=facts["device"],
        inputs=tuple(facts["inputs"]),
        controls=tuple(facts["controls"]),
        **arrays,
    )


def _read_failure(path: Path) -> Failure:
    content = json.loads(path.read_text(encoding="utf-8"))
    return Failure(str(content["kind"]), str(content["message"]))
