"""What the terminals hold after a stream that broke off, or after a process that died.

From the surest to the least: the instrument counts the samples that it put out, and what
was written is known; a watchdog that expired went to 0 V; a read-back input measures it;
else it is somewhere within what was in flight, of which the middle is off by half at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inmateria.devices.device import FloatArray
from inmateria.rigs.ni_connection import Connection, RefusedError
from inmateria.rigs.ni_readback import read_back
from inmateria.rigs.ni_tasks import Tasks, clear_task
from inmateria.rigs.ni_watchdog import unlock
from inmateria.rigs.ni_wiring import AnalogOutput
from inmateria.rigs.voltage_record import LastVoltages
from inmateria.rigs.written_voltage import WrittenVoltage

COUNTED = "counted by the instrument"
READ_BACK = "read back"
EXPIRED = "0 V, where the watchdog left it"
MIDDLE = "the middle of what was in flight: nothing could say more"
WRITTEN_LAST = "the last that was written: the instrument did not answer"
NOT_ASKED = "taken to be 0 V: no read-back, and nothing played yet"
PLAYED = "played to the end"
RECORDED = "recorded last, of a stream that is open"


@dataclass(frozen=True, eq=False)
class Held:
    """(n_terminals,) V, and how it is known."""

    voltage: FloatArray
    how: str


def at_start(connection: Connection, outputs: Sequence[AnalogOutput]) -> Held:
    """Before anything was played."""
    measured = read_back(connection, outputs)
    if measured is None:
        return Held(np.zeros(len(outputs)), NOT_ASKED)
    return Held(measured, READ_BACK)


def after_break(
    connection: Connection,
    outputs: Sequence[AnalogOutput],
    tasks: Tasks,
    written: WrittenVoltage,
    *,
    expired: bool,
) -> Held:
    """Stop a stretch where it is, and say where that is.

    Raises
    ------
    InstrumentError
        If nobody answers; it can be asked again.
    """
    count = tasks.break_off()
    return _held(connection, outputs, count, written, expired=expired)


def after_death(
    connection: Connection,
    outputs: Sequence[AnalogOutput],
    last: LastVoltages,
    *,
    tasks: Tasks | None,
    watchdog: str,
) -> Held:
    """The same for what another process left running on a server.

    Parameters
    ----------
    last : LastVoltages
        What the record of that process says.
    tasks : Tasks or None
        To attach with; None where nothing was left.
    watchdog : str
        Session of the watchdog that was left; "" for none.

    Raises
    ------
    InstrumentError
    """
    expired, count = False, None
    if watchdog:
        with connection.doing("looking for the watchdog of the run before"):
            dog = connection.watchdog_task("", watchdog, -1.0, left=True)
        expired = dog is not None and unlock(connection, dog)
        clear_task(connection, dog)
    if tasks is not None:
        tasks.attach()
        count = tasks.break_off()
    written = WrittenVoltage(last.held)
    written.offer(last.in_flight)
    if count is not None:
        # The outputs hold the last value for some samples more.
        count = min(max(count - last.before, 0), written.n_offered)
    return _held(connection, outputs, count, written, expired=expired)


def _held(
    connection: Connection,
    outputs: Sequence[AnalogOutput],
    count: int | None,
    written: WrittenVoltage,
    *,
    expired: bool,
) -> Held:
    if expired:
        return Held(np.zeros(len(outputs)), EXPIRED)
    counted = None if count is None else written.after(count)
    if counted is not None:
        return Held(counted, COUNTED)
    try:
        measured = read_back(connection, outputs)
    except RefusedError:
        measured = None
    return Held(written.middle, MIDDLE) if measured is None else Held(measured, READ_BACK)
