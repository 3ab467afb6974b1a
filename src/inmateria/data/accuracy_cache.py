"""What is known of the accuracy of devices, kept for this user between runs.

One small file per device, named after the digest of its physics. Whatever is
wrong with it, it is as good as absent: measuring takes seconds.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from inmateria.atomic import make_folder, write_text
from inmateria.data.device_file import accuracy_entry, merged, physics_sha256, remember
from inmateria.data.provenance import canonical_json
from inmateria.devices.dopant.accuracy import POINTS, STANDARD_ERROR, Accuracy, measure_accuracy
from inmateria.devices.dopant.kmc import Progress
from inmateria.devices.dopant.network import DopantNetwork
from inmateria.errors import ParameterError, StorageError

SCHEMA = "inmateria.accuracies"
SCHEMA_VERSION = 1
USUAL = (POINTS, STANDARD_ERROR, 0)


def cache_folder() -> Path | None:
    """$INMATERIA_CACHE, else inmateria in $XDG_CACHE_HOME or ~/.cache; None without a home."""
    chosen = os.environ.get("INMATERIA_CACHE")
    if chosen:
        return Path(chosen)
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG base directory specification: a path that is not absolute does not count.
    if shared.is_absolute():
        return shared / "inmateria"
    try:
        return Path.home() / ".cache" / "inmateria"
    except RuntimeError:
        return None


def cached_accuracy(device: DopantNetwork) -> Accuracy | None:
    """The usual check of a device if the device or the cache has it; measures nothing."""
    if USUAL not in device.accuracies:
        with contextlib.suppress(KeyError, TypeError, AttributeError, ParameterError):
            remember(device, _read(_file(device)))
    return device.accuracies.get(USUAL)


def known_accuracy(device: DopantNetwork, *, progress: Progress | None = None) -> Accuracy:
    """The usual check of a device: from the device or the cache, else measured and kept.

    A cache that cannot be written is left alone.

    Raises
    ------
    ParameterError, ConvergenceError
        If the device cannot be judged; see `measure_accuracy`.
    """
    known = cached_accuracy(device)
    if known is not None:
        return known
    found = measure_accuracy(device, progress=progress)
    device.accuracies[found.asked] = found
    file = _file(device)
    if file is not None:
        try:
            entries = merged(_read(file), accuracy_entry(device, found))
        except (KeyError, TypeError):
            entries = [accuracy_entry(device, found)]
        record = {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "accuracies": entries,
            "sha256": _sha256(entries),
        }
        with contextlib.suppress(StorageError):
            make_folder(file.parent)
            write_text(file, json.dumps(record, indent=1) + "\n")
    return found


def _file(device: DopantNetwork) -> Path | None:
    folder = cache_folder()
    return None if folder is None else folder / "accuracy" / f"{physics_sha256(device)}.json"


def _read(file: Path | None) -> list[Any]:
    if file is None:
        return []
    try:
        record = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return []
    if not isinstance(record, dict):
        return []
    entries = record.get("accuracies")
    if (record.get("schema"), record.get("schema_version")) != (SCHEMA, SCHEMA_VERSION):
        return []
    return entries if isinstance(entries, list) and record.get("sha256") == _sha256(entries) else []


def _sha256(entries: list[Any]) -> str:
    return hashlib.sha256(canonical_json(entries).encode()).hexdigest()
