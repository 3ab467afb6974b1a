"""Terminals of a bench to 0 V after a program died: `kill -9`, a crash, a power cut.

What they hold is asked of whoever knows it best: the person who measured it, the
instrument (`recover`, `held_voltage`), or else the record of last known voltages,
which was on the disk before anything was on the wire.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray, Terminal, terminal_index
from inmateria.errors import ConfigurationError, DataIntegrityError
from inmateria.rigs.rig import KnowsItsVoltage, Rig
from inmateria.rigs.voltage_record import AT_REST_V, LastVoltages

if TYPE_CHECKING:
    from inmateria.bench.bench import Bench
    from inmateria.rigs.voltage_record import VoltageRecord

# Short, so that a record of any bench has room for the blocks in flight.
_BLOCK_S = 0.05


@runtime_checkable
class Recovers(Protocol):
    """A rig that can find out what a dead program left on its terminals."""

    def recover(self, last: LastVoltages) -> FloatArray:
        """What the terminals hold, (n_terminals,) V, given what was written down last."""


@dataclass(frozen=True, eq=False)
class Parking:
    """What was done.

    Parameters
    ----------
    terminals : tuple of str
    start_v : (n_terminals,) array, V
        What the terminals held.
    source : str
        Who said so, in words.
    ramp_s : float
        Length of the ramp, s; 0 where there was nothing to do.
    left : str
        What the record said of terminals that were not at 0 V.
    """

    terminals: tuple[str, ...]
    start_v: FloatArray
    source: str
    ramp_s: float
    left: str = ""

    def __str__(self) -> str:
        """In a line."""
        held = [
            f"{name} {volts:+.4g} V"
            for name, volts in zip(self.terminals, self.start_v, strict=True)
            if volts
        ]
        if not held and self.left:
            return f"all terminals are at 0 V ({self.source}); they had been left at {self.left}"
        if not held:
            return f"nothing to do: all terminals are at 0 V ({self.source})"
        return f"brought to 0 V in {self.ramp_s:.3g} s: {', '.join(held)} ({self.source})"


def park(bench: Bench, *, held_v: Mapping[str, float] | None = None) -> Parking:
    """Bring every terminal of a bench to 0 V at the allowed slew.

    Parameters
    ----------
    bench : Bench
    held_v : mapping of terminal name to V, optional
        What a person has measured; terminals that are not named are at 0 V.

    Raises
    ------
    BenchInUseError
        If another process drives this bench.
    ConfigurationError
        If nobody knows what the terminals hold.
    InstrumentError, MissingExtraError, DataFileError, StorageError
    ParkingError
        If the instrument fails on the way.
    """
    given = None if held_v is None else _by_name(bench, held_v)
    names = tuple(t.name for t in bench.terminals)
    # Read under its lock: nobody else parks, or drives, meanwhile.
    with contextlib.closing(_record(bench, anew=given is not None)) as record:
        last = record.found
        if given is None and last is not None and last.at_rest:
            return Parking(names, np.zeros(len(names)), f"{bench.record}, {last.utc}", 0.0)
        # The rate of the record: an instrument that still plays what it was given plays at that.
        rate = bench.settings.rate_hz if last is None or last.at_rest else last.rate
        try:
            with bench.rig(rate, highest=False) as rig:
                start, source = _held(bench, rig, given, None if given is not None else last)
                standing = _standing_at(rig, start)
                with bench.guarded(standing, record=record, block_s=_BLOCK_S) as guard:
                    guard.park()
                    ramp_s = guard.played_s
                record.holds(np.zeros(len(names)))
        except BaseException:
            record.forget()  # nothing is known: a record must not say 0 V
            raise
    left = "" if last is None or last.at_rest else str(last)
    return Parking(names, start, source, ramp_s, left)


def _by_name(bench: Bench, held_v: Mapping[str, float]) -> FloatArray:
    found = np.zeros(len(bench.terminals))
    for name, volts in held_v.items():
        if not np.isfinite(volts):
            raise ConfigurationError(f"terminal {name} at {volts} V; give what it holds in volts")
        found[terminal_index(bench.terminals, name)] = volts
    return found


def _record(bench: Bench, *, anew: bool) -> VoltageRecord:
    """The record, locked; a damaged one is begun `anew` where it is not needed any more."""
    rate = bench.settings.rate_hz
    try:
        return bench.open_record(rate, carry_on=True)
    except DataIntegrityError:
        if not anew:
            raise
        bench.record.unlink()
        return bench.open_record(rate, carry_on=True)


def _held(
    bench: Bench, rig: Rig, given: FloatArray | None, last: LastVoltages | None
) -> tuple[FloatArray, str]:
    """What the terminals hold, (n_terminals,) V, and who says so."""
    if given is not None:
        if isinstance(rig, Recovers):  # what a dead program left playing is stopped and cleared
            rig.recover(_holding(bench, rig, given))
        return given, "as you say"
    if last is not None and isinstance(rig, Recovers):
        return np.asarray(rig.recover(last), dtype=np.float64), _as_said_by(rig)
    if isinstance(rig, KnowsItsVoltage) and getattr(rig, "voltage_is_known", True):
        held = np.asarray(rig.held_voltage, dtype=np.float64)
        if last is None and isinstance(rig, Recovers):
            held = np.asarray(rig.recover(_holding(bench, rig, held)), dtype=np.float64)
        if last is not None:
            _refuse_contradiction(bench, held, last)
        return held, _as_said_by(rig)
    if last is not None:
        possible = np.column_stack([last.held, last.in_flight])
        middle = (possible.min(axis=1) + possible.max(axis=1)) / 2
        return middle, f"the middle of what {bench.record} says"
    raise ConfigurationError(
        f"nobody knows what the terminals of {bench.path} hold: there is no {bench.record}, and "
        "the instrument does not say; measure them and give --from "
        f"{bench.terminals[0].name}=0.3,... (others at 0 V)"
    )


def _holding(bench: Bench, rig: Rig, held: FloatArray) -> LastVoltages:
    """What a record would say of terminals that hold a voltage, with nothing on its way."""
    names = tuple(t.name for t in bench.terminals)
    none = np.empty((len(names), 0))
    return LastVoltages(names, held, none, 0, rig.rate, bench.settings.slew_v_per_s, "")


def _as_said_by(rig: Rig) -> str:
    """How the instrument knows."""
    how = rig.describe().get("held_voltage_is")
    return "as the instrument says" + (f": {how}" if how else "")


def _refuse_contradiction(bench: Bench, held: FloatArray, last: LastVoltages) -> None:
    """A source that cannot be read tells what this process set, which is nothing yet.

    Raises
    ------
    ConfigurationError
    """
    possible = np.column_stack([last.held, last.in_flight])
    low, high = possible.min(axis=1) - AT_REST_V, possible.max(axis=1) + AT_REST_V
    for terminal, volts, least, most in zip(bench.terminals, held, low, high, strict=True):
        if not least <= volts <= most:
            raise ConfigurationError(
                f"{bench.record} says that terminal {terminal.name} was left between {least:.3g} V "
                f"and {most:.3g} V, the instrument says {volts:.3g} V; measure it, and give "
                f"--from {terminal.name}=..."
            )


def _standing_at(rig: Rig, start: FloatArray) -> Rig:
    """The rig itself where it says that it holds `start`, else one that does."""
    if isinstance(rig, KnowsItsVoltage) and np.allclose(rig.held_voltage, start, rtol=0, atol=1e-6):
        return rig
    return _Standing(rig, start)


class _Standing:
    """A rig whose terminals are known, by others, to hold a voltage."""

    def __init__(self, rig: Rig, start: FloatArray) -> None:
        self._rig = rig
        self.held_voltage = start

    @property
    def terminals(self) -> tuple[Terminal, ...]:
        return self._rig.terminals

    @property
    def outputs(self) -> tuple[str, ...]:
        return self._rig.outputs

    @property
    def rate(self) -> float:
        return self._rig.rate

    @property
    def current_range_na(self) -> float:
        return self._rig.current_range_na

    @property
    def fidelity(self) -> str:
        return self._rig.fidelity

    def play(self, voltage: ArrayLike) -> FloatArray:
        try:
            reading = self._rig.play(voltage)
        except Exception:
            # It has moved since others said where it stood; the way home is tried once more.
            if isinstance(self._rig, KnowsItsVoltage):
                self.held_voltage = np.array(self._rig.held_voltage)
            raise
        self.held_voltage = np.array(voltage)[:, -1]
        return reading

    def describe(self) -> dict[str, Any]:
        return self._rig.describe()
