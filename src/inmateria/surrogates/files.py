"""Surrogates on disk: weights as safetensors, everything else as JSON.

Loading runs no code from the files. The JSON holds the digest of the weights
and a digest of itself, so that a flipped bit in either is found.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from inmateria.atomic import make_folder, write_bytes, write_text
from inmateria.devices.device import Terminal
from inmateria.errors import InMateriaError, ModelFileError, ParameterError
from inmateria.surrogates.network import ScaledNetwork

SCHEMA = "inmateria.surrogate"
SCHEMA_VERSION = 1
SCALING = ("input_centre", "input_half_width", "output_mean", "output_std")


def model_paths(path: str | Path) -> tuple[Path, Path]:
    """The weights' and the JSON file's path, given either of them or their common stem."""
    stem = str(path).removesuffix(".safetensors").removesuffix(".json")
    return Path(stem + ".safetensors"), Path(stem + ".json")


def write_model(path: str | Path, network: ScaledNetwork, description: Mapping[str, Any]) -> Path:
    """Write ``path.safetensors`` and ``path.json``; gives the path of the JSON file.

    Parameters
    ----------
    path : the common stem, or either file
    network : ScaledNetwork
    description : mapping
        What a surrogate says of itself, as plain JSON values.

    Raises
    ------
    StorageError, ParameterError
    """
    weights_path, json_path = model_paths(path)
    weights = _weights(network)
    state = network.state_dict()
    record = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        **description,
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
    make_folder(weights_path.parent)
    write_bytes(weights_path, weights)
    return write_text(json_path, json.dumps(record, indent=2) + "\n")


def weights_sha256(network: ScaledNetwork) -> str:
    """SHA-256 of the weights' file of a network, whether it has been written or not."""
    return hashlib.sha256(_weights(network)).hexdigest()


def read_model(path: str | Path) -> tuple[ScaledNetwork, tuple[Terminal, ...], dict[str, Any]]:
    """Network, terminals and the whole record of a model on disk.

    Raises
    ------
    ModelFileError
        If a file is missing, truncated, altered, of a newer schema, or the two
        do not belong together.
    """
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
        network = ScaledNetwork(
            len(terminals),
            len(record["outputs"]),
            hidden=architecture["hidden"],
            activation=architecture["activation"],
        )
        network.load_state_dict(_tensors(weights, like=network.state_dict()))
    except (KeyError, TypeError, ValueError, InMateriaError, SafetensorError) as error:
        raise no_network(path, error) from error
    return network, terminals, record


def no_network(path: str | Path, error: Exception) -> ModelFileError:
    """The error of two files that are whole but make no surrogate."""
    weights_path, json_path = model_paths(path)
    return ModelFileError(
        f"{json_path} and {weights_path.name} do not make a network ({error}); "
        "copy both files again or fit again"
    )


def _weights(network: ScaledNetwork) -> bytes:
    return safetensors.torch.save(
        {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    )


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
