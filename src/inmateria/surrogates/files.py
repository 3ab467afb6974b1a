"""Surrogates on disk: weights as safetensors, everything else as JSON.

Loading runs no code from the files. The JSON holds the digest of the weights
and a digest of itself, so that a flipped bit in either is found.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from inmateria.devices.device import Terminal
from inmateria.errors import InMateriaError, ModelFileError, ParameterError, StorageError
from inmateria.surrogates.network import ScaledNetwork

if TYPE_CHECKING:
    from inmateria.surrogates.surrogate import Surrogate

SCHEMA = "inmateria.surrogate"
SCHEMA_VERSION = 1
SCALING = ("input_centre", "input_half_width", "output_mean", "output_std")


def model_paths(path: str | Path) -> tuple[Path, Path]:
    """The weights' and the JSON file's path, given either of them or their common stem."""
    stem = str(path).removesuffix(".safetensors").removesuffix(".json")
    return Path(stem + ".safetensors"), Path(stem + ".json")


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old bytes or the new ones, never a part.

    Raises
    ------
    StorageError
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}; free space or choose another folder"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def save_surrogate(surrogate: Surrogate, path: str | Path) -> Path:
    """Write ``path.safetensors`` and ``path.json``; gives the path of the JSON file.

    Raises
    ------
    StorageError, ParameterError
    """
    weights_path, json_path = model_paths(path)
    network = surrogate.network
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    weights = safetensors.torch.save(state)
    described = surrogate.describe()
    del described["kind"]
    record = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        **described,
        "scaling": {name: state[name].tolist() for name in SCALING},
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }
    try:
        record["record_sha256"] = _record_sha256(record)
    except (TypeError, ValueError) as error:
        raise ParameterError(
            f"provenance or error of the surrogate has no JSON form ({error}); "
            "describe it by finite numbers, strings, lists and dictionaries"
        ) from error
    text = json.dumps(record, indent=2) + "\n"
    write_atomically(weights_path, weights)
    write_atomically(json_path, text.encode())
    return json_path


def load_surrogate(path: str | Path) -> Surrogate:
    """Read a surrogate back; `path` is either of its two files or their common stem.

    Raises
    ------
    ModelFileError
        If a file is missing, truncated, altered, of a newer schema, or the two
        do not belong together.
    """
    from inmateria.surrogates.surrogate import Surrogate

    weights_path, json_path = model_paths(path)
    record = _read_record(json_path)
    weights = _read(weights_path)
    if hashlib.sha256(weights).hexdigest() != record["weights_sha256"]:
        raise ModelFileError(
            f"{weights_path} is not the file that {json_path.name} describes (truncated, altered "
            "or of another model); copy both files again or fit again"
        )
    try:
        architecture = record["architecture"]
        terminals = tuple(Terminal(**terminal) for terminal in record["terminals"])
        outputs = tuple(record["outputs"])
        network = ScaledNetwork(
            len(terminals),
            len(outputs),
            hidden=architecture["hidden"],
            activation=architecture["activation"],
        )
        network.load_state_dict(_tensors(weights, like=network.state_dict()))
        return Surrogate(network, terminals, outputs, record["provenance"], record["error"])
    except (KeyError, TypeError, ValueError, InMateriaError, SafetensorError) as error:
        raise ModelFileError(
            f"{json_path} and {weights_path.name} do not make a network ({error}); "
            "copy both files again or fit again"
        ) from error


def _tensors(weights: bytes, *, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a safetensors file; names, shapes and numbers must be those of a network."""
    tensors = safetensors.torch.load(weights)
    if tensors.keys() != like.keys():
        raise ValueError(f"tensors {sorted(tensors.keys() ^ like.keys())} missing or unexpected")
    for name, tensor in tensors.items():
        if tensor.shape != like[name].shape:
            raise ValueError(f"{name} has shape {list(tensor.shape)}, not {list(like[name].shape)}")
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{name} holds NaN or infinity")
    return dict(tensors)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelFileError(
            f"cannot read {path}: {error.strerror}; a surrogate is a .safetensors and a .json "
            "file of the same name, keep them together"
        ) from error


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(_read(path))
    except ValueError as error:
        raise ModelFileError(
            f"{path} is not valid JSON ({error}); copy it again or fit again"
        ) from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise ModelFileError(
            f"{path} does not describe a surrogate (schema {SCHEMA}); "
            "give a file that `inmateria fit` or `inmateria import` wrote"
        )
    version = record.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise ModelFileError(
            f"{path} has schema version {version} and this inmateria reads up to "
            f"{SCHEMA_VERSION}; update inmateria"
        )
    if record.pop("record_sha256", None) != _record_sha256(record):
        raise ModelFileError(
            f"{path} was truncated or altered after it was written (its checksum differs); "
            "copy it again or fit again"
        )
    return record


def _record_sha256(record: Mapping[str, Any]) -> str:
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
