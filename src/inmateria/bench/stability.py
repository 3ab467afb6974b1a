"""Has the device changed since an earlier measurement?

The same random points are visited again, in several passes, in a new shuffled order in
each pass that both measurements share. A difference common to all points is drift and no
change of the device; what is left is held against the noise of both (`levels`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from inmateria.bench.levels import compare_levels, find_levels
from inmateria.bench.stability_result import Stability
from inmateria.data.schema import measurement, outputs_of, terminals_of
from inmateria.devices.device import FloatArray
from inmateria.errors import DataFileError, ParameterError, TerminalError
from inmateria.rigs.guard import Guard
from inmateria.signals.waveforms import plateaus

Progress = Callable[[int, int], object]

KIND = "stability"

_LEAST_POINTS = 4
_LEAST_PASSES = 3


def record_reference(
    guard: Guard,
    *,
    n_points: int = 24,
    n_passes: int = 6,
    hold_s: float = 0.02,
    settle_s: float = 0.01,
    seed: int = 0,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Visit random points, for later comparison.

    Parameters
    ----------
    guard : Guard
        Points are drawn from the whole of its terminals' ranges.
    n_points, n_passes : int
    hold_s, settle_s : float, s
        Averaged at each point, and waited before.
    seed : int
        Of points and orders.
    progress : callable, optional
        Called with (passes done, passes in all).

    Returns
    -------
    xarray.Dataset
        A measurement with a row a visit; `segment` is the number of the point.

    Raises
    ------
    ParameterError
    """
    for name, value, least in (
        ("n_points", n_points, _LEAST_POINTS),
        ("n_passes", n_passes, _LEAST_PASSES),
    ):
        if value < least:
            raise ParameterError(f"{name} = {value}; give {least} or more")
    rng = np.random.default_rng(seed)
    low = np.array([t.low_v for t in guard.terminals])
    high = np.array([t.high_v for t in guard.terminals])
    points = rng.uniform(low, high, (n_points, low.size))
    order = np.stack([rng.permutation(n_points) for _ in range(n_passes)])
    return _visit(guard, points, order, hold_s, settle_s, seed, progress)


def check_stability(
    guard: Guard, reference: xr.Dataset, *, progress: Progress | None = None
) -> Stability:
    """Visit a reference's points again, in its order, and compare.

    Parameters
    ----------
    guard : Guard
    reference : xarray.Dataset
        From `record_reference`.
    progress : callable, optional

    Raises
    ------
    DataFileError
        If it is another kind of measurement.
    TerminalError
        If this bench has other terminals or outputs; nothing is played.
    VoltageLimitError
        If a point lies outside the limits of today; nothing is played.
    """
    design = _design(reference)
    theirs = ([t.name for t in terminals_of(reference)], list(outputs_of(reference)))
    ours = ([t.name for t in guard.terminals], list(guard.outputs))
    if theirs != ours:
        raise TerminalError(
            f"the reference has terminals {', '.join(theirs[0])} and outputs "
            f"{', '.join(theirs[1])}, this bench {', '.join(ours[0])} and {', '.join(ours[1])}; "
            "record a new reference, in another file"
        )
    points, order = _points(reference, design)
    now = _visit(
        guard, points, order, design["hold_s"], design["settle_s"], design["seed"], progress
    )
    return compare_references(reference, now)


def compare_references(then: xr.Dataset, now: xr.Dataset) -> Stability:
    """Two measurements of the same points, without a bench.

    Parameters
    ----------
    then, now : xarray.Dataset
        From `record_reference`, or the `measurement` of a `Stability`.

    Raises
    ------
    DataFileError
        If they are other measurements, or not of the same points.
    """
    points, order = _points(then, _design(then))
    again, same = _points(now, _design(now))
    if points.shape != again.shape or not np.allclose(points, again) or (order != same).any():
        raise DataFileError("the two measurements are not of the same points; compare with another")
    clipped = np.zeros(len(points), dtype=bool)
    for dataset in (then, now):
        flags = dataset["clipped"].values.any(axis=1)
        clipped[dataset["segment"].values[flags]] = True
    if (~clipped).sum() < _LEAST_POINTS:
        raise DataFileError(
            f"{clipped.sum()} of {len(points)} points are at the end of an output's range, fewer "
            f"than {_LEAST_POINTS} are left; record a reference within narrower limits"
        )
    first, second = (
        find_levels(dataset["current"].values, order, ~clipped) for dataset in (then, now)
    )
    numbers = [compare_levels(first, second, o) for o in range(len(first.level))]
    names = numbers[0].keys()
    return Stability(
        outputs=outputs_of(then),
        points=points[~clipped],
        then=first,
        now=second,
        n_clipped=int(clipped.sum()),
        then_utc=str(then.attrs["started_utc"]),
        now_utc=str(now.attrs["started_utc"]),
        measurement=now,
        **{name: np.array([one[name] for one in numbers]) for name in names},
    )


def _visit(
    guard: Guard,
    points: FloatArray,
    order: NDArray[np.int64],
    hold_s: float,
    settle_s: float,
    seed: int,
    progress: Progress | None,
) -> xr.Dataset:
    """Play all passes; a row a visit."""
    from inmateria.data.provenance import utc_now

    current, clipped = [], []
    started = utc_now()
    for p, visits in enumerate(order):
        waveform = plateaus(
            points[visits],
            rate=guard.rate,
            hold_s=hold_s,
            settle_s=settle_s,
            slew_v_per_s=guard.slew_v_per_s,
            start=guard.last_voltage,
        )
        recording = guard.play(waveform)
        current.append(waveform.plateau_mean(recording).T)
        at_limit = (np.abs(recording) >= guard.current_range_na).astype(np.float64)
        clipped.append(waveform.plateau_mean(at_limit).T > 0)
        if progress is not None:
            progress(p + 1, len(order))
    guard.park()
    described = guard.describe()
    device = described.get("device")
    return measurement(
        points[order.ravel()],
        np.concatenate(current),
        terminals=guard.terminals,
        outputs=guard.outputs,
        rate_hz=guard.rate,
        fidelity=guard.fidelity,
        segment=order.ravel(),
        clipped=np.concatenate(clipped),
        device=device if isinstance(device, dict) else {"name": str(device)},
        rig=described,
        design={
            "kind": KIND,
            "n_points": len(points),
            "n_passes": len(order),
            "hold_s": hold_s,
            "settle_s": settle_s,
            "seed": seed,
        },
        seed=seed,
        started_utc=started,
    )


def _design(dataset: xr.Dataset) -> dict[str, Any]:
    design = json.loads(dataset.attrs.get("design", "{}"))
    if not isinstance(design, dict) or design.get("kind") != KIND:
        raise DataFileError(
            "this measurement is no reference for stability; record one with `inmateria stability`"
        )
    return design


def _points(dataset: xr.Dataset, design: dict[str, Any]) -> tuple[FloatArray, NDArray[np.int64]]:
    """Points (n_points, n_terminals) V and the order of their visits (n_passes, n_points)."""
    order = dataset["segment"].values.astype(np.int64)
    shape = (int(design["n_passes"]), int(design["n_points"]))
    if order.size != shape[0] * shape[1]:
        raise DataFileError(
            f"the reference holds {order.size} visits, not {shape[0]} passes of {shape[1]} points; "
            "record it again"
        )
    order = order.reshape(shape)
    points = np.empty((shape[1], dataset.sizes["terminal"]))
    points[order[0]] = dataset["voltage"].values[: shape[1]]
    return points, order
