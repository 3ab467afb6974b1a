"""Rows of a brainspy-smg measurement: ``IO.dat`` and the configuration beside it.

``IO.dat`` is text: a header that names inputs and outputs, then volts and
nanoamperes, a row per sample. ``sampler_configs.json`` is YAML with Python
object tags in spite of its name; a few plain fields are picked out of its
lines, and its tags are never acted on.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from inmateria.devices.device import FloatArray, Terminal
from inmateria.errors import DataFileError

CONFIGURATIONS = ("sampler_configs.json", "sampler_configs.yaml", "sampling_configs.json")


class BrainspyData(NamedTuple):
    """A measurement of brainspy-smg.

    Parameters
    ----------
    voltage : (n_rows, n_terminals) array, V
    current : (n_rows, n_outputs) array, nA
    meta : dict
        Keyword arguments of a measurement: `terminals`, `outputs`, `rate_hz`
        (NaN if unknown), `segment`, `fidelity`, `device`, `rig`.
    """

    voltage: FloatArray
    current: FloatArray
    meta: dict[str, Any]


def read_brainspy_data(path: str | Path) -> BrainspyData:
    """The rows of an ``IO.dat``, with rate and ranges where its folder tells them.

    Terminals are ``v0``, ``v1``, ... and outputs ``i0``, ...; without a
    configuration a terminal's range is what the rows cover.

    Parameters
    ----------
    path : path
        The file, or the folder that holds it.

    Raises
    ------
    DataFileError
    """
    path = Path(path)
    path = path / "IO.dat" if path.is_dir() else path
    data = _read(path)
    table, n_inputs = _table(data, path)
    config, config_path = _configuration(path.parent)
    voltage, current = table[:, :n_inputs].copy(), table[:, n_inputs:].copy()
    ranges = _field(config, "activation_voltage_ranges")
    if ranges is None or np.shape(ranges) != (n_inputs, 2):
        spread = np.stack([voltage.min(axis=0), voltage.max(axis=0)], axis=1)
        spread[spread[:, 0] == spread[:, 1]] += (-1e-3, 1e-3)
        ranges, known = spread.tolist(), False
    else:
        known = True
    try:
        terminals = tuple(
            Terminal(f"v{i}", float(low), float(high)) for i, (low, high) in enumerate(ranges)
        )
    except ValueError as error:
        raise DataFileError(f"{config_path}: {error}") from error
    rate = _number(config, "activation_sampling_frequency") or _number(config, "sampling_frequency")
    batches = _number(config, "number_batches") or 1.0
    amplification = _field(config, "amplification")
    meta = {
        "terminals": terminals,
        "outputs": tuple(f"i{k}" for k in range(current.shape[1])),
        "rate_hz": rate if rate is not None and rate > 0 else math.nan,
        # between two batches the voltages ramp to zero, so a trajectory ends there
        "segment": np.arange(len(table)) * max(1, int(batches)) // len(table),
        "fidelity": "measurement",
        "device": {
            "kind": "measured with brainspy-smg",
            "name": _text(config, "data_name"),
            "file": path.name,
            "file_sha256": hashlib.sha256(data).hexdigest(),
        },
        "rig": {
            "kind": "brainspy-smg",
            "amplification_na_per_v": amplification,
            "gain": _text(config, "gain_info"),
            "ranges": config_path.name if known and config_path else "covered by the rows",
        },
    }
    return BrainspyData(voltage, current, meta)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataFileError(
            f"cannot read {path}: {error.strerror}; give an IO.dat or its folder"
        ) from error


def _table(data: bytes, path: Path) -> tuple[FloatArray, int]:
    """All columns of the file, and how many of them are inputs."""
    lines = data.decode("utf-8", errors="replace").splitlines()
    header = next((line for line in lines if line.lstrip().startswith("#")), "")
    n_inputs = len(re.findall(r"\binput", header, flags=re.IGNORECASE))
    n_outputs = len(re.findall(r"\boutput", header, flags=re.IGNORECASE))
    if not (n_inputs and n_outputs):
        raise DataFileError(
            f"{path} has no header '# Input 0, ..., Output 0' that names its columns; "
            "add one as its first line"
        )
    rows = [line.split() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not rows:
        raise DataFileError(f"{path} holds no rows; copy it again")
    for number, row in enumerate(rows):
        if len(row) != n_inputs + n_outputs:
            raise DataFileError(
                f"{path}: row {number} has {len(row)} numbers and the header names "
                f"{n_inputs + n_outputs} columns; the file is cut off, delete that row"
            )
    try:
        table = np.array(rows, dtype=np.float64)
    except ValueError as error:
        raise DataFileError(f"{path} holds text among its numbers ({error})") from error
    if not np.isfinite(table).all():
        row, column = np.argwhere(~np.isfinite(table))[0]
        raise DataFileError(
            f"{path}: row {row}, column {column} is {table[row, column]}; delete that row"
        )
    return table, n_inputs


def _configuration(folder: Path) -> tuple[str | Mapping[str, Any], Path | None]:
    """The configuration beside the rows: parsed if it is JSON, else its text."""
    for name in CONFIGURATIONS:
        path = folder / name
        if path.is_file():
            text = _read(path).decode("utf-8", errors="replace")
            try:
                parsed = json.loads(text)
            except ValueError:
                return text, path
            return (parsed if isinstance(parsed, dict) else ""), path
    return "", None


def _field(config: str | Mapping[str, Any], key: str) -> Any:
    """A plain number, or (nested) list of numbers, by its key at any depth; None if absent."""
    for value in _values(config, key):
        if isinstance(value, list):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
    return None


def _number(config: str | Mapping[str, Any], key: str) -> float | None:
    value = _field(config, key)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _text(config: str | Mapping[str, Any], key: str) -> str | None:
    return next((value for value in _values(config, key) if isinstance(value, str)), None)


def _values(config: str | Mapping[str, Any], key: str) -> Iterator[Any]:
    if isinstance(config, str):
        yield from _yaml_values(config.splitlines(), key)
        return
    for name, value in config.items():
        if name == key:
            yield value
        elif isinstance(value, Mapping):
            yield from _values(value, key)


def _yaml_values(lines: list[str], key: str) -> Iterator[Any]:
    """Values of `key` in block YAML: a scalar on its line, or a list of numbers below it."""
    for i, line in enumerate(lines):
        match = re.fullmatch(rf"(\s*){re.escape(key)}:\s*(.*?)\s*", line)
        if not match or match[2].startswith(("!", "&", "*")):
            continue
        if match[2]:
            yield _scalar(match[2])
            continue
        depth = len(match[1])
        items: list[Any] = []
        for below in lines[i + 1 :]:
            text = below.strip()
            if len(below) - len(below.lstrip()) < depth or not text.startswith("-"):
                break
            if text.startswith("- - "):
                items.append([_scalar(text[4:])])
            elif items and isinstance(items[-1], list) and _indent(below) > depth:
                items[-1].append(_scalar(text[1:].strip()))
            else:
                items.append(_scalar(text[1:].strip()))
        flat = [x for item in items for x in (item if isinstance(item, list) else [item])]
        if flat and all(isinstance(x, float) for x in flat):
            yield items


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _scalar(text: str) -> float | str | list[Any]:
    """A number, a flow list of numbers, or else the text."""
    try:
        return float(text)
    except ValueError:
        pass
    if text.startswith("["):
        try:
            value = json.loads(text)
        except ValueError:
            return text
        if isinstance(value, list):
            return value
    return text.strip("'\"")
