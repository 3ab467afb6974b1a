"""A reconstruction model on disk: one safetensors file whose header is JSON.

Loading runs no code from the file. The header holds a digest of the tensors and one of
itself, so that a flipped bit in either is found.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from inmateria.atomic import make_folder, write_bytes
from inmateria.errors import ModelFileError, ParameterError

SCHEMA = "inmateria.reconstruction"
SCHEMA_VERSION = 1


def write_tensors(path: Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> Path:
    """Write tensors and what they are.

    Raises
    ------
    StorageError
    ParameterError
        If the record has no JSON form.
    """
    try:
        text = json.dumps(record, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"what the model says of itself has no JSON form: {error}") from error
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = {
        "schema": SCHEMA,
        "schema_version": str(SCHEMA_VERSION),
        "record": text,
        "sha256": _digest(whole, text),
    }
    make_folder(path.parent)
    return write_bytes(path, _in_order(safetensors.torch.save(whole, metadata=header)))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and record of a model.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged, of another kind or of a newer version.
    """
    if not path.is_file():
        raise ModelFileError(f"{path} does not exist; give a model that training wrote")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if header.get("schema") != SCHEMA:
            raise ModelFileError(
                f"{path} is not a reconstruction model; give one that training wrote"
            )
        if int(header["schema_version"]) > SCHEMA_VERSION:
            raise ModelFileError(
                f"{path} has schema version {header['schema_version']} and this inmateria reads up "
                f"to {SCHEMA_VERSION}; update inmateria"
            )
        if header["sha256"] != _digest(tensors, header["record"]):
            raise ValueError("its checksum differs")
        record = json.loads(header["record"])
    except ModelFileError:
        raise
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFileError(
            f"{path} is damaged ({error}); copy it again or train again"
        ) from error
    return tensors, record


def _in_order(file: bytes) -> bytes:
    """The same with the keys of its header in order, so that equal models are equal files.

    safetensors writes them as they lie in a hash table: eight bytes of length, JSON, padding to
    eight bytes, tensors.
    """
    length = int.from_bytes(file[:8], "little")
    header = json.dumps(json.loads(file[8 : 8 + length]), sort_keys=True).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + file[8 + length :]


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        digest.update(name.encode() + b"\0" + tensors[name].numpy().tobytes())
    return digest.hexdigest()
