"""What the terminals hold after a stream that broke off, or after a process that died.

From the surest to the least: the instrument counts the samples that it put out, and what
was written is known; a watchdog that expired went to 0 V; a read-back input measures it;
else it is somewhere within what was in flight, of which the middle is off by half at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from inmateria.devices.device import FloatArray
from inmateria.rigs.ni_connection import Connection, RefusedError
from inmateria.rigs.ni_readback import read_back
from inmateria.rigs.ni_tasks import Tasks, clear_task
from inmateria.rigs.ni_watchdog import unlock, watchdog_session
from inmateria.rigs.ni_wiring import AnalogOutput
from inmateria.rigs.written_voltage import WrittenVoltage

COUNTED = "counted by the instrument"
READ_BACK = "read back"
EXPIRED = "0 V, where the watchdog left it"
MIDDLE = "the middle of what was in flight: nothing could say more"
WRITTEN_LAST = "the last that was written: the instrument did not answer"
NOT_ASKED = "taken to be 0 V: no read-back, and nothing played yet"
PLAYED = "played to the end"


@dataclass(frozen=True, eq=False)
class Held:
    """(n_terminals,) V, and how it is known."""

    voltage: FloatArray
    how: str


class LastVoltages(Protocol):
    """What a record of voltages says of a process that died."""

    @property
    def terminals(self) -> Sequence[str]:
        """Names, in order."""

    @property
    def held(self) -> FloatArray:
        """Before the first sample in flight, (n_terminals,) V."""

    @property
    def in_flight(self) -> FloatArray:
        """Handed to the rig and not known to be played, (n_terminals, m) V."""


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
    tasks: Tasks,
    last: LastVoltages,
    *,
    session: str,
    n_before: int | None,
) -> Held:
    """The same for what another process left running on a server.

    Without `n_before` (or an attribute of `last` of that name), the samples of its stream
    before `last.in_flight`, a count alone cannot tell whether the last block had been written
    when the process died.

    Raises
    ------
    InstrumentError
    """
    with connection.doing("looking for the watchdog of the run before"):
        watchdog = connection.watchdog_task("", watchdog_session(session), -1.0, left=True)
    expired = watchdog is not None and unlock(connection, watchdog)
    tasks.attach()
    count = tasks.break_off()
    clear_task(connection, watchdog)
    written = WrittenVoltage(np.asarray(last.held, dtype=np.float64))
    written.offer(np.asarray(last.in_flight, dtype=np.float64))
    if n_before is None:
        n_before = getattr(last, "n_before", None)
    if count:  # of 0 samples none came before
        count = None if n_before is None else count - n_before
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
