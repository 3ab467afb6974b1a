"""The only road to a rig: nothing harmful leaves, and it ends at 0 V.

Everything is checked before a sample leaves. As a context manager a guard turns
INT, TERM and HUP into `StoppedError` and takes the rig to 0 V whatever happens.

Waveforms go out in blocks, each on the disk (`record`) before it is on the wire. A signal
that arrives while the guard's own code (or the rig's, called from it) is running waits, so
that the guard always knows which voltage the terminals hold.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Mapping
from types import FrameType, TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray, Terminal, check_voltage
from inmateria.errors import (
    ParameterError,
    ParkingError,
    ShapeError,
    StorageError,
)
from inmateria.rigs.flight import Flight
from inmateria.rigs.limits import allowed_waveform, narrowed
from inmateria.rigs.readings import wrong_with
from inmateria.rigs.rig import KnowsItsVoltage, Rig, StreamingRig
from inmateria.rigs.stop_requests import StopRequests
from inmateria.signals.waveforms import Waveform, ramp


class Record(Protocol):
    """Where voltages are written down before they leave: `VoltageRecord`."""

    def about_to_play(self, held: FloatArray, in_flight: FloatArray, *, before: int = 0) -> None:
        """(n,) V that is certain, and (n, m) V that may follow."""

    def holds(self, held: FloatArray) -> None:
        """(n,) V, and nothing on its way."""


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
        Longest stretch handed to the rig at once, s: how long an urgent stop may
        have to wait.
    settle_s : float
        How long `ramp_to` waits at its end, s.
    compliance_na : float, optional
        Current of any output, either way, beyond which the rig is parked at once, nA.
    record : VoltageRecord, optional
        Has the voltages of a block before the rig has them.
    notice : callable, optional
        Told in a line what a first Ctrl-C will do.

    Raises
    ------
    TerminalError
        If a limit names a terminal that does not exist.
    VoltageLimitError
        If a limit is wider than the terminal's range, or excludes 0 V, where
        the rig has to end.
    ParameterError
        If a number is not positive, or the chain cannot tell the compliance.

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
        settle_s: float = 0.0,
        compliance_na: float | None = None,
        record: Record | None = None,
        notice: Callable[[str], None] | None = None,
    ) -> None:
        positive = (
            ("the rig's rate", rig.rate, "Hz"),
            ("slew_v_per_s", slew_v_per_s, "V/s"),
            ("block_s", block_s, "s"),
            ("compliance_na", 1.0 if compliance_na is None else compliance_na, "nA"),
        )
        for name, value, unit in positive:
            if not (np.isfinite(value) and value > 0):
                raise ParameterError(f"{name} = {value} {unit}; give a number above zero")
        if not (np.isfinite(settle_s) and settle_s >= 0):
            raise ParameterError(f"settle_s = {settle_s} s; give zero or more")
        if compliance_na is not None and compliance_na > rig.current_range_na:
            raise ParameterError(
                f"compliance_na = {compliance_na:g} nA cannot be told: readings end at "
                f"{rig.current_range_na:g} nA; give that or less"
            )
        self._rig = rig
        self._terminals = narrowed(rig.terminals, limits or {})
        self._slew = float(slew_v_per_s)
        self._block = max(1, round(block_s * rig.rate))
        self._settle = np.zeros((len(self._terminals), round(settle_s * rig.rate)))
        self._compliance = compliance_na
        self._record = record
        # Asked once: to look for a property is to read it, and that may ask an instrument.
        self._knows = rig if isinstance(rig, KnowsItsVoltage) else None
        self._streams = rig if isinstance(rig, StreamingRig) else None
        held = np.zeros(len(self._terminals))
        if self._knows is not None:
            held = np.array(self._knows.held_voltage)
        self._flight = Flight(held)
        if record is not None:
            record.holds(held)
        self._stops = StopRequests(_within_a_guard, notice=notice)

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
        if self._flight.landed:
            return self._flight.held.copy()
        if self._knows is not None:
            return np.array(self._knows.held_voltage)
        return self._flight.middle

    @property
    def played_s(self) -> float:
        """Time that the rig has played through this guard, ramps included, s."""
        return self._flight.played / self.rate

    def describe(self) -> dict[str, Any]:
        """The rig's description, with the limits under ``"guard"``."""
        return {
            **self._rig.describe(),
            "guard": {
                "limits_v": {t.name: [t.low_v, t.high_v] for t in self._terminals},
                "slew_v_per_s": self._slew,
                **({} if self._compliance is None else {"compliance_na": self._compliance}),
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
        ComplianceError
            If a current exceeded the compliance; the rig is parked.
        InstrumentError
            If a reading is not a number; the rig is parked.
        StorageError
            If the record could not be written; what was not written down was not sent.
        StoppedError
            If a signal asked to stop: after the waveform on a first Ctrl-C, after the
            block that runs on a second one, on TERM and on HUP.
        """
        self._stops.raise_if_asked()
        if isinstance(voltage, Waveform):
            if voltage.rate != self.rate:
                raise ParameterError(
                    f"waveform made for {voltage.rate:g} Hz, but the rig plays {self.rate:g} Hz; "
                    "make it for the rig's rate"
                )
            voltage = voltage.voltage
        here = self.last_voltage
        checked = allowed_waveform(
            self._terminals,
            voltage,
            before=here,
            rate=self.rate,
            slew_v_per_s=self._slew,
        )
        if self._knows is not None and not self._flight.landed:
            self._flight.lands(here)
        recording = self._send(checked, going_home=False)
        self._stops.raise_if_asked()
        return recording

    def ramp_to(self, voltage: ArrayLike) -> FloatArray:
        """Go to a voltage as fast as the slew limit allows, and wait `settle_s` there.

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
        way = self._way_to(target)
        if way.shape[1]:
            way = np.column_stack([way, target[:, None] + self._settle])
        return self.play(way)

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
            if not self._flight.landed:
                if way.shape[1] == 0:
                    way = home[:, None]
                if self._knows is not None:
                    self._flight.lands(here)
            return self._send(way, going_home=True)
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
        self._stops.take_over()
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
            pending = self._stops.give_back()
        if error is None and pending is not None:
            raise pending
        if error is not None and pending is not None:
            error.add_note(f"{pending} (it came on the way to 0 V)")

    def _way_to(self, target: FloatArray) -> FloatArray:
        return ramp(self.last_voltage, target, rate=self.rate, slew_v_per_s=self._slew)

    def _send(self, voltage: FloatArray, *, going_home: bool) -> FloatArray:
        """Play checked voltages; on the way home nothing is a reason to stop."""
        voltage.setflags(write=False)  # what was checked is what leaves
        recorded = [np.empty((len(self.outputs), 0))]
        wrong: Exception | None = None
        played = self._played(self._handed_out(voltage, going_home), voltage.shape[1])
        try:
            with contextlib.closing(played):
                for reading in played:
                    block = self._flight.arrives()
                    if going_home:
                        continue  # what it records on its way to 0 V is of no importance
                    wrong = wrong_with(
                        reading,
                        block,
                        outputs=self.outputs,
                        terminals=self._terminals,
                        compliance_na=self._compliance,
                    )
                    recorded.append(reading)
                    if wrong is not None or self._stops.urgent:
                        break
        except BaseException:
            if self._knows is not None:
                self._flight.strays()
            raise
        finally:
            self._flight.fails()
        if self._record is not None and self._flight.landed and voltage.shape[1]:
            with contextlib.suppress(StorageError) if going_home else contextlib.nullcontext():
                self._record.holds(self._flight.held)
        if wrong is not None and not going_home:
            if not isinstance(wrong, ShapeError):
                self.park()
            raise wrong
        return np.concatenate(recorded, axis=1)

    def _handed_out(
        self, voltage: FloatArray, going_home: bool
    ) -> Generator[FloatArray, None, None]:
        """Blocks of a waveform, each written down before it leaves."""
        start = self._flight.played
        for first in range(0, voltage.shape[1], self._block):
            if first > 0 and self._stops.urgent and not going_home:
                return
            block = voltage[:, first : first + self._block]
            self._flight.leaves(block)
            if self._record is not None:
                held, possible = self._flight.held, self._flight.possible
                try:
                    self._record.about_to_play(held, possible, before=self._flight.played - start)
                except (ParameterError, StorageError):
                    if not going_home:
                        self._flight.stays()
                        raise
            yield block

    def _played(
        self, blocks: Iterable[FloatArray], n_samples: int
    ) -> Generator[FloatArray, None, None]:
        """Recordings of blocks, (n_outputs, n_k) nA, in order."""
        if n_samples and self._streams is not None:
            with contextlib.closing(self._streams.stream(blocks, n_samples)) as readings:
                for reading in readings:
                    yield np.asarray(reading)
        else:
            for block in blocks:
                yield np.asarray(self._rig.play(block))


def _within_a_guard(frame: FrameType | None) -> bool:
    """Whether a guard's own code is at work, however deep below it the signal fell."""
    if frame is not None and frame.f_globals is vars(contextlib):
        return True  # between the end of a `with` and the guard that it leaves
    while frame is not None:
        if frame.f_globals is globals():
            return True
        frame = frame.f_back
    return False
