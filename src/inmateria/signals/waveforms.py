"""Ramps and plateaus: voltages against time as plain arrays.

A plateau measurement visits points one after another: ramp to the point, wait
until the circuit has settled, hold and average. `Waveform.segment` says which
samples are worth averaging.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.errors import NotFiniteError, ParameterError, ShapeError, SlewLimitError

# A step may exceed the slew limit by this share, which is rounding and nothing else.
SLEW_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Waveform:
    """Voltages of all terminals, sample by sample.

    Parameters
    ----------
    voltage : (n_terminals, n_samples) array, V
    segment : (n_samples,) int32 array
        Plateau that the sample belongs to; -1 in ramps and while settling.
    rate : float
        Samples per second, Hz.
    """

    voltage: NDArray[np.float64]
    segment: NDArray[np.int32]
    rate: float

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return int(self.voltage.shape[1])

    @property
    def duration_s(self) -> float:
        """Length, s."""
        return self.n_samples / self.rate

    def plateau_mean(self, recording: ArrayLike) -> NDArray[np.float64]:
        """Mean over each plateau of what was recorded during this waveform.

        Parameters
        ----------
        recording : (..., n_samples) array

        Returns
        -------
        (..., n_points) array, in the recording's unit
        """
        values = np.asarray(recording, dtype=np.float64)
        if values.ndim == 0 or values.shape[-1] != self.n_samples:
            raise ShapeError(
                f"recording has shape {values.shape}; its last axis must hold the waveform's "
                f"{self.n_samples} samples"
            )
        held = np.flatnonzero(self.segment >= 0)
        if held.size == 0:
            return np.empty((*values.shape[:-1], 0))
        # Samples of a plateau are consecutive and plateaus are in order.
        first = np.flatnonzero(np.diff(self.segment[held], prepend=-1))
        n_held = np.diff(first, append=held.size)
        return np.asarray(np.add.reduceat(values[..., held], first, axis=-1) / n_held)


def ramp(
    start: ArrayLike,
    stop: ArrayLike,
    *,
    rate: float,
    slew_v_per_s: float | None = None,
    duration_s: float | None = None,
) -> NDArray[np.float64]:
    """Straight way from one voltage to another; all terminals arrive together.

    Excludes `start`, where the terminals already are, and includes `stop`.

    Parameters
    ----------
    start, stop : (n_terminals,) arrays, V
    rate : float
        Samples per second, Hz.
    slew_v_per_s : float, optional
        Fastest change of any terminal. Alone, it sets the shortest duration
        (no sample at all when `stop` is `start`).
    duration_s : float, optional
        Length of the ramp, s, rounded to samples, at least one.

    Returns
    -------
    (n_terminals, n_samples) array, V

    Raises
    ------
    SlewLimitError
        If `duration_s` is too short for `slew_v_per_s`.
    """
    first, last = _point(start, "start"), _point(stop, "stop")
    if first.shape != last.shape:
        raise ShapeError(
            f"ramp from {first.shape[0]} terminals to {last.shape[0]}; give both the same number"
        )
    n_steps = int(_ramp_steps(first[None], last[None], rate, slew_v_per_s, duration_s)[0])
    if duration_s is not None:
        n_steps = max(n_steps, 1)
    fraction = np.arange(1, n_steps + 1) / max(n_steps, 1)
    voltage = first[:, None] + (last - first)[:, None] * fraction
    voltage[:, -1:] = last[:, None]
    return voltage


def plateaus(
    points: ArrayLike,
    *,
    rate: float,
    hold_s: float,
    settle_s: float = 0.0,
    ramp_s: float | None = None,
    slew_v_per_s: float | None = None,
    start: ArrayLike | None = None,
    end: ArrayLike | None = None,
) -> Waveform:
    """Visit points one after another: ramp, settle, hold.

    Parameters
    ----------
    points : (n_points, n_terminals) array, V
    rate : float
        Samples per second, Hz.
    hold_s, settle_s : float
        Time on each point that is worth averaging, and the time waited before
        it, s.
    ramp_s, slew_v_per_s : float, optional
        Length of every ramp, s, or the slew that each ramp goes at (at least
        one of the two; with both, ramps take `ramp_s` and are checked).
    start, end : (n_terminals,) arrays, V, optional
        Voltage before the first sample and after the last plateau, each joined
        by a ramp. Without `start` the first sample is already on the first
        point.

    Raises
    ------
    SlewLimitError
        If `ramp_s` is too short for `slew_v_per_s`.
    """
    targets = _numbers(points, "points")
    if targets.ndim != 2 or 0 in targets.shape:
        raise ShapeError(f"points have shape {targets.shape}; give (n_points, n_terminals)")
    if not np.isfinite(targets).all():
        raise NotFiniteError("points hold NaN or infinity; remove those rows")
    _positive("rate", rate, "Hz")
    for name, seconds in (("hold_s", hold_s), ("settle_s", settle_s)):
        if not (np.isfinite(seconds) and seconds >= 0):
            raise ParameterError(f"{name} = {seconds} s; give a time of zero or more")
    n_hold, n_settle = round(hold_s * rate), round(settle_s * rate)
    if n_hold < 1:
        raise ParameterError(
            f"hold_s = {hold_s:g} s is less than one sample; hold at least {1 / rate:g} s"
        )

    n_points = len(targets)
    if end is not None:
        targets = np.vstack([targets, _point(end, "end", targets.shape[1])])
    before = targets[0] if start is None else _point(start, "start", targets.shape[1])
    origins = np.vstack([before[None], targets[:-1]])
    n_ramp = _ramp_steps(origins, targets, rate, slew_v_per_s, ramp_s)
    if start is None:
        n_ramp[0] = 0

    n_flat = np.where(np.arange(len(targets)) < n_points, n_settle + n_hold, 0)
    length = n_ramp + n_flat
    point = np.repeat(np.arange(len(targets)), length)
    step = np.arange(1, length.sum() + 1) - np.repeat(np.cumsum(length) - length, length)
    on_ramp = step < n_ramp[point]
    voltage = np.ascontiguousarray(targets[point].T)
    moving, k = point[on_ramp], step[on_ramp]
    way = targets[moving] - origins[moving]
    voltage[:, on_ramp] = (origins[moving] + way * (k / n_ramp[moving])[:, None]).T

    held = (step > n_ramp[point] + n_settle) & (point < n_points)
    segment = np.where(held, point, -1).astype(np.int32)
    return Waveform(voltage=voltage, segment=segment, rate=float(rate))


def _ramp_steps(
    start: NDArray[np.float64],
    stop: NDArray[np.float64],
    rate: float,
    slew_v_per_s: float | None,
    duration_s: float | None,
) -> NDArray[np.int64]:
    """Samples in each ramp, (n_ramps, n_terminals) V twice to (n_ramps,)."""
    _positive("rate", rate, "Hz")
    if slew_v_per_s is None and duration_s is None:
        raise ParameterError("a ramp needs a slew (V/s) or a duration (s); give one of them")
    distance = np.abs(stop - start).max(axis=1, initial=0.0)
    n_least = np.zeros(len(distance), dtype=np.int64)
    if slew_v_per_s is not None:
        _positive("slew_v_per_s", slew_v_per_s, "V/s")
        n_least = np.ceil(distance * rate / slew_v_per_s).astype(np.int64)
    if duration_s is None:
        return n_least
    if not (np.isfinite(duration_s) and duration_s >= 0):
        raise ParameterError(f"ramp duration is {duration_s} s; give a time of zero or more")
    n_steps = round(duration_s * rate)
    if slew_v_per_s is not None:
        fastest = float(distance.max()) * rate / max(n_steps, 1)
        if fastest > slew_v_per_s * (1 + SLEW_ROUNDING):
            raise SlewLimitError(
                f"a ramp of {duration_s:g} s moves at {fastest:.4g} V/s, above the limit of "
                f"{slew_v_per_s:g} V/s; take at least {n_least.max() / rate:.4g} s"
            )
    return np.full(len(distance), n_steps, dtype=np.int64)


def _point(value: ArrayLike, name: str, n_terminals: int | None = None) -> NDArray[np.float64]:
    point = _numbers(value, name)
    if point.ndim != 1 or (n_terminals is not None and point.size != n_terminals):
        wanted = "n_terminals" if n_terminals is None else n_terminals
        raise ShapeError(f"{name} has shape {point.shape}; give one voltage a terminal ({wanted},)")
    if not np.isfinite(point).all():
        raise NotFiniteError(f"{name} holds NaN or infinity; give finite voltages")
    return point


def _numbers(value: ArrayLike, name: str) -> NDArray[np.float64]:
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"{name} is not an array of numbers: {error}") from error


def _positive(name: str, value: float, unit: str) -> None:
    if not (np.isfinite(value) and value > 0):
        raise ParameterError(f"{name} = {value} {unit}; give a number above zero")
