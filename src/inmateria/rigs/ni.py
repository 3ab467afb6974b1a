"""Analog outputs and inputs of National Instruments through the official `nidaqmx` package.

    blocks -> buffers -> outputs, armed on the inputs' start -> device -> inputs -> blocks

Two buffers are written ahead of what is read; then every buffer read makes room for the
next one written. A recording lags behind by the converters' group delay of
`delay_samples`: the outputs hold their last value for so long, and the recording's first
samples, which belong to what came before, are dropped.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray, Terminal
from inmateria.errors import ConfigurationError, InstrumentError
from inmateria.rigs import ni_held
from inmateria.rigs.ni_connection import Connection, LeftOverError, LostError
from inmateria.rigs.ni_held import Held, LastVoltages
from inmateria.rigs.ni_stream import Stream, pieces
from inmateria.rigs.ni_tasks import FEWEST_SAMPLES, Tasks
from inmateria.rigs.ni_watchdog import DEFAULT_TIMEOUT_S, Watchdog
from inmateria.rigs.ni_wiring import AnalogInput, AnalogOutput, check_wiring, find_chassis
from inmateria.rigs.rig import check_waveform
from inmateria.rigs.written_voltage import WrittenVoltage

__all__ = ["AnalogInput", "AnalogOutput", "NIRig"]

# A converter's largest code is just below its range: what reads higher than this is clipped.
_CLIPPED_SHARE = 1 - 2**-14
# What the instrument's buffer for the outputs can hold.
_ROOM_BUFFERS = 8
_TRY_AGAIN_S = 0.2
_SAME_V = 1e-9


class NIRig:
    """A device behind the modules of one NI chassis, or a multifunction card.

    Parameters
    ----------
    outputs, inputs : sequences of AnalogOutput and AnalogInput
        In the order of a waveform's and a recording's rows.
    rate : float
        Samples per second asked for, Hz; `.rate` is what the hardware can do.
    server : str, optional
        "host:port" of an NI gRPC device server; left out: the driver of this computer.
    delay_samples : int
        Group delay from an output to its reading, samples; `measure_delay` tells it.
    buffer_s : float
        Length of one write, s. Two are written ahead.
    timeout_s : float
        Longest wait for an answer, s.
    watchdog_s : float, optional
        Time after which the chassis takes its outputs to 0 V if this process has died, s. Left
        out: 10 s where the chassis has a watchdog. 0: never.
    device : str
        Name of the sample, for the description.
    session : str
        Name by which a server knows what this rig plays.
    reconnect_s : float
        How long a lost connection is tried again when the terminals' voltage is asked for, s.

    Raises
    ------
    MissingExtraError, ConfigurationError, InstrumentError
        Before anything is driven.
    """

    def __init__(
        self,
        outputs: Sequence[AnalogOutput],
        inputs: Sequence[AnalogInput],
        *,
        rate: float,
        server: str | None = None,
        delay_samples: int = 0,
        buffer_s: float = 0.1,
        timeout_s: float = 5.0,
        watchdog_s: float | None = None,
        device: str = "",
        session: str = "inmateria",
        reconnect_s: float = 5.0,
    ) -> None:
        check_wiring(outputs, inputs)
        _check_numbers(rate, delay_samples, buffer_s, timeout_s, watchdog_s)
        self._outputs, self._inputs = tuple(outputs), tuple(inputs)
        self._asked_rate, self._delay = float(rate), int(delay_samples)
        self._buffer = max(FEWEST_SAMPLES, round(buffer_s * rate))
        self._timeout, self._reconnect = float(timeout_s), float(reconnect_s)
        self._device, self._session = device, session
        self._terminals = tuple(Terminal(o.terminal, o.low_v, o.high_v) for o in outputs)
        self._na_per_v = np.array(
            [(-1 if i.inverted else 1) * i.gain_na_per_v for i in inputs], dtype=np.float64
        )
        self._playing: tuple[Tasks, WrittenVoltage] | None = None
        self._broken: tuple[Tasks, WrittenVoltage] | None = None
        self._given_up = -np.inf
        self._trouble: InstrumentError | None = None
        self._left_over: InstrumentError | None = None
        self._watchdog: Watchdog | None = None
        self._watchdog_s = watchdog_s
        self._connection = Connection(server, timeout_s=self._timeout)
        self._tasks = self._new_tasks()
        try:
            self._chassis = find_chassis(self._connection, self._outputs, self._inputs)
            self._rate = self._asked_rate
            self._rate = self._read_rate()
            self._held = ni_held.at_start(self._connection, self._outputs)
            self._watchdog_said = self._arm()
        except BaseException:
            self.close()
            raise

    @property
    def terminals(self) -> tuple[Terminal, ...]:
        """Driven terminals, with the ranges of their channels."""
        return self._terminals

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the measured outputs."""
        return tuple(entry.output for entry in self._inputs)

    @property
    def rate(self) -> float:
        """Samples per second that the hardware can do, Hz."""
        return self._rate

    @property
    def current_range_na(self) -> float:
        """|reading| >= this means clipped, nA: the smallest of all inputs."""
        return _CLIPPED_SHARE * min(i.gain_na_per_v * i.range_v for i in self._inputs)

    @property
    def fidelity(self) -> str:
        """``"measurement"``."""
        return "measurement"

    @property
    def held_voltage(self) -> FloatArray:
        """What the terminals hold, (n_terminals,) V.

        While a stream is open, the last sample recorded. After one that broke off, the instrument is asked, for `reconnect_s` if the
        connection is lost. As long as nobody answers: the last sample written, because an
        instrument plays what it was given; `describe()` says so.
        """
        if self._playing is not None:
            return self._playing[1].now
        if self._broken is not None and time.monotonic() - self._given_up > self._reconnect:
            self._settle(patience_s=self._reconnect)
        return self._held.voltage.copy()

    def play(self, voltage: ArrayLike) -> FloatArray:
        """Play voltages, streamed in buffers, and record currents.

        Parameters
        ----------
        voltage : (n_terminals, n_samples) array, V

        Returns
        -------
        (n_outputs, n_samples) array, nA

        Raises
        ------
        ShapeError, NotFiniteError, InstrumentError
        """
        block = check_waveform(self._terminals, voltage)
        recording = [np.empty((len(self._inputs), 0))]
        recording.extend(self.stream([block], block.shape[1]))
        return np.concatenate(recording, axis=1)

    def stream(self, blocks: Iterable[FloatArray], n_samples: int) -> Iterator[FloatArray]:
        """Play blocks one after the other without a gap.

        Parameters
        ----------
        blocks : iterable of (n_terminals, n_k) arrays, V
            Each is taken only when it is about to be written, two buffers ahead at most. If they
            end before `n_samples`, what was taken is played and recorded, and its end is held.
        n_samples : int
            All of them together.

        Yields
        ------
        (n_outputs, n_k) array, nA
            Of each block, in order.

        Raises
        ------
        ShapeError, NotFiniteError, InstrumentError
            What was playing is stopped where it is; `held_voltage` then says where. To close the
            iterator does the same, and so does another stream that begins before all recordings
            were taken.
        """
        self._get_ready()
        written = WrittenVoltage(self._held.voltage)
        n_all = max(n_samples + self._delay, FEWEST_SAMPLES)
        tasks = self._tasks
        source = pieces(
            (check_waveform(self._terminals, b) for b in blocks), n_samples, self._buffer
        )
        stream = Stream(
            tasks,
            written,
            n_all=n_all,
            delay=self._delay,
            buffer=self._buffer,
            each=self._feed,
            finished=self._played_to_the_end,
        )
        self._playing = (tasks, written)
        try:
            self._prepare(tasks, n_all)
            for volts in stream.run(source):
                yield volts * self._na_per_v[:, None]
        except BaseException:
            if self._playing is not None and self._playing[1] is written:
                self._break_off()
            raise

    def recover(self, last: LastVoltages, *, n_before: int | None = None) -> FloatArray:
        """What the terminals hold after a process that died; its tasks are stopped and cleared.

        Parameters
        ----------
        last : LastVoltages
            What its record of voltages says.
        n_before : int, optional
            Samples of its stream before `last.in_flight`, where that is known.

        Returns
        -------
        (n_terminals,) array, V
            `describe()["held_voltage_is"]` says how it is known.
        """
        names = [o.terminal for o in self._outputs]
        if list(last.terminals) != names:
            raise ConfigurationError(
                f"the record is of terminals {', '.join(last.terminals)}, but the rig drives "
                f"{', '.join(names)}; recover with the wiring that the record was made with"
            )
        self._held = ni_held.after_death(
            self._connection,
            self._outputs,
            self._new_tasks(),
            last,
            session=self._session,
            n_before=n_before,
        )
        self._left_over = None
        if self._watchdog is None:
            self._watchdog_said = self._arm()
        return self._held.voltage.copy()

    def describe(self) -> dict[str, Any]:
        """Sample, wiring and instrument, as plain JSON values."""
        return {
            "kind": "ni",
            "device": {"kind": "sample", "name": self._device},
            "server": self._connection.server or "local driver",
            "driver_version": self._connection.driver_version,
            "chassis": self._chassis.name,
            "modules": dict(self._chassis.modules),
            "rate_hz": self._rate,
            "asked_rate_hz": self._asked_rate,
            "delay_samples": self._delay,
            "buffer_samples": self._buffer,
            "terminals": [asdict(o) for o in self._outputs],
            "outputs": [asdict(i) for i in self._inputs],
            "watchdog": self._watchdog_said,
            "held_voltage_is": self._held.how,
        }

    def close(self) -> None:
        """Let go of the instrument; the terminals keep what they hold. Twice does no harm."""
        for stretch in (self._playing, self._broken):
            if stretch is not None:
                stretch[0].abandon()
        self._tasks.abandon()
        self._playing = self._broken = None
        if self._watchdog is not None:
            self._watchdog.disarm()
            self._watchdog = None
        self._connection.close()

    def __enter__(self) -> Self:
        """The rig itself; it is closed at the end."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close."""
        self.close()

    def _new_tasks(self) -> Tasks:
        return Tasks(self._connection, self._session, timeout_s=self._timeout)

    def _prepare(self, tasks: Tasks, n_samples: int) -> None:
        if not tasks.are_set_up:
            tasks.set_up(self._outputs, self._inputs, chassis=self._chassis.name)
        room = _ROOM_BUFFERS * self._buffer + self._delay
        tasks.prepare(rate=self._rate, n_samples=n_samples, room=room)

    def _read_rate(self) -> float:
        """What becomes of the rate asked for; nothing is started."""
        try:
            self._prepare(self._tasks, self._buffer)
            return self._tasks.coerced_rate()
        except LeftOverError as error:
            self._left_over = error
        tasks = Tasks(self._connection, "", timeout_s=self._timeout)
        try:
            self._prepare(tasks, self._buffer)
            return tasks.coerced_rate()
        finally:
            tasks.abandon()

    def _arm(self) -> str:
        """What became of the watchdog, in words."""
        watchdog_s = self._watchdog_s
        if watchdog_s == 0:
            return "off"
        timeout_s = DEFAULT_TIMEOUT_S if watchdog_s is None else float(watchdog_s)
        try:
            self._watchdog = Watchdog.arm(
                self._connection,
                self._outputs,
                chassis=self._chassis.name,
                session=self._session,
                timeout_s=timeout_s,
            )
        except LostError:
            raise
        except LeftOverError as error:
            self._left_over = error
            return f"not armed: {error}"
        except InstrumentError as error:
            if watchdog_s is not None:
                raise InstrumentError(
                    f"no watchdog of {watchdog_s:g} s can be armed ({error}); leave watchdog_s "
                    "out to go on without one"
                ) from error
            return f"none: {error}"
        return f"armed: 0 V if this process is silent for {timeout_s:g} s"

    def _feed(self) -> None:
        if self._watchdog is not None:
            self._watchdog.feed()

    def _get_ready(self) -> None:
        """Raises if what the terminals hold is not what whoever plays now takes it to be."""
        if self._left_over is not None:
            raise self._left_over
        told = Held(self.held_voltage, "") if self._playing is not None else self._held
        if self._playing is not None:  # nobody took all its recordings, nor closed it
            self._break_off()
        if self._broken is not None:
            self._settle(patience_s=self._reconnect)
            if self._broken is not None:
                raise InstrumentError(f"nothing can be played: {self._trouble}")
        if self._watchdog is not None and self._watchdog.has_expired():
            self._held = Held(np.zeros(len(self._outputs)), ni_held.EXPIRED)
        if not np.allclose(told.voltage, self._held.voltage, rtol=0, atol=_SAME_V):
            now = ", ".join(
                f"{o.terminal} at {v:.4g} V"
                for o, v in zip(self._outputs, self._held.voltage, strict=True)
            )
            raise InstrumentError(
                f"the terminals are not where they were left, but {now} ({self._held.how}); "
                "begin anew from held_voltage"
            )

    def _played_to_the_end(self) -> None:
        assert self._playing is not None
        self._held = Held(self._playing[1].last, ni_held.PLAYED)
        self._playing = None

    def _break_off(self) -> None:
        assert self._playing is not None
        self._broken, self._playing = self._playing, None
        self._tasks = self._new_tasks()
        self._held = Held(self._broken[1].last, ni_held.WRITTEN_LAST)
        self._settle(patience_s=0.0)

    def _settle(self, *, patience_s: float) -> None:
        """Ask what the terminals hold after a break, as long as patience lasts."""
        assert self._broken is not None
        tasks, written = self._broken
        until = time.monotonic() + patience_s
        while True:
            try:
                expired = self._watchdog is not None and self._watchdog.has_expired()
                self._held = ni_held.after_break(
                    self._connection, self._outputs, tasks, written, expired=expired
                )
            except InstrumentError as error:
                self._trouble = error
            else:
                self._broken = None
                return
            if time.monotonic() >= until:
                self._given_up = time.monotonic() if patience_s else -np.inf
                return
            time.sleep(_TRY_AGAIN_S)


def _check_numbers(
    rate: float, delay_samples: int, buffer_s: float, timeout_s: float, watchdog_s: float | None
) -> None:
    positive = (("rate", rate, "Hz"), ("buffer_s", buffer_s, "s"), ("timeout_s", timeout_s, "s"))
    for name, value, unit in positive:
        if not (np.isfinite(value) and value > 0):
            raise ConfigurationError(f"{name} = {value} {unit}; give a number above zero")
    if delay_samples != int(delay_samples) or delay_samples < 0:
        raise ConfigurationError(
            f"delay_samples = {delay_samples}; give a whole number of samples, 0 or more"
        )
    if watchdog_s is not None and not (np.isfinite(watchdog_s) and watchdog_s >= 0):
        raise ConfigurationError(f"watchdog_s = {watchdog_s} s; give 0 (never) or more")
