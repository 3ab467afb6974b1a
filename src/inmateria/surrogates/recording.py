"""What a fit takes from a measurement: good rows, split into training and validation.

Neighbours on a trajectory are nearly the same point, so a random split would
test the network on what it has seen. Whole stretches are held out instead,
spread over the recording.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inmateria.devices.device import FloatArray, Terminal
from inmateria.errors import NotFiniteError, ParameterError, ShapeError, TrainingError

if TYPE_CHECKING:
    import xarray as xr

MIN_ROWS = 100
HELD_OUT_STRETCHES = 20


@dataclass(frozen=True)
class Recording:
    """The rows of a measurement that a fit may use.

    Parameters
    ----------
    voltage : (n_rows, n_terminals) array, V
    current : (n_rows, n_outputs) array, nA
    segment : (n_rows,) array
        Stretch of the trajectory that each row belongs to.
    terminals, outputs
        Of the device that was measured.
    provenance : dict
        Where the rows come from, digests included.
    """

    voltage: FloatArray
    current: FloatArray
    segment: NDArray[np.int64]
    terminals: tuple[Terminal, ...]
    outputs: tuple[str, ...]
    provenance: dict[str, Any]


def usable_rows(dataset: xr.Dataset) -> Recording:
    """The rows of a measurement without the clipped ones.

    Raises
    ------
    ShapeError, NotFiniteError
    TrainingError
        If too few rows are left, or an output never changes.
    """
    for name in ("voltage", "current", "clipped", "segment", "low_v", "high_v"):
        if name not in dataset.variables:
            raise ShapeError(f"the dataset has no {name}; give a measurement of inmateria")
    voltage = np.asarray(dataset["voltage"].transpose("sample", "terminal").values, dtype="<f8")
    current = np.asarray(dataset["current"].transpose("sample", "output").values, dtype="<f8")
    for name, array, unit in (("voltage", voltage, "V"), ("current", current, "nA")):
        if not np.isfinite(array).all():
            row = int(np.argwhere(~np.isfinite(array))[0, 0])
            raise NotFiniteError(f"{name} in row {row} is not a number of {unit}; leave it out")
    clipped = np.asarray(dataset["clipped"].values).astype(bool)
    good = ~clipped.reshape(len(voltage), -1).any(axis=1) if len(voltage) else clipped[:0]
    n_good = int(good.sum())
    if n_good < MIN_ROWS:
        raise TrainingError(
            f"{n_good} usable rows of {len(voltage)} ({len(voltage) - n_good} clipped) and a fit "
            f"needs {MIN_ROWS}; sample longer, or widen the current range if it clips"
        )
    outputs = tuple(str(name) for name in dataset["output"].values)
    for name, span in zip(outputs, np.ptp(current[good], axis=0), strict=True):
        if span == 0:
            raise TrainingError(
                f"output {name} is the same in all {n_good} rows; check its wiring or leave it out"
            )
    columns = (dataset[name].values for name in ("terminal", "low_v", "high_v"))
    return Recording(
        voltage=voltage[good],
        current=current[good],
        segment=np.asarray(dataset["segment"].values, dtype=np.int64)[good],
        terminals=tuple(
            Terminal(str(name), float(low), float(high))
            for name, low, high in zip(*columns, strict=True)
        ),
        outputs=outputs,
        provenance={
            "rows": n_good,
            "clipped_rows": len(voltage) - n_good,
            "voltage_sha256": hashlib.sha256(voltage.tobytes()).hexdigest(),
            "current_sha256": hashlib.sha256(current.tobytes()).hexdigest(),
            **{
                name: _parsed(dataset.attrs[name])
                for name in ("device", "rig", "design", "fidelity", "seed", "started_utc")
                if name in dataset.attrs
            },
        },
    )


def hold_out(segment: NDArray[np.int64], fraction: float, *, seed: int) -> NDArray[np.bool_]:
    """Which rows to hold out for validation: whole stretches, spread over the recording.

    The recording is cut into equal parts and a run of neighbouring segments is
    taken from each, at a random place. A recording of few segments is first cut
    into stretches of equal length.

    Parameters
    ----------
    segment : (n_rows,) array
        In the order of the recording.
    fraction : float
        Share of the segments to hold out, above 0 and at most 0.5.

    Returns
    -------
    (n_rows,) bool array

    Raises
    ------
    ParameterError
    """
    if not 0 < fraction <= 0.5:
        raise ParameterError(f"validation share {fraction} must be above 0 and at most 0.5")
    stretch = _stretches(segment, fraction)
    n_stretches = int(stretch[-1]) + 1
    n_parts = min(HELD_OUT_STRETCHES, max(1, round(fraction * n_stretches)))
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
    edges = np.linspace(0, n_stretches, n_parts + 1).round().astype(int)
    held = np.zeros(n_stretches, dtype=bool)
    for first, last in pairwise(edges):
        length = min(max(1, round(fraction * (last - first))), last - first - 1)
        start = int(rng.integers(first, last - length + 1))
        held[start : start + length] = True
    return held[stretch]


def _stretches(segment: NDArray[np.int64], fraction: float) -> NDArray[np.int64]:
    """Number of the stretch that each row lies in, counted from 0 along the recording."""
    starts = np.flatnonzero(np.diff(segment, prepend=segment[0] - 1))
    if len(starts) * fraction < 2:
        longest = max(1, round(len(segment) * fraction / HELD_OUT_STRETCHES))
        ends = np.append(starts[1:], len(segment))
        starts = np.concatenate(
            [np.arange(a, b, longest) for a, b in zip(starts, ends, strict=True)]
        )
    marks = np.zeros(len(segment), dtype=np.int64)
    marks[starts] = 1
    return np.cumsum(marks) - 1


def _parsed(value: Any) -> Any:
    """An attribute as a JSON value; measurement files keep nested ones as JSON text.

    Strict JSON has no infinity (the range of a chain that never clips): it becomes text.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value, parse_constant=str)
        except ValueError:
            return value
    return value
