"""What a measurement holds: schema `inmateria.measurement`, version 1.

A measurement is an `xarray.Dataset` with the dimensions `sample`, `terminal`
and `output`; a row is a voltage at every driven terminal and the currents that
it gave. `segment` counts the stretches of a trajectory (or the plateaus of a
staircase): neighbours inside a segment are correlated, so whoever holds data
out holds out whole segments.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from inmateria.data.provenance import canonical_json, plain, software, utc_now
from inmateria.devices.device import FloatArray, Terminal
from inmateria.errors import (
    DataFileError,
    NotFiniteError,
    ParameterError,
    SchemaVersionError,
    ShapeError,
    TerminalError,
)

SCHEMA = "inmateria.measurement"
SCHEMA_VERSION = 1
FIDELITIES = ("simulation", "measurement")
ATTRIBUTES_DIGEST = "attributes_sha256"

# name: (dimensions, dtype, attributes); little-endian, so that a digest means
# the same bytes on every machine
VARIABLES: dict[str, tuple[tuple[str, ...], str, dict[str, Any]]] = {
    "voltage": (("sample", "terminal"), "<f8", {"units": "V", "long_name": "terminal voltage"}),
    "current": (("sample", "output"), "<f8", {"units": "nA", "long_name": "output current"}),
    "clipped": (("sample", "output"), "|i1", {"long_name": "current at the end of its range"}),
    "segment": (("sample",), "<i4", {"long_name": "stretch or plateau"}),
    "low_v": (("terminal",), "<f8", {"units": "V", "long_name": "lowest allowed voltage"}),
    "high_v": (("terminal",), "<f8", {"units": "V", "long_name": "highest allowed voltage"}),
    "terminal": (("terminal",), "str", {"long_name": "driven terminal"}),
    "output": (("output",), "str", {"long_name": "measured output"}),
}
COORDINATES = ("terminal", "output", "low_v", "high_v")
ROW_VARIABLES = ("voltage", "current", "clipped", "segment")


@dataclass(frozen=True)
class Rows:
    """Consecutive rows of a measurement.

    Parameters
    ----------
    voltage : (n_rows, n_terminals) array, V
    current : (n_rows, n_outputs) array, nA
    clipped : (n_rows, n_outputs) int8 array, 1 where the chain was at its limit
    segment : (n_rows,) int32 array
    """

    voltage: FloatArray
    current: FloatArray
    clipped: NDArray[np.int8]
    segment: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.segment)


def array_bytes(name: str, array: ArrayLike) -> bytes:
    """The bytes of a variable that its digest is taken over: little-endian, C order.

    Names (of terminals and outputs) count as UTF-8 text, one a line.
    """
    dtype = VARIABLES[name][1]
    if dtype == "str":
        return "\n".join(str(item) for item in np.asarray(array).ravel()).encode()
    return np.ascontiguousarray(array, dtype=dtype).tobytes()


def array_sha256(name: str, array: ArrayLike) -> str:
    """SHA-256 of a variable of the schema, hexadecimal."""
    return hashlib.sha256(array_bytes(name, array)).hexdigest()


def attributes_sha256(attributes: Mapping[str, Any]) -> str:
    """SHA-256 of a file's own attributes (canonical JSON), the digest itself left out."""
    kept = {key: value for key, value in attributes.items() if key != ATTRIBUTES_DIGEST}
    return hashlib.sha256(canonical_json(kept).encode()).hexdigest()


def rows(voltage: ArrayLike, current: ArrayLike, *, segment: ArrayLike, clipped: ArrayLike) -> Rows:
    """`Rows` of the schema's types, their shapes and numbers checked.

    Raises
    ------
    ShapeError, NotFiniteError
    """
    v = np.asarray(voltage, dtype=np.float64)
    i = np.asarray(current, dtype=np.float64)
    if v.ndim != 2 or i.ndim != 2 or len(v) != len(i):
        raise ShapeError(
            f"voltage {v.shape} and current {i.shape} do not make rows; "
            "give (n_rows, n_terminals) and (n_rows, n_outputs)"
        )
    for name, array, unit in (("voltage", v, "V"), ("current", i, "nA")):
        if not np.isfinite(array).all():
            row, column = np.argwhere(~np.isfinite(array))[0]
            raise NotFiniteError(
                f"{name}[{row}, {column}] is {array[row, column]} {unit}; "
                "leave rows without a number out"
            )
    flags = np.asarray(clipped).astype(np.int8)
    if flags.ndim == 1:
        flags = np.repeat(flags[:, None], i.shape[1], axis=1)
    index = np.asarray(segment).astype(np.int32)
    if flags.shape != i.shape or index.shape != (len(v),):
        raise ShapeError(
            f"clipped {flags.shape} and segment {index.shape} do not fit current {i.shape}; "
            "give clipped (n_rows, n_outputs) and segment (n_rows,)"
        )
    return Rows(v, i, flags, index)


def attributes(
    *,
    rate_hz: float,
    fidelity: str,
    device: Mapping[str, Any] | None = None,
    rig: Mapping[str, Any] | None = None,
    design: Mapping[str, Any] | None = None,
    seed: int | None = None,
    started_utc: str | None = None,
    finished_utc: str | None = None,
    parents: Iterable[Mapping[str, str]] = (),
    **more: Any,
) -> dict[str, Any]:
    """The attributes of a measurement: text, whole numbers and floats only.

    `device`, `rig`, `design` and `parents` become JSON text. `rate_hz` is NaN
    where the rate is not known; `seed` is absent where none was used.

    Raises
    ------
    ParameterError
    """
    if fidelity not in FIDELITIES:
        raise ParameterError(f"fidelity {fidelity!r} is unknown; use {' or '.join(FIDELITIES)}")
    if not (rate_hz > 0 or math.isnan(rate_hz)):
        raise ParameterError(f"rate {rate_hz} Hz is not positive; give samples per second")
    entries = plain(list(parents))
    for entry in entries:
        if set(entry) != {"path", "sha256"}:
            raise ParameterError(f"parent {entry} is not {{path, sha256}}; use provenance.parent")
    now = utc_now()
    result: dict[str, Any] = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "fidelity": fidelity,
        "rate_hz": float(rate_hz),
        "device": canonical_json(device or {}),
        "rig": canonical_json(rig or {}),
        "design": canonical_json(design or {}),
        "software": software(),
        "started_utc": started_utc or now,
        "finished_utc": finished_utc or now,
        "parents": canonical_json(entries),
    }
    if seed is not None:
        result["seed"] = int(seed)
    result.update(plain(more))
    return result


def measurement(
    voltage: ArrayLike,
    current: ArrayLike,
    *,
    terminals: Sequence[Terminal],
    outputs: Sequence[str],
    rate_hz: float,
    fidelity: str,
    segment: ArrayLike | None = None,
    clipped: ArrayLike | None = None,
    **provenance: Any,
) -> xr.Dataset:
    """A valid measurement from arrays.

    Parameters
    ----------
    voltage : (n_rows, n_terminals) array, V
    current : (n_rows, n_outputs) array, nA
    rate_hz : float
        Samples per second; NaN where it is not known.
    fidelity : str
        ``"simulation"`` or ``"measurement"``.
    segment : (n_rows,) array, optional
        Stretch or plateau of each row; by default each row stands alone.
    clipped : (n_rows,) or (n_rows, n_outputs) array, optional
    **provenance
        `device`, `rig`, `design` (JSON values), `seed`, `started_utc`,
        `finished_utc`, `parents`, and further attributes.

    Raises
    ------
    ShapeError, NotFiniteError, ParameterError, TerminalError
    """
    v = np.asarray(voltage, dtype=np.float64)
    i = np.asarray(current, dtype=np.float64)
    block = rows(
        v,
        i,
        segment=np.arange(len(v)) if segment is None else segment,
        clipped=np.zeros(i.shape, dtype=np.int8) if clipped is None else clipped,
    )
    dataset = dataset_from_rows(
        block,
        terminals=terminals,
        outputs=outputs,
        attrs=attributes(rate_hz=rate_hz, fidelity=fidelity, **provenance),
    )
    check_measurement(dataset)
    return dataset


def dataset_from_rows(
    block: Rows, *, terminals: Sequence[Terminal], outputs: Sequence[str], attrs: Mapping[str, Any]
) -> xr.Dataset:
    """Rows and attributes as a dataset of the schema, digests included."""
    values: dict[str, Any] = {
        "voltage": block.voltage,
        "current": block.current,
        "clipped": block.clipped,
        "segment": block.segment,
        "low_v": np.array([t.low_v for t in terminals]),
        "high_v": np.array([t.high_v for t in terminals]),
        "terminal": np.array([t.name for t in terminals], dtype=np.str_),
        "output": np.array(list(outputs), dtype=np.str_),
    }
    for name, size in (("terminal", len(terminals)), ("output", len(outputs))):
        which = "voltage" if name == "terminal" else "current"
        if values[which].shape[1] != size:
            raise ShapeError(
                f"{which} has {values[which].shape[1]} columns and there are {size} {name}s; "
                f"give one {name} for each column"
            )
    variables = {
        name: (dims, values[name], dict(attrs_) | {"sha256": array_sha256(name, values[name])})
        for name, (dims, _, attrs_) in VARIABLES.items()
    }
    digest = {ATTRIBUTES_DIGEST: attributes_sha256(attrs)}
    return xr.Dataset(
        {name: variables[name] for name in ROW_VARIABLES},
        coords={name: variables[name] for name in COORDINATES},
        attrs=dict(attrs) | digest,
    )


def terminals_of(dataset: xr.Dataset) -> tuple[Terminal, ...]:
    """The driven terminals of a measurement, with their ranges in V."""
    columns = (dataset[name].values for name in ("terminal", "low_v", "high_v"))
    return tuple(
        Terminal(str(name), float(low), float(high))
        for name, low, high in zip(*columns, strict=True)
    )


def outputs_of(dataset: xr.Dataset) -> tuple[str, ...]:
    """The names of a measurement's outputs."""
    return tuple(str(name) for name in dataset["output"].values)


def check_version(attrs: Mapping[str, Any], *, source: str) -> None:
    """Refuse what is not a measurement, or is one of a newer schema.

    Raises
    ------
    DataFileError, SchemaVersionError
    """
    schema = attrs.get("schema")
    if not isinstance(schema, str) or schema != SCHEMA:
        raise DataFileError(
            f"{source} holds schema {schema!r}, not {SCHEMA!r}; "
            "give a file that `inmateria sample` or `inmateria import` wrote"
        )
    found = attrs.get("schema_version")
    if not isinstance(found, int | np.integer) or found < 1:
        raise DataFileError(
            f"{source} has schema version {found!r}, not a whole number; write it again"
        )
    if found > SCHEMA_VERSION:
        raise SchemaVersionError(
            f"{source} has schema version {int(found)} and inmateria reads up to "
            f"{SCHEMA_VERSION}; update inmateria"
        )


def check_measurement(dataset: xr.Dataset, *, source: str = "the dataset") -> None:
    """Check that a dataset is a valid measurement (digests are not part of this).

    Raises
    ------
    DataFileError, SchemaVersionError
        If it is not a measurement, or one of a newer schema.
    ShapeError, NotFiniteError, ParameterError, TerminalError
        If one of its arrays is wrong.
    """
    check_version(dataset.attrs, source=source)
    for name, (dims, dtype, attrs) in VARIABLES.items():
        if name not in dataset.variables:
            raise DataFileError(f"{source} lacks the variable {name}; write it again")
        variable = dataset[name]
        if variable.dims != dims:
            raise ShapeError(f"{source}: {name} has dimensions {variable.dims}, not {dims}")
        kinds = "OUST" if dtype == "str" else np.dtype(dtype).kind
        if variable.dtype.kind not in kinds:
            raise ShapeError(f"{source}: {name} has type {variable.dtype}, not {dtype}")
        if "units" in attrs and variable.attrs.get("units") != attrs["units"]:
            raise ParameterError(
                f"{source}: {name} is in {variable.attrs.get('units')!r}, "
                f"not {attrs['units']!r}; convert it"
            )
    for name in ("terminal", "output"):
        names = [str(item) for item in dataset[name].values]
        if len(set(names)) != len(names):
            raise TerminalError(f"{source}: {name} names repeat ({', '.join(names)}); rename them")
    terminals_of(dataset)
    rows(
        dataset["voltage"].values,
        dataset["current"].values,
        segment=dataset["segment"].values,
        clipped=dataset["clipped"].values,
    )
    if dataset.sizes["sample"] and int(dataset["segment"].min()) < 0:
        raise ParameterError(f"{source}: segment {int(dataset['segment'].min())} is negative")
