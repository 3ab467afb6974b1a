"""A rig or a device as a QCoDeS instrument, for measurements that QCoDeS runs.

Every terminal is a settable parameter in V, every output a gettable one in nA.
A rig is moved through its guard: a set is a ramp within the slew limit, and a
`dond` over our parameters is as safe as a script of our own.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import Device, FloatArray, Terminal
from inmateria.errors import ParameterError, missing_extra
from inmateria.rigs.guard import Guard
from inmateria.rigs.rig import Rig, check_waveform
from inmateria.signals.waveforms import Waveform
from inmateria.version import __version__

try:
    from qcodes.instrument import Instrument
    from qcodes.parameters import ParameterWithSetpoints
    from qcodes.validators import Arrays, Numbers
except ImportError as error:
    raise missing_extra("qcodes", "qcodes") from error


class DeviceInstrument(Instrument):
    """A device: set terminals, get steady-state currents. Made by `qcodes_device`."""

    def __init__(self, device: Device, name: str) -> None:
        super().__init__(name, metadata={"device": device.describe()})
        self._device = device
        self._voltage = np.zeros(len(device.terminals))
        self._solved: tuple[FloatArray, FloatArray] | None = None
        for i, terminal in enumerate(device.terminals):
            _add_terminal(self, terminal, partial(self._hold, i), partial(self._held, i))
            low, high = terminal.low_v, terminal.high_v
            self._voltage[i] = min(max(0.0, low), high)
        for k, output in enumerate(device.outputs):
            _add_output(self, output, partial(self._current, k))

    def get_idn(self) -> dict[str, str | None]:
        """Nothing is asked of an instrument."""
        return _idn(self._device.describe())

    def _hold(self, terminal: int, voltage: float) -> None:
        self._voltage[terminal] = voltage

    def _held(self, terminal: int) -> float:
        return float(self._voltage[terminal])

    def _current(self, output: int) -> float:
        # One solve for all outputs of a point.
        if self._solved is None or not np.array_equal(self._solved[0], self._voltage):
            self._solved = self._voltage.copy(), np.asarray(self._device.current(self._voltage))
        return float(self._solved[1][output])


class RigInstrument(Instrument):
    """A guarded rig. Made by `qcodes_instrument`.

    Besides terminals and outputs it has the parameters `hold_s`, how long an
    output is averaged, and `recording`, which plays what `prepare` was given.
    """

    def __init__(self, guard: Guard, name: str, *, hold_s: float, parks: bool) -> None:
        super().__init__(name, metadata={"rig": guard.describe()})
        self._guard, self._parks = guard, parks
        self._waveform: FloatArray | None = None
        for i, terminal in enumerate(guard.terminals):
            _add_terminal(self, terminal, partial(self._ramp, i), partial(self._held, i))
        for k, output in enumerate(guard.outputs):
            _add_output(self, output, partial(self._mean, k))
        self._hold = self.add_parameter(
            "hold_s",
            label="averaging time",
            unit="s",
            set_cmd=None,
            initial_value=hold_s,
            vals=Numbers(min_value=1 / guard.rate),
        )
        output_number = self.add_parameter(
            "output_number",
            label="output",
            get_cmd=lambda: np.arange(len(guard.outputs)),
            vals=Arrays(shape=(len(guard.outputs),), valid_types=(np.integer,)),
            snapshot_value=False,
        )
        seconds = self.add_parameter(
            "time_s",
            label="time",
            unit="s",
            get_cmd=lambda: np.arange(self._n_samples()) / guard.rate,
            vals=Arrays(shape=(self._n_samples,)),
            snapshot_value=False,
        )
        self.add_parameter(
            "recording",
            ParameterWithSetpoints,
            label="current",
            unit="nA",
            get_cmd=self._record,
            setpoints=(output_number, seconds),
            vals=Arrays(shape=(len(guard.outputs), self._n_samples)),
        )

    def prepare(self, voltage: ArrayLike | Waveform) -> None:
        """Take a waveform, (n_terminals, n_samples) V, for `recording` to play."""
        array = voltage.voltage if isinstance(voltage, Waveform) else voltage
        self._waveform = check_waveform(self._guard.terminals, array)

    def get_idn(self) -> dict[str, str | None]:
        """Nothing is asked of an instrument."""
        return _idn(self._guard.describe())

    def close(self) -> None:
        """Leave QCoDeS; a rig that was given without a guard is taken to 0 V."""
        try:
            if self.__dict__.get("_parks"):
                self._guard.park()
        finally:
            super().close()

    def _ramp(self, terminal: int, voltage: float) -> None:
        target = self._guard.last_voltage
        target[terminal] = voltage
        self._guard.ramp_to(target)

    def _held(self, terminal: int) -> float:
        return float(self._guard.last_voltage[terminal])

    def _mean(self, output: int) -> float:
        n_samples = max(1, round(self._hold.get() * self._guard.rate))
        hold = np.repeat(self._guard.last_voltage[:, None], n_samples, axis=1)
        return float(self._guard.play(hold)[output].mean())

    def _record(self) -> FloatArray:
        if self._waveform is None:
            raise ParameterError("there is nothing to play; give prepare(...) a waveform first")
        self._guard.ramp_to(self._waveform[:, 0])
        return self._guard.play(self._waveform)

    def _n_samples(self) -> int:
        return 0 if self._waveform is None else self._waveform.shape[1]


def qcodes_instrument(rig: Guard | Rig, name: str, *, hold_s: float = 0.1) -> RigInstrument:
    """A rig's terminals and outputs as parameters.

    Parameters
    ----------
    rig : Guard or Rig
        Use the guard as a context manager around the measurement: it ends at
        0 V. A bare rig gets a guard with default limits, and is taken to 0 V by
        `close`.
    name : str
        Of the instrument.
    hold_s : float
        How long an output is averaged when it is read, s.

    Raises
    ------
    ParameterError
        If the name is not an identifier or taken, or `hold_s` is less than a sample.
    """
    guard = rig if isinstance(rig, Guard) else Guard(rig)
    if not (np.isfinite(hold_s) and hold_s >= 1 / guard.rate):
        raise ParameterError(
            f"hold_s = {hold_s} s is less than one sample; hold at least {1 / guard.rate:g} s"
        )
    _require_free(name)
    return RigInstrument(guard, name, hold_s=hold_s, parks=guard is not rig)


def qcodes_device(device: Device, name: str) -> DeviceInstrument:
    """A device's terminals and outputs as parameters: no time, no noise, no rig.

    Raises
    ------
    ParameterError
        If the name is not an identifier or taken.
    """
    _require_free(name)
    return DeviceInstrument(device, name)


def _add_terminal(instrument: Instrument, terminal: Terminal, put: Any, get: Any) -> None:
    instrument.add_parameter(
        _free_name(instrument, terminal.name),
        label=terminal.name,
        unit="V",
        set_cmd=put,
        get_cmd=get,
        vals=Numbers(terminal.low_v, terminal.high_v),
    )


def _add_output(instrument: Instrument, output: str, get: Any) -> None:
    # A snapshot reports the last reading; it does not make a measurement of its own.
    instrument.add_parameter(
        _free_name(instrument, output), label=output, unit="nA", get_cmd=get, snapshot_get=False
    )


def _free_name(instrument: Instrument, name: str) -> str:
    """A terminal's name as an identifier that is not in use."""
    free = re.sub(r"\W", "_", name)
    free = free if free.isidentifier() else f"_{free}"
    while hasattr(instrument, free):
        free += "_"
    return free


def _require_free(name: str) -> None:
    if not name.isidentifier():
        raise ParameterError(
            f"instrument name {name!r} is not an identifier; use letters, digits and _"
        )
    if Instrument.exist(name):
        raise ParameterError(
            f"there is an instrument {name} already; close it, or take another name"
        )


def _idn(description: dict[str, Any]) -> dict[str, str | None]:
    return {
        "vendor": "inmateria",
        "model": str(description.get("kind", "device")),
        "serial": None,
        "firmware": __version__,
    }
