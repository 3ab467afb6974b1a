"""The only road to a rig: nothing harmful leaves, and it ends at 0 V.

Everything is checked before a sample leaves. As a context manager a guard turns
INT, TERM and HUP into `StoppedError` and takes the rig to 0 V whatever happens.

Waveforms go out in blocks. A signal that arrives while the guard's own code (or
the rig's, called from it) is running waits for the end of the block, so that the
guard always knows which voltage the terminals hold.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping
from types import FrameType, TracebackType
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import (
    FloatArray,
    Terminal,
    check_voltage,
    terminal_index,
    with_ranges,
)
from inmateria.errors import (
    ParameterError,
    ParkingError,
    ShapeError,
    SlewLimitError,
    StoppedError,
    VoltageLimitError,
)
from inmateria.rigs.rig import Rig, check_waveform
from inmateria.signals.waveforms import SLEW_ROUNDING, Waveform, ramp

# A limit in single precision is off by this much at most; what leaves is cut to the limit.
_LIMIT_ROUNDING_V = 1e-6
_STEP_ROUNDING_V = 1e-12
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@runtime_checkable
class KnowsItsVoltage(Protocol):
    """A rig that can say what its terminals hold, even after a failed call."""

    @property
    def held_voltage(self) -> FloatArray:
        """(n_terminals,) V."""


class Guard:
    """A rig within limits.

    Parameters
    ----------
    rig : Rig
        Taken to be at 0 V, unless it has a `held_voltage` that says otherwise.
    limits : mapping of terminal name to (low, high), V, optional
        Narrower than the terminals' ranges, which hold for all others.
    slew_v_per_s : float
        Fastest change of any terminal, V/s.
    block_s : float
        Longest stretch handed to the rig at once, s: how long a signal may
        have to wait.

    Raises
    ------
    TerminalError
        If a limit names a terminal that does not exist.
    VoltageLimitError
        If a limit is wider than the terminal's range, or excludes 0 V, where
        the rig has to end.

    Notes
    -----
    If the rig fails in the middle of a block and has no `held_voltage`, the
    terminals may be anywhere within what that block covers. The guard then
    takes the middle of each terminal's excursion as its last voltage: the first
    step of the way to 0 V is off by half the excursion at most.
    """

    def __init__(
        self,
        rig: Rig,
        *,
        limits: Mapping[str, tuple[float, float]] | None = None,
        slew_v_per_s: float = 200.0,
        block_s: float = 0.25,
    ) -> None:
        positive = (
            ("the rig's rate", rig.rate, "Hz"),
            ("slew_v_per_s", slew_v_per_s, "V/s"),
            ("block_s", block_s, "s"),
        )
        for name, value, unit in positive:
            if not (np.isfinite(value) and value > 0):
                raise ParameterError(f"{name} = {value} {unit}; give a number above zero")
        self._rig = rig
        self._terminals = _narrowed(rig.terminals, limits or {})
        self._slew = float(slew_v_per_s)
        self._block = max(1, round(block_s * rig.rate))
        self._last = np.zeros(len(self._terminals))
        if isinstance(rig, KnowsItsVoltage):
            self._last = np.array(rig.held_voltage)
        self._in_flight: FloatArray | None = None
        self._n_played = 0
        self._stop: signal.Signals | None = None
        self._previous: dict[signal.Signals, Any] = {}

    @property
    def terminals(self) -> tuple[Terminal, ...]:
        """The rig's terminals, their ranges narrowed to the limits."""
        return self._terminals

    @property
    def outputs(self) -> tuple[str, ...]:
        """The rig's outputs."""
        return self._rig.outputs

    @property
    def rate(self) -> float:
        """Samples per second, Hz."""
        return self._rig.rate

    @property
    def current_range_na(self) -> float:
        """Largest current that the chain can tell, nA."""
        return self._rig.current_range_na

    @property
    def fidelity(self) -> str:
        """``"simulation"`` or ``"measurement"``."""
        return self._rig.fidelity

    @property
    def slew_v_per_s(self) -> float:
        """Fastest change of any terminal, V/s."""
        return self._slew

    @property
    def last_voltage(self) -> FloatArray:
        """Voltage that the terminals hold, (n_terminals,) V.

        After a call that failed half-way: what the rig says it holds, else the
        middle of what it may hold.
        """
        if self._in_flight is None:
            return self._last.copy()
        if isinstance(self._rig, KnowsItsVoltage):
            return np.array(self._rig.held_voltage)
        return np.asarray((self._in_flight.min(axis=1) + self._in_flight.max(axis=1)) / 2)

    @property
    def played_s(self) -> float:
        """Time that the rig has played through this guard, ramps included, s."""
        return self._n_played / self.rate

    def describe(self) -> dict[str, Any]:
        """The rig's description, with the limits under ``"guard"``."""
        return {
            **self._rig.describe(),
            "guard": {
                "limits_v": {t.name: [t.low_v, t.high_v] for t in self._terminals},
                "slew_v_per_s": self._slew,
            },
        }

    def play(self, voltage: ArrayLike | Waveform) -> FloatArray:
        """Check a waveform as a whole, then play it.

        Parameters
        ----------
        voltage : (n_terminals, n_samples) array, V, or Waveform

        Returns
        -------
        (n_outputs, n_samples) array, nA

        Raises
        ------
        ShapeError, NotFiniteError, VoltageLimitError, SlewLimitError
            Before anything is sent.
        ParameterError
            If a Waveform was made for another rate; nothing is sent.
        StoppedError
            If a signal asked to stop; at most one more block was played.
        """
        self._raise_if_stopped()
        if isinstance(voltage, Waveform):
            if voltage.rate != self.rate:
                raise ParameterError(
                    f"waveform made for {voltage.rate:g} Hz, but the rig plays {self.rate:g} Hz; "
                    "make it for the rig's rate"
                )
            voltage = voltage.voltage
        recording = self._send(self._checked(voltage), stoppable=True)
        self._raise_if_stopped()
        return recording

    def ramp_to(self, voltage: ArrayLike) -> FloatArray:
        """Go to a voltage as fast as the slew limit allows.

        Parameters
        ----------
        voltage : (n_terminals,) array, V

        Returns
        -------
        (n_outputs, n_samples) array, nA
            What was recorded on the way; no sample if already there.
        """
        target = check_voltage(self._terminals, voltage)
        if target.ndim != 1:
            raise ShapeError(
                f"target has shape {target.shape}; give one voltage a terminal "
                f"({len(self._terminals)},)"
            )
        return self.play(self._way_to(target))

    def park(self) -> FloatArray:
        """Take the rig to 0 V; a signal waits until it is there.

        Does nothing when it is there already.

        Returns
        -------
        (n_outputs, n_samples) array, nA

        Raises
        ------
        ParkingError
            If the rig fails on the way: its terminals may still carry voltage.
        """
        here = self.last_voltage
        home = np.zeros(len(self._terminals))
        try:
            # From outside the limits (a rig handed over there) there is no way but through.
            way = self._way_to(home)
            if self._in_flight is not None and way.shape[1] == 0:
                way = home[:, None]
            return self._send(way, stoppable=False)
        except Exception as error:
            held = ", ".join(
                f"{t.name} at {v:.4g} V" for t, v in zip(self._terminals, here, strict=True) if v
            )
            raise ParkingError(
                f"the rig could not be taken to 0 V ({error}); last known: {held or '0 V'}; "
                "check the instrument and bring it to 0 V by hand"
            ) from error

    def __enter__(self) -> Self:
        """Take over INT, TERM and HUP, in the main thread."""
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                # What the parent told us to ignore (nohup) stays ignored.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Park, then give the signals back; a failure to park names both errors."""
        try:
            self.park()
        finally:
            for number, handler in self._previous.items():
                signal.signal(number, handler)
            self._previous.clear()
            pending, self._stop = self._stop, None
        if error is None and pending is not None:
            raise _stopped(pending)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stop = signal.Signals(number)
        # Called from a guard's own code, however deep: that code raises when it is safe.
        while frame is not None:
            if frame.f_globals is globals():
                return
            frame = frame.f_back
        self._raise_if_stopped()

    def _raise_if_stopped(self) -> None:
        if self._stop is not None:
            number, self._stop = self._stop, None
            raise _stopped(number)

    def _way_to(self, target: FloatArray) -> FloatArray:
        return ramp(self.last_voltage, target, rate=self.rate, slew_v_per_s=self._slew)

    def _send(self, voltage: FloatArray, *, stoppable: bool) -> FloatArray:
        """Play checked voltages block by block."""
        voltage.setflags(write=False)  # what was checked is what leaves
        recorded = [np.empty((len(self.outputs), 0))]
        for first in range(0, voltage.shape[1], self._block):
            if stoppable and first > 0:
                self._raise_if_stopped()
            block = voltage[:, first : first + self._block]
            # Where the terminals may be if this block, or one before it, was cut short.
            possible = self._last[:, None] if self._in_flight is None else self._in_flight
            self._in_flight = np.column_stack([possible, block])
            reading = np.asarray(self._rig.play(block))
            self._last, self._in_flight = block[:, -1].copy(), None
            self._n_played += block.shape[1]
            due = (len(self.outputs), block.shape[1])
            if reading.shape == due:
                recorded.append(reading)
            elif stoppable:
                raise ShapeError(
                    f"the rig returned a recording of shape {reading.shape} where {due} (outputs, "
                    "samples) was due; check the rig's outputs and rate"
                )
            # Else it is on its way to 0 V, and what it records there is of no importance.
        return np.concatenate(recorded, axis=1)

    def _checked(self, voltage: ArrayLike) -> FloatArray:
        """A private copy of a waveform that may be played."""
        array = check_waveform(self._terminals, voltage)
        for terminal, row in zip(self._terminals, array, strict=True):
            excess = np.maximum(terminal.low_v - row, row - terminal.high_v)
            if excess.max(initial=0.0) > _LIMIT_ROUNDING_V:
                worst = int(excess.argmax())
                raise VoltageLimitError(
                    f"terminal {terminal.name} would see {row[worst]:.6g} V at sample {worst}, "
                    f"outside {terminal.low_v:g} V to {terminal.high_v:g} V; "
                    "keep the waveform inside"
                )
            np.clip(row, terminal.low_v, terminal.high_v, out=row)
        steps = np.abs(np.diff(array, axis=1, prepend=self.last_voltage[:, None]))
        allowed = self._slew / self.rate * (1 + SLEW_ROUNDING) + _STEP_ROUNDING_V
        if steps.size and steps.max() > allowed:
            i, k = np.unravel_index(int(steps.argmax()), steps.shape)
            before = "from the voltage held before" if k == 0 else f"at sample {k}"
            raise SlewLimitError(
                f"terminal {self._terminals[i].name} would step by {steps[i, k]:.4g} V {before}, "
                f"{steps[i, k] * self.rate:.4g} V/s, above {self._slew:g} V/s; "
                "ramp_to the first point, or ramp more slowly"
            )
        return array


def _narrowed(
    terminals: tuple[Terminal, ...], limits: Mapping[str, tuple[float, float]]
) -> tuple[Terminal, ...]:
    for name, (low, high) in limits.items():
        terminal = terminals[terminal_index(terminals, name)]
        if low < terminal.low_v or high > terminal.high_v:
            raise VoltageLimitError(
                f"limit {low:g} V to {high:g} V for terminal {name} is wider than its range "
                f"{terminal.low_v:g} V to {terminal.high_v:g} V; a guard can only narrow it"
            )
    narrowed = with_ranges(terminals, limits)
    for terminal in narrowed:
        if terminal.low_v > 0 or terminal.high_v < 0:
            raise VoltageLimitError(
                f"terminal {terminal.name} may not go to 0 V (range {terminal.low_v:g} V to "
                f"{terminal.high_v:g} V), where a rig has to end; give limits that include 0 V"
            )
    return narrowed


def _stopped(number: signal.Signals) -> StoppedError:
    return StoppedError(f"stopped by {number.name}; the guard takes the rig to 0 V")
