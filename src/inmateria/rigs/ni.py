"""Analog outputs and inputs of National Instruments through the official `nidaqmx` package.

    blocks -> buffers -> outputs, armed on the inputs' start -> device -> inputs -> blocks

Two buffers are written ahead of what is read; then every buffer read makes room for the
next one written. A recording lags behind by the converters' group delay of
`delay_samples`: the outputs hold their last value for so long, and the recording's first
samples, which belong to what came before, are dropped.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Sequence
from dataclasses import asdict
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray, Terminal
from inmateria.errors import ConfigurationError
from inmateria.rigs.ni_connection import Connection
from inmateria.rigs.ni_held import NOT_ASKED
from inmateria.rigs.ni_player import Player
from inmateria.rigs.ni_tasks import FEWEST_SAMPLES
from inmateria.rigs.ni_wiring import AnalogInput, AnalogOutput, check_wiring, find_chassis
from inmateria.rigs.rig import check_waveform
from inmateria.rigs.voltage_record import LastVoltages

__all__ = ["AnalogInput", "AnalogOutput", "NIRig"]

# A converter's largest code is just below its range: what reads higher than this is clipped.
_CLIPPED_SHARE = 1 - 2**-14


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
        self._device = device
        self._terminals = tuple(Terminal(o.terminal, o.low_v, o.high_v) for o in outputs)
        self._na_per_v = np.array(
            [(-1 if i.inverted else 1) * i.gain_na_per_v for i in inputs], dtype=np.float64
        )
        self._connection = Connection(server, timeout_s=float(timeout_s))
        try:
            self._chassis = find_chassis(self._connection, self._outputs, self._inputs)
            self._player = Player(
                self._connection,
                self._outputs,
                self._inputs,
                chassis=self._chassis.name,
                rate=self._asked_rate,
                delay=self._delay,
                buffer=self._buffer,
                timeout_s=float(timeout_s),
                reconnect_s=float(reconnect_s),
                watchdog_s=watchdog_s,
                session=session,
            )
        except BaseException:
            self._connection.close()
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
        return self._player.rate

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

        While a stream is open, the last sample recorded. After one that broke off, the instrument
        is asked, for `reconnect_s` if the connection is lost. As long as nobody answers: the last
        sample written, because an instrument plays what it was given; `describe()` says so.
        """
        return self._player.held.voltage.copy()

    @property
    def voltage_is_known(self) -> bool:
        """Whether `held_voltage` is more than an assumption."""
        return self._player.how_held != NOT_ASKED

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

    def stream(
        self, blocks: Iterable[FloatArray], n_samples: int
    ) -> Generator[FloatArray, None, None]:
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
        checked = (check_waveform(self._terminals, block) for block in blocks)
        with contextlib.closing(self._player.stream(checked, n_samples)) as readings:
            for volts in readings:
                yield volts * self._na_per_v[:, None]

    def recover(self, last: LastVoltages) -> FloatArray:
        """What the terminals hold after a process that died; its tasks are stopped and cleared.

        Parameters
        ----------
        last : LastVoltages
            What its record of voltages says.

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
        return self._player.recover(last).voltage.copy()

    def describe(self) -> dict[str, Any]:
        """Sample, wiring and instrument, as plain JSON values."""
        return {
            "kind": "ni",
            "device": {"kind": "sample", "name": self._device},
            "server": self._connection.server or "local driver",
            "driver_version": self._connection.driver_version,
            "chassis": self._chassis.name,
            "modules": dict(self._chassis.modules),
            "rate_hz": self.rate,
            "asked_rate_hz": self._asked_rate,
            "delay_samples": self._delay,
            "buffer_samples": self._buffer,
            "terminals": [asdict(o) for o in self._outputs],
            "outputs": [asdict(i) for i in self._inputs],
            "watchdog": self._player.watchdog_said,
            "held_voltage_is": self._player.how_held,
        }

    def close(self) -> None:
        """Let go of the instrument; the terminals keep what they hold. Twice does no harm."""
        self._player.close()
        self._connection.close()

    def __enter__(self) -> Self:
        """The rig itself; it is closed at the end."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close."""
        self.close()


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
