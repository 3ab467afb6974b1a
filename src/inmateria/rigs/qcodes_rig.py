"""Any QCoDeS parameters as a rig: DC stepping, timed in software.

Sample by sample the parameters whose value changes are set, one after another,
and every meter is read late in the sample. A set or a reading takes as
long as its instrument takes, milliseconds over a bus: the rate is one at which
instruments are stepped (1 to 100 samples a second), not one of a converter.
`timing` says how much of it was kept.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray, Terminal
from inmateria.errors import InstrumentError, ParameterError, SlewLimitError, VoltageLimitError
from inmateria.rigs.qcodes_parameter import (
    accepted_range,
    accepts,
    described,
    innermost,
    last_set,
    read_number,
    set_number,
    unit,
)
from inmateria.rigs.qcodes_walk import between, goes_home, own_stepping, walks
from inmateria.rigs.rig import check_waveform
from inmateria.rigs.step_clock import StepClock, StepTiming

if TYPE_CHECKING:
    from qcodes.parameters import ParameterBase
    from qcodes.station import Station

_ROUNDING = 1e-9  # share of a range
_LATEST = 2.0  # steps that a parameter's own walk may take where one was planned


@dataclass(frozen=True)
class Source:
    """A parameter that drives a terminal.

    Parameters
    ----------
    terminal : str
    parameter : ParameterBase
        Settable; read back if it is gettable.
    low_v, high_v : float
        What the terminal may see, V. The parameter's validator narrows it.
    unit_v : float
        Volts at the terminal for one unit of the parameter: 1e-3 for millivolts,
        0.01 behind a divider by a hundred, negative for an inverting amplifier.
    """

    terminal: str
    parameter: ParameterBase[Any, Any]
    low_v: float
    high_v: float
    unit_v: float = 1.0

    def __post_init__(self) -> None:
        Terminal(self.terminal, self.low_v, self.high_v)
        if not (np.isfinite(self.unit_v) and self.unit_v != 0):
            raise ParameterError(
                f"terminal {self.terminal}: unit_v = {self.unit_v} V; give the volts of one unit"
            )
        if not self.parameter.settable:
            raise ParameterError(
                f"terminal {self.terminal}: {self.parameter.full_name} cannot be set; "
                "name a settable parameter"
            )


@dataclass(frozen=True)
class Meter:
    """A parameter that reads an output.

    Parameters
    ----------
    output : str
    parameter : ParameterBase
        Gettable, one number.
    na_per_unit : float
        Nanoamperes for one unit: 1e9 for amperes, the gain in nA/V behind a
        converter; negative where it inverts.
    range_na : float
        Largest current that it can tell, nA.
    """

    output: str
    parameter: ParameterBase[Any, Any]
    na_per_unit: float
    range_na: float = float("inf")

    def __post_init__(self) -> None:
        if not (np.isfinite(self.na_per_unit) and self.na_per_unit != 0):
            raise ParameterError(
                f"output {self.output}: na_per_unit = {self.na_per_unit}; give the nanoamperes "
                "of one unit"
            )
        if not self.range_na > 0:
            raise ParameterError(
                f"output {self.output}: range_na = {self.range_na} nA; give a number above zero"
            )
        if not self.parameter.gettable:
            raise ParameterError(
                f"output {self.output}: {self.parameter.full_name} cannot be read; "
                "name a gettable parameter"
            )


class QcodesRig:
    """QCoDeS parameters as terminals and outputs.

    Opening it sets nothing: every source and every meter is read once.

    Parameters
    ----------
    sources : sequence of Source
    meters : sequence of Meter
    rate : float
        Steps a second, Hz.
    device : str
        Name of the sample.
    station : Station, optional
        Whose instruments `close` closes; without it they stay open.

    Raises
    ------
    ParameterError
        If a name or a parameter occurs twice, or a source does not take numbers.
    VoltageLimitError
        If a source stands where its own validator would not let it.
    InstrumentError
        If an instrument does not answer, or it is not known what a source holds.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        meters: Sequence[Meter],
        *,
        rate: float,
        device: str = "",
        station: Station | None = None,
    ) -> None:
        if not (np.isfinite(rate) and rate > 0):
            raise ParameterError(f"rate = {rate} Hz; give a number above zero")
        self._sources, self._meters = tuple(sources), tuple(meters)
        _require_different("terminal", [s.terminal for s in self._sources])
        _require_different("output", [m.output for m in self._meters])
        _require_different("source", [innermost(s.parameter) for s in self._sources])
        self._rate, self._device, self._station = float(rate), device, station
        self._unit = np.array([s.unit_v for s in self._sources])
        self._held = np.array([_at_opening(s) for s in self._sources])
        self._sent = self._held.copy()
        self._range = np.array([_own_range(s) for s in self._sources])
        self._terminals = tuple(map(_terminal, self._sources, self._range))
        began = time.perf_counter()
        for meter in self._meters:
            _current(meter)
        self._clock = StepClock(1 / self._rate, reading_s=time.perf_counter() - began)

    @property
    def terminals(self) -> tuple[Terminal, ...]:
        """One a source, with the range that both the source and its parameter allow."""
        return self._terminals

    @property
    def outputs(self) -> tuple[str, ...]:
        """One a meter."""
        return tuple(m.output for m in self._meters)

    @property
    def rate(self) -> float:
        """Steps a second, Hz."""
        return self._rate

    @property
    def current_range_na(self) -> float:
        """Smallest of the meters' ranges, nA."""
        return min((m.range_na for m in self._meters), default=float("inf"))

    @property
    def fidelity(self) -> str:
        """``"measurement"``."""
        return "measurement"

    @property
    def timing(self) -> StepTiming:
        """Steps so far, how many were late, and the time that all of them really took."""
        return self._clock.timing

    @property
    def held_voltage(self) -> FloatArray:
        """What the terminals hold, (n_terminals,) V: read back where that is possible.

        Else what was set last; after a set that failed, the middle of what the
        parameter may hold.
        """
        for i, source in enumerate(self._sources):
            if source.parameter.gettable:
                try:
                    number = read_number(source.parameter)
                except InstrumentError:
                    continue
                if np.isfinite(number):
                    self._held[i] = number
        return np.asarray(self._held * self._unit)

    def play(self, voltage: ArrayLike) -> FloatArray:
        """Step through voltages and read the currents late in each step.

        Parameters
        ----------
        voltage : (n_terminals, n_samples) array, V

        Returns
        -------
        (n_outputs, n_samples) array, nA

        Raises
        ------
        ShapeError, NotFiniteError, VoltageLimitError
            Before anything is set.
        SlewLimitError
            If a parameter's own stepping makes a step take more than twice its
            time, on any way but the one to 0 V; before anything is set.
        InstrumentError
            If an instrument fails; `held_voltage` is right then. On the way to 0 V
            a meter that fails gives NaN and holds nothing up.
        """
        asked = self._numbers(check_waveform(self._terminals, voltage))
        path = np.column_stack([self._held, asked])
        home = goes_home(path)
        if not home:  # That way takes as long as it takes.
            self._require_time(path)
        recording = np.full((len(self._meters), asked.shape[1]), np.nan)
        silent: set[int] = set()
        for k in range(asked.shape[1]):
            self._clock.begin()
            self._set(asked[:, k])
            self._clock.wait_to_read()
            for m, meter in enumerate(self._meters):
                if m not in silent:
                    try:
                        recording[m, k] = _current(meter)
                    except InstrumentError:
                        if not home:
                            raise
                        # Asked once a block: a timeout a step would keep the voltage on for long.
                        silent.add(m)
            self._clock.end()
        return recording

    def describe(self) -> dict[str, Any]:
        """Parameters, instruments, and how the timing went so far."""
        return {
            "kind": "qcodes",
            "device": self._device,
            "rate_hz": self._rate,
            "terminals": {
                t.name: described(s.parameter)
                | _stepping(s.parameter)
                | {"limits_v": [t.low_v, t.high_v], "unit_v": s.unit_v}
                for t, s in zip(self._terminals, self._sources, strict=True)
            },
            "outputs": {
                m.output: described(m.parameter)
                | {
                    "na_per_unit": m.na_per_unit,
                    "range_na": m.range_na if np.isfinite(m.range_na) else None,
                }
                for m in self._meters
            },
            "timing": asdict(self.timing),
        }

    def close(self) -> None:
        """Close the instruments of the station that was given, if one was."""
        if self._station is not None:
            self._station.close_all_registered_instruments()

    def _numbers(self, voltage: FloatArray) -> FloatArray:
        """Volts in the parameters' units, each of which its parameter takes."""
        number = voltage / self._unit[:, None] + 0.0  # no -0.0, which some instruments refuse
        for i, source in enumerate(self._sources):
            low, high = self._range[i]
            slack = _ROUNDING * (high - low)
            row = number[i]
            row[(row < low) & (row >= low - slack)] = low
            row[(row > high) & (row <= high + slack)] = high
            for end in (row.min(initial=0.0), row.max(initial=0.0)):
                reason = accepts(source.parameter, float(end))
                if reason:
                    raise VoltageLimitError(
                        f"terminal {source.terminal} would see {end * source.unit_v:.6g} V, but "
                        f"{source.parameter.full_name} takes {low:g} to {high:g}"
                        f"{unit(source.parameter)} only ({reason}); keep inside"
                    )
        return np.asarray(number)

    def _require_time(self, path: FloatArray) -> None:
        """Refuse steps that the parameters' own walks would make far too long."""
        parameters = [s.parameter for s in self._sources]
        n_sets, seconds = walks(parameters, path)
        if seconds.max(initial=0.0) * self._rate <= _LATEST:
            return
        k = int(seconds.argmax())
        i = int(n_sets[:, k].argmax())
        volts = abs(path[i, k + 1] - path[i, k]) * abs(self._unit[i])
        raise SlewLimitError(
            f"terminal {self._terminals[i].name} would step by {volts:.4g} V at sample {k}, which "
            f"{parameters[i].full_name} walks in {int(n_sets[i, k])} sets of its own; with all "
            f"terminals that takes {seconds[k]:.3g} s, and a step of the rig {1 / self._rate:.3g} "
            "s; lower the guard's slew, the rig's rate or the parameter's inter_delay"
        )

    def _set(self, number: FloatArray) -> None:
        for i, source in enumerate(self._sources):
            if number[i] == self._sent[i]:
                continue
            self._sent[i] = np.nan  # whatever happens now, it is set again next time
            try:
                set_number(source.parameter, float(number[i]))
            except InstrumentError:
                self._held[i] = between(source.parameter, self._held[i], number[i])
                raise
            self._sent[i] = self._held[i] = number[i]


def _current(meter: Meter) -> float:
    """What a meter reads, nA."""
    return read_number(meter.parameter) * meter.na_per_unit


def _at_opening(source: Source) -> float:
    """What a source holds before anything is set, in its parameter's unit."""
    parameter = source.parameter
    number = read_number(parameter) if parameter.gettable else last_set(parameter)
    if not np.isfinite(number):
        raise InstrumentError(
            f"terminal {source.terminal}: nobody knows what {parameter.full_name} holds (it gives "
            f"{number}); bring it to 0 V by hand and say so with cache.set(0)"
        )
    reason = accepts(parameter, number)
    if reason:
        raise VoltageLimitError(
            f"terminal {source.terminal} stands at {number * source.unit_v:.6g} V, where "
            f"{parameter.full_name} may not be set ({reason}); bring it inside by hand"
        )
    return number


def _own_range(source: Source) -> tuple[float, float]:
    ends = sorted((source.low_v / source.unit_v, source.high_v / source.unit_v))
    return accepted_range(source.parameter, *ends)


def _terminal(source: Source, own: FloatArray) -> Terminal:
    low, high = sorted(own * source.unit_v)
    # Where the parameter takes all of it, the limits that were given, to the last digit.
    slack = _ROUNDING * (source.high_v - source.low_v)
    return Terminal(
        source.terminal,
        source.low_v if low <= source.low_v + slack else float(low),
        source.high_v if high >= source.high_v - slack else float(high),
    )


def _stepping(parameter: ParameterBase[Any, Any]) -> dict[str, Any]:
    step, seconds = own_stepping(parameter)
    return {"step": step if np.isfinite(step) else None, "seconds_per_set": seconds}


def _require_different(kind: str, things: Sequence[Any]) -> None:
    for i, thing in enumerate(things):
        if any(thing is other or thing == other for other in things[:i]):
            name = thing if isinstance(thing, str) else thing.full_name
            raise ParameterError(f"{kind} {name} occurs twice; give each once")
