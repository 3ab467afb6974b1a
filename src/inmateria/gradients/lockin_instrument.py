"""dI/dV from lock-in amplifiers in hardware, one reading a control and output.

Control m carries a_m sin(2 pi f_m t) from a generator of its own (a lock-in's
oscillator, or the sine generators of a multichannel source); a lock-in that
refers to it reads the in-phase part of the current, X_m. Then

    dI/dV_m = X_m / a_m,

with both as peak amplitudes, or both rms: most lock-ins read rms, so X_m is
multiplied by the root of two here where `rms` is set. The phase of each lock-in
has to be turned once until Y vanishes; that takes the place of a calibration.

The tones leave their generators all the time, past the guard: it sees the
operating point only. `extract` keeps points so far inside the limits that the
tones stay inside, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.devices.device import FloatArray, check_voltage
from inmateria.errors import InstrumentError, ParameterError, VoltageLimitError
from inmateria.gradients.gradient import CLIPPED, DEAD, FINE, Gradient
from inmateria.gradients.operating_points import check_on_problem, control_index
from inmateria.rigs.guard import Guard
from inmateria.rigs.qcodes_parameter import said

_ROUNDING_V = 1e-7


class Readable(Protocol):
    """What is read, such as a QCoDeS parameter."""

    def get(self) -> Any:
        """One number."""


@dataclass(frozen=True)
class LockInReader:
    """The lock-in of one control and one output.

    Parameters
    ----------
    control, output : str
    x : Readable
        In-phase part, in the lock-in's unit.
    na_per_unit : float
        Nanoamperes for one unit of `x`; negative where a converter inverts.
    amplitude_v : float
        Peak amplitude of the tone at the control, V, behind any divider.
    rms : bool
        `x` is an rms value.
    """

    control: str
    output: str
    x: Readable
    na_per_unit: float
    amplitude_v: float
    rms: bool = True

    def __post_init__(self) -> None:
        if not (np.isfinite(self.amplitude_v) and self.amplitude_v > 0):
            raise ParameterError(
                f"control {self.control}: amplitude_v = {self.amplitude_v} V; give more than 0 V"
            )
        if not (np.isfinite(self.na_per_unit) and self.na_per_unit != 0):
            raise ParameterError(
                f"output {self.output}: na_per_unit = {self.na_per_unit}; give the nanoamperes of "
                "one unit"
            )

    @property
    def slope_per_unit(self) -> float:
        """nA/V for one unit of `x`."""
        return self.na_per_unit * (np.sqrt(2) if self.rms else 1.0) / self.amplitude_v


class LockInGradient:
    """Gradients on a guarded rig whose controls carry tones from generators of their own.

    At each operating point: ramp there, wait, read every lock-in a few times.

    Parameters
    ----------
    rig : Guard
    readers : sequence of LockInReader
        One for each control and output; the order of the controls is that in
        which they first occur.
    settle_s : float
        Waited at each point, s: ten time constants of the lock-ins leave less
        than 1 % of a step behind four poles.
    readings : int
        Of each lock-in at a point.
    interval_s : float
        Between two readings, s; above some five time constants they are independent.
    on_problem : str
        ``"raise"``, or ``"flag"``: NaN and a `problem`.

    Raises
    ------
    TerminalError, ParameterError

    Notes
    -----
    The standard error is the scatter of a point's readings over the root of
    their number, NaN with one reading. `Gradient.current` is what the rig's own
    meters read meanwhile.
    """

    def __init__(
        self,
        rig: Guard,
        readers: Sequence[LockInReader],
        *,
        settle_s: float,
        readings: int = 4,
        interval_s: float = 0.1,
        on_problem: Literal["raise", "flag"] = "raise",
    ) -> None:
        check_on_problem(on_problem)
        if readings < 1:
            raise ParameterError(f"readings = {readings}; give 1 or more")
        for name, seconds in (("settle_s", settle_s), ("interval_s", interval_s)):
            if not (np.isfinite(seconds) and seconds > 0):
                raise ParameterError(f"{name} = {seconds} s; give a time above zero")
        self._rig, self._on_problem = rig, on_problem
        self._index = control_index(rig.terminals, tuple(dict.fromkeys(r.control for r in readers)))
        self._readers = _by_output(rig, self.controls, readers)
        self._settle_s, self._interval_s, self._readings = settle_s, interval_s, readings

    @property
    def controls(self) -> tuple[str, ...]:
        """Terminals with respect to which it differentiates."""
        return tuple(self._rig.terminals[i].name for i in self._index)

    @property
    def reach_v(self) -> FloatArray:
        """How far around an operating point each control is driven, (n_controls,) V."""
        return np.array([row[0].amplitude_v for row in zip(*self._readers, strict=True)])

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {
            "kind": "lock-in-instrument",
            "controls": list(self.controls),
            "amplitude_v": self.reach_v.tolist(),
            "slope_per_unit": [[r.slope_per_unit for r in row] for row in self._readers],
            "settle_s": self._settle_s,
            "readings": self._readings,
            "interval_s": self._interval_s,
            "on_problem": self._on_problem,
        }

    def extract(self, voltage: ArrayLike) -> Gradient:
        """Gradients at operating points.

        Parameters
        ----------
        voltage : (..., n_terminals) array, V

        Returns
        -------
        Gradient

        Raises
        ------
        VoltageLimitError
            If a tone would leave its terminal's range; nothing is moved.
        InstrumentError
            If a lock-in does not answer.
        UndefinedGradientError
            With `on_problem` ``"raise"``.
        """
        points = check_voltage(self._rig.terminals, voltage)
        batch = points.shape[:-1]
        flat = points.reshape(-1, points.shape[-1])
        self._require_room(flat)
        began = self._rig.played_s
        shape = (len(flat), self._readings, len(self._readers))
        current = np.empty(shape)
        slope = np.empty((*shape, len(self._index)))
        clipped = np.zeros(shape, dtype=bool)
        for p, point in enumerate(flat):
            self._rig.ramp_to(point)
            self._hold(point, self._settle_s)
            for r in range(self._readings):
                recording = self._hold(point, self._interval_s)
                current[p, r] = recording.mean(axis=1)
                clipped[p, r] = (np.abs(recording) >= self._rig.current_range_na).any(axis=1)
                slope[p, r] = self._read()
        problem = self._problems(slope, clipped)
        value, error = slope.mean(axis=1), np.full(slope[:, 0].shape, np.nan)
        if self._readings > 1:
            error = slope.std(axis=1, ddof=1) / np.sqrt(self._readings)
        value[problem != FINE], error[problem != FINE] = np.nan, np.nan
        n_outputs = len(self._readers)
        gradient = Gradient(
            value=value.reshape(*batch, n_outputs, -1),
            standard_error=error.reshape(*batch, n_outputs, -1),
            current=current.mean(axis=1).reshape(*batch, n_outputs),
            controls=self.controls,
            problem=problem.reshape(*batch, n_outputs),
            linearity=None,
            measurements=len(flat) * self._readings,
            device_s=self._rig.played_s - began,
        )
        return gradient if self._on_problem == "flag" else gradient.require_defined()

    def _hold(self, point: FloatArray, seconds: float) -> FloatArray:
        n_samples = max(1, round(seconds * self._rig.rate))
        return self._rig.play(np.repeat(point[:, None], n_samples, axis=1))

    def _read(self) -> FloatArray:
        """(n_outputs, n_controls) nA/V."""
        return np.array([[_number(r) * r.slope_per_unit for r in row] for row in self._readers])

    def _problems(self, slope: FloatArray, clipped: NDArray[np.bool_]) -> NDArray[np.str_]:
        """Of each point and output; a lock-in that gives no number is called dead."""
        dead = ~np.isfinite(slope).all(axis=(1, 3))
        return np.where(clipped.any(axis=1), CLIPPED, np.where(dead, DEAD, FINE))

    def _require_room(self, points: FloatArray) -> None:
        reach = np.zeros(points.shape[1])
        reach[self._index] = self.reach_v
        for i, terminal in enumerate(self._rig.terminals):
            low, high = terminal.low_v + reach[i], terminal.high_v - reach[i]
            excess = np.maximum(low - points[:, i], points[:, i] - high)
            if excess.max(initial=0.0) > _ROUNDING_V:
                worst = int(excess.argmax())
                raise VoltageLimitError(
                    f"terminal {terminal.name} at {points[worst, i]:.6g} V with a tone of "
                    f"{reach[i]:g} V leaves its range {terminal.low_v:g} V to "
                    f"{terminal.high_v:g} V; keep the point inside or lower the tone"
                )


def _by_output(
    rig: Guard, controls: tuple[str, ...], readers: Sequence[LockInReader]
) -> tuple[tuple[LockInReader, ...], ...]:
    """Readers as rows of outputs and columns of controls."""
    table = {(r.output, r.control): r for r in readers}
    wanted = [(o, c) for o in rig.outputs for c in controls]
    missing = [pair for pair in wanted if pair not in table]
    if missing or len(table) != len(readers) or len(table) != len(wanted):
        what = f"none for {missing[0][0]} and {missing[0][1]}" if missing else "one too many"
        raise ParameterError(
            f"{len(readers)} lock-ins for outputs {', '.join(rig.outputs)} and controls "
            f"{', '.join(controls)}: {what}; give one for each output and control"
        )
    for control in controls:
        sizes = {r.amplitude_v for r in readers if r.control == control}
        if len(sizes) > 1:
            raise ParameterError(
                f"control {control} has tones of {' and '.join(f'{s:g}' for s in sorted(sizes))} "
                "V; it carries one, give it the same in every reader"
            )
    return tuple(tuple(table[o, c] for c in controls) for o in rig.outputs)


def _number(reader: LockInReader) -> float:
    try:
        return float(reader.x.get())
    except Exception as error:
        raise InstrumentError(
            f"the lock-in of {reader.output} and {reader.control} could not be read "
            f"({said(error)}); check that it is on and connected"
        ) from error
