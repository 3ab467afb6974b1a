"""The state of a fit on disk, so that it goes on bit by bit where it stopped.

One safetensors file, replaced in one step: tensors (weights, optimiser, random
generator) and, in its header, JSON (settings, history). Reading it runs no code.
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
from inmateria.errors import ModelFileError

SCHEMA = "inmateria.fit-checkpoint"
SCHEMA_VERSION = 1


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
    """Write the state of a fit.

    Raises
    ------
    StorageError
    """
    header = {
        "schema": SCHEMA,
        "schema_version": str(SCHEMA_VERSION),
        "record": json.dumps(record, allow_nan=False),
        "tensors_sha256": _sha256(tensors),
    }
    make_folder(path.parent)
    write_bytes(path, safetensors.torch.save(dict(tensors), metadata=header))


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the record of a checkpoint.

    Raises
    ------
    ModelFileError
    """
    advice = "delete it to start the fit again"
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if header.get("schema") != SCHEMA:
            raise ModelFileError(f"{path} is not the checkpoint of a fit; choose another file name")
        if int(header["schema_version"]) > SCHEMA_VERSION:
            raise ModelFileError(
                f"{path} was written by a newer inmateria (version {header['schema_version']}, "
                f"this one reads up to {SCHEMA_VERSION}); update inmateria or {advice}"
            )
        if header["tensors_sha256"] != _sha256(tensors):
            raise ValueError("its checksum differs")
        return tensors, json.loads(header["record"])
    except ModelFileError:
        raise
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise ModelFileError(f"checkpoint {path} is damaged ({error}); {advice}") from error


def _sha256(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + b"\0" + tensors[name].contiguous().numpy().tobytes())
    return digest.hexdigest()
