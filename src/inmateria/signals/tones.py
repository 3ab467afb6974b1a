"""Tones for lock-in measurement: which control carries which frequency, and the waveform.

Control m carries a_m sin(2 pi f_m t + phi_m), t counted from the start of the
window that is demodulated. Controls of one group are driven at once; a plan
with one group is parallel, one with a group for each control sequential.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.errors import FrequencyPlanError, ParameterError, ShapeError
from inmateria.signals.waveforms import Waveform, plateaus

FloatArray = NDArray[np.float64]

_ROUNDING = 1e-6
# Shares of the wait in which tones grow, and in which they fall again behind the window, so that
# neither their start nor their end is a step.
_RISE_SHARE = 0.5
_FALL_SHARE = 0.2


@dataclass(frozen=True, eq=False)
class TonePlan:
    """One tone for each control.

    Parameters
    ----------
    rate : float
        Samples per second, Hz; has to be that of the rig.
    n_samples, n_wait : int
        Samples of the window, and of the wait before it in which the tones
        already run.
    frequency_hz, amplitude_v, phase, group : (n_controls,) arrays
        Hz, V, radians, and the number of the group that a control is driven
        with (from 0, without gaps).

    Raises
    ------
    FrequencyPlanError
        If a tone does not lie between 0 Hz and half the rate, or two tones of a
        group are closer than the window resolves, 1 / duration. Two tones may
        share a frequency in quadrature.
    ShapeError, ParameterError
    """

    rate: float
    n_samples: int
    n_wait: int
    frequency_hz: FloatArray
    amplitude_v: FloatArray
    phase: FloatArray
    group: NDArray[np.int64]

    def __post_init__(self) -> None:
        if not (np.isfinite(self.rate) and self.rate > 0):
            raise ParameterError(f"rate = {self.rate} Hz; give a number above zero")
        if self.n_samples < 8 or self.n_wait < 0:
            raise ParameterError(
                f"window of {self.n_samples} samples after {self.n_wait}; give 8 or more after 0 "
                "or more"
            )
        n = np.size(self.frequency_hz)
        for name in ("frequency_hz", "amplitude_v", "phase"):
            values = np.array(getattr(self, name), dtype=np.float64)
            if values.shape != (n,) or n == 0:
                raise ShapeError(f"{name} has shape {values.shape}; give one number a control")
            if not np.isfinite(values).all():
                raise ParameterError(f"{name} holds NaN or infinity; give finite numbers")
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        group = np.array(self.group, dtype=np.int64)
        if group.shape != (n,) or set(group.tolist()) != set(range(int(group.max()) + 1)):
            raise ParameterError("groups are not numbered 0, 1, ... without gaps, one a control")
        group.setflags(write=False)
        object.__setattr__(self, "group", group)
        if (self.amplitude_v <= 0).any():
            raise ParameterError(f"amplitude {self.amplitude_v.min():g} V; give more than 0 V")
        self._check_frequencies()

    @property
    def n_controls(self) -> int:
        """Number of tones."""
        return self.frequency_hz.size

    @property
    def n_groups(self) -> int:
        """Windows that one operating point takes."""
        return int(self.group.max()) + 1

    @property
    def duration_s(self) -> float:
        """Length of a window, s."""
        return self.n_samples / self.rate

    @property
    def wait_s(self) -> float:
        """Wait before a window, s."""
        return self.n_wait / self.rate

    @property
    def n_fall(self) -> int:
        """Samples behind the window in which the tones end; the last one is without tones."""
        return max(1, round(_FALL_SHARE * self.n_wait))

    @property
    def time_s(self) -> FloatArray:
        """Times of a window's samples, (n_samples,) s."""
        return np.arange(self.n_samples) / self.rate

    @property
    def integer_cycles(self) -> bool:
        """Whether every tone fits the window a whole number of times."""
        cycles = self.frequency_hz * self.duration_s
        return bool(np.all(np.abs(cycles - np.rint(cycles)) < _ROUNDING))

    def members(self, group: int) -> NDArray[np.intp]:
        """Controls of a group, by position."""
        return np.flatnonzero(self.group == group)

    @cached_property
    def excitation(self) -> FloatArray:
        """Voltages on top of an operating point, (n_groups, n_controls, n) V.

        n = n_wait + n_samples + n_fall. The tones grow within the wait and fall
        behind the window, both as a raised cosine.
        """
        sample = np.arange(-self.n_wait, self.n_samples + self.n_fall)
        cycle = np.outer(self.frequency_hz, sample / self.rate)
        tones = self.amplitude_v[:, None] * np.sin(2 * np.pi * cycle + self.phase[:, None])
        n_rise = int(_RISE_SHARE * self.n_wait)
        envelope = np.ones(sample.size)
        envelope[:n_rise] = 0.5 - 0.5 * np.cos(np.pi * (np.arange(n_rise) + 1) / (n_rise + 1))
        fall = np.arange(1, self.n_fall + 1) / self.n_fall
        envelope[-self.n_fall :] = 0.5 + 0.5 * np.cos(np.pi * fall)
        tones *= envelope
        return np.stack([np.where((self.group == g)[:, None], tones, 0) for g in self.groups])

    @property
    def groups(self) -> range:
        """Numbers of the groups."""
        return range(self.n_groups)

    def waveform(
        self,
        points: ArrayLike,
        terminals: ArrayLike,
        *,
        start: ArrayLike | None = None,
        slew_v_per_s: float | None = None,
        ramp_s: float | None = None,
    ) -> Waveform:
        """Visit operating points; at each, wait and play the tones of every group.

        Parameters
        ----------
        points : (n_points, n_terminals) array, V
        terminals : (n_controls,) array of int
            Row of the waveform that each tone drives; a terminal may carry several.
        start, slew_v_per_s, ramp_s
            As in `plateaus`.

        Returns
        -------
        Waveform
            `segment` k n_groups + g is the window of group g at point k.
        """
        rows = np.asarray(terminals)
        targets = np.atleast_2d(np.asarray(points, dtype=np.float64))
        if rows.shape != (self.n_controls,):
            raise ShapeError(
                f"{rows.size} terminals for a plan of {self.n_controls} tones; give one for each"
            )
        base = plateaus(
            np.repeat(targets, self.n_groups, axis=0),
            rate=self.rate,
            hold_s=(self.n_samples + self.n_fall) / self.rate,
            settle_s=self.wait_s,
            start=start,
            slew_v_per_s=slew_v_per_s,
            ramp_s=ramp_s,
        )
        voltage, segment = base.voltage.copy(), base.segment.copy()
        held = np.flatnonzero(segment >= 0).reshape(-1, self.n_samples + self.n_fall)
        for k, samples in enumerate(held):
            first, stop = samples[0] - self.n_wait, samples[-1] + 1
            group = k % self.n_groups
            for m in self.members(group):
                voltage[rows[m], first:stop] += self.excitation[group, m]
        segment[held[:, self.n_samples :]] = -1
        return Waveform(voltage=voltage, segment=segment, rate=base.rate)

    def windows(self, recording: ArrayLike, waveform: Waveform) -> FloatArray:
        """Windows cut out of a recording of `waveform`.

        Parameters
        ----------
        recording : (n_outputs, n_samples) array, nA

        Returns
        -------
        (n_points, n_groups, n_outputs, n_samples of the window) array, nA
        """
        held = np.asarray(recording)[:, waveform.segment >= 0]
        cut = held.reshape(held.shape[0], -1, self.n_groups, self.n_samples)
        return np.ascontiguousarray(np.moveaxis(cut, 0, 2))

    def _check_frequencies(self) -> None:
        nyquist = self.rate / 2
        low = 1 / self.duration_s
        for f in self.frequency_hz:
            if not 0 < f < nyquist:
                raise FrequencyPlanError(
                    f"tone at {f:g} Hz; a rate of {self.rate:g} Hz plays tones above 0 Hz and "
                    f"below {nyquist:g} Hz"
                )
            if f < low * (1 - _ROUNDING):
                raise FrequencyPlanError(
                    f"tone at {f:g} Hz makes less than one cycle in {self.duration_s:g} s; "
                    f"measure for {1 / f:g} s or use {low:g} Hz or more"
                )
            if nyquist - f < low * (1 - _ROUNDING):
                raise FrequencyPlanError(
                    f"tone at {f:g} Hz is closer to half the rate, {nyquist:g} Hz, than "
                    f"{self.duration_s:g} s can tell apart; use {nyquist - low:g} Hz or less"
                )
        for g in self.groups:
            self._check_group(self.members(g))

    def _check_group(self, members: NDArray[np.intp]) -> None:
        order = members[np.argsort(self.frequency_hz[members], kind="stable")]
        frequency, phase = self.frequency_hz[order], self.phase[order]
        gap = np.diff(frequency)
        close = gap * self.duration_s < 1 - _ROUNDING
        quadrature = (gap == 0) & (np.abs(np.cos(np.diff(phase))) < _ROUNDING)
        # Three tones at one frequency cannot all be in quadrature.
        quadrature[1:] &= ~quadrature[:-1]
        wrong = np.flatnonzero(close & ~quadrature)
        if wrong.size:
            k = int(wrong[0])
            raise FrequencyPlanError(
                f"tones at {frequency[k]:g} Hz and {frequency[k + 1]:g} Hz are {gap[k]:g} Hz "
                f"apart; {self.duration_s:g} s resolves {1 / self.duration_s:g} Hz: move them "
                f"apart or measure for {1 / gap[k]:.3g} s"
                if gap[k] > 0
                else f"two tones at {frequency[k]:g} Hz in one group are not in quadrature; "
                "give each its own frequency"
            )
