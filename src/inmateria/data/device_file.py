"""A dopant network as one JSON file: schema `inmateria.device`, version 1.

A network that was drawn is kept as its seed and parameters, one made from
arrays as these arrays, every bit of them. What was measured of its accuracy
stands beside that and counts only for exactly this device, engine and version
of inmateria. Reading runs no code from the file.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inmateria.atomic import make_folder, write_text
from inmateria.data.provenance import canonical_json, plain, software, utc_now
from inmateria.devices.dopant.accuracy import Accuracy
from inmateria.devices.dopant.geometry import Geometry
from inmateria.devices.dopant.network import DopantNetwork
from inmateria.devices.dopant.parameters import DopantParameters
from inmateria.errors import (
    DataFileError,
    DataIntegrityError,
    InMateriaError,
    ParameterError,
    SchemaVersionError,
)

SCHEMA = "inmateria.device"
SCHEMA_VERSION = 1
MODEL_ARRAYS = (
    "electrode_basis",
    "site_energy_kt",
    "pair_coulomb_kt",
    "pair_weight",
    "electrode_weight",
)
# Other machines round sums and exponentials differently; another draw differs in the first digit.
SAME_DRAW = 1e-9


def save_device(device: DopantNetwork, path: str | os.PathLike[str]) -> Path:
    """Write a dopant network, with what is known of its accuracy, as one JSON file.

    Raises
    ------
    ParameterError
        If it is not a dopant network.
    StorageError
    """
    if not isinstance(device, DopantNetwork):
        raise ParameterError(
            f"{type(device).__name__} is no dopant network; a surrogate is written by its "
            "save(path), other devices are rebuilt from their parts"
        )
    physics = _physics(device)
    record = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "software": software(),
        "written_utc": utc_now(),
        "physics": physics,
        "physics_sha256": _sha256(physics),
        "engine": _engine(device),
        "accuracies": [accuracy_entry(device, found) for found in device.accuracies.values()],
    }
    if device.seed is not None:
        record["site_energy_kt"] = _packed(device.model.site_energy_kt)
    return _write(Path(path), record)


def load_device(path: str | os.PathLike[str], *, engine: str | None = None) -> DopantNetwork:
    """The dopant network of a file; `engine` replaces the one it was saved with.

    Raises
    ------
    DataFileError
        If the file is missing or holds something else.
    DataIntegrityError
        If it was damaged, or its seed draws another network in this version.
    SchemaVersionError
        If a newer inmateria wrote it.
    """
    source = Path(path)
    record = _read(source)
    try:
        kept = record["engine"]
        settings = kept["settings"] if engine in (None, kept["name"]) else None
        device = _rebuilt(record["physics"], engine or kept["name"], settings)
        drawn = _unpacked(record["site_energy_kt"]) if device.seed is not None else None
        remember(device, record["accuracies"])
    except ParameterError:
        raise
    except (KeyError, TypeError, ValueError, InMateriaError) as error:
        raise DataFileError(
            f"{source} does not make a device ({type(error).__name__}: {error}); save it again"
        ) from error
    if drawn is not None and not np.allclose(
        drawn, device.model.site_energy_kt, rtol=SAME_DRAW, atol=SAME_DRAW
    ):
        raise DataIntegrityError(
            f"{source}: seed {device.seed} draws another network here than in "
            f"{record['software']}; use that version"
        )
    return device


def add_accuracy(path: str | os.PathLike[str], device: DopantNetwork, accuracy: Accuracy) -> Path:
    """Put an accuracy into the file of its device, whichever engine the file names.

    Raises
    ------
    DataFileError, StorageError
    """
    source = Path(path)
    record = _read(source)
    if record["physics_sha256"] != physics_sha256(device):
        raise DataFileError(f"{source} holds another device; save this one in a file of its own")
    record["accuracies"] = merged(record["accuracies"], accuracy_entry(device, accuracy))
    return _write(source, record)


def is_device_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file says that it is a device, damaged or not."""
    source = Path(path)
    if source.suffix != ".json" or not source.is_file():
        return False
    try:
        return f'"{SCHEMA}"'.encode() in source.read_bytes()
    except OSError as error:
        raise DataFileError(f"cannot read {source}: {error.strerror}; check the path") from error


def physics_sha256(device: DopantNetwork) -> str:
    """SHA-256 of all that a device's currents depend on but its engine."""
    return _sha256(_physics(device))


def accuracy_entry(device: DopantNetwork, accuracy: Accuracy) -> dict[str, Any]:
    """An accuracy as files keep it: with all that it holds for."""
    return {
        "physics_sha256": physics_sha256(device),
        "engine": _engine(device),
        "software": software(),
        "found": accuracy.as_dict(),
    }


def merged(entries: list[Any], entry: dict[str, Any]) -> list[Any]:
    """A new entry and those that hold for the same device and version, but for something else."""
    same = ("physics_sha256", "software")
    kept = [e for e in entries if all(e[name] == entry[name] for name in same)]
    return [e for e in kept if _holds_for(e) != _holds_for(entry)] + [entry]


def remember(device: DopantNetwork, entries: list[Any]) -> None:
    """Give a device those accuracies that are its own, and of this version of inmateria."""
    if not entries:
        return
    mine = (physics_sha256(device), _engine(device), software())
    for entry in entries:
        if (entry["physics_sha256"], entry["engine"], entry["software"]) == mine:
            found = Accuracy.from_dict(entry["found"])
            device.accuracies[found.asked] = found


def _holds_for(entry: Mapping[str, Any]) -> str:
    found = entry["found"]
    asked = [found[name] for name in ("n_points", "wanted", "seed")]
    return canonical_json([entry["engine"], asked])


def _engine(device: DopantNetwork) -> dict[str, Any]:
    settings = device.describe().get("engine_settings", {})
    return {"name": device.engine.name, "settings": plain(settings)}


def _physics(device: DopantNetwork) -> dict[str, Any]:
    described = device.describe()
    physics = {name: described[name] for name in ("seed", "parameters", "outputs", "ranges")}
    if device.seed is None:
        physics["arrays"] = {n: _packed(getattr(device.model, n)) for n in MODEL_ARRAYS}
        physics["geometry"] = None if device.geometry is None else _packed_all(device.geometry)
    return dict(plain(physics))


def _rebuilt(
    physics: Mapping[str, Any], engine: str, settings: Mapping[str, Any] | None
) -> DopantNetwork:
    parameters = DopantParameters(**physics["parameters"])
    how: dict[str, Any] = {
        "outputs": physics["outputs"],
        "ranges": {name: (low, high) for name, (low, high) in physics["ranges"].items()},
        "engine": engine,
        "engine_settings": settings,
    }
    if physics["seed"] is not None:
        return DopantNetwork(seed=physics["seed"], parameters=parameters, **how)
    arrays: dict[str, Any] = _unpacked_all(physics["arrays"])
    geometry = physics["geometry"]
    return DopantNetwork.from_arrays(
        **arrays,
        temperature_k=parameters.temperature_k,
        attempt_hz=parameters.attempt_hz,
        rates=parameters.rates,
        range_v=parameters.range_v,
        geometry=None if geometry is None else Geometry(**_unpacked_all(geometry)),
        **how,
    )


def _packed(array: NDArray[np.float64]) -> dict[str, Any]:
    data = np.ascontiguousarray(array, dtype="<f8")
    return {"shape": list(data.shape), "float64_le": base64.b64encode(data.tobytes()).decode()}


def _unpacked(packed: Mapping[str, Any]) -> NDArray[np.float64]:
    data = base64.b64decode(packed["float64_le"], validate=True)
    return np.frombuffer(data, dtype="<f8").astype(np.float64).reshape(packed["shape"])


def _packed_all(geometry: Geometry) -> dict[str, Any]:
    values = {field.name: getattr(geometry, field.name) for field in fields(geometry)}
    return {k: _packed(v) if isinstance(v, np.ndarray) else float(v) for k, v in values.items()}


def _unpacked_all(packed: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _unpacked(v) if isinstance(v, dict) else v for k, v in packed.items()}


def _sha256(value: Any) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def _write(path: Path, record: Mapping[str, Any]) -> Path:
    kept = {name: value for name, value in record.items() if name != "sha256"}
    kept["sha256"] = _sha256(kept)
    make_folder(path.parent)
    return write_text(path, json.dumps(kept, indent=1) + "\n")


def _read(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataFileError(
            f"cannot read {path}: {error.strerror}; give a file that save_device wrote"
        ) from error
    damaged = DataIntegrityError(
        f"{path} was truncated or altered after it was written; restore it from a copy"
    )
    try:
        record = json.loads(data)
    except ValueError as error:
        raise (damaged if SCHEMA.encode() in data else _foreign(path)) from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise _foreign(path)
    version = record.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise SchemaVersionError(
            f"{path} has schema version {version} and inmateria reads up to {SCHEMA_VERSION}; "
            "update inmateria"
        )
    digest = record.pop("sha256", None)
    if _sha256(record.get("physics")) != record.get("physics_sha256"):
        raise DataIntegrityError(
            f"{path}: the numbers of the device (physics) do not match their checksum, the file "
            "was altered after it was written; restore it from a copy"
        )
    if digest != _sha256(record):
        raise damaged
    return record


def _foreign(path: Path) -> DataFileError:
    return DataFileError(
        f"{path} does not hold a device (schema {SCHEMA}); give a file that save_device wrote"
    )
