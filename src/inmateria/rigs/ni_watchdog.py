"""The chassis' watchdog: if this process dies, the outputs go to 0 V.

A jump to 0 V is hard on a device, so the watchdog is for what nothing else can mend: a
computer that froze or lost its power. A thread feeds it as long as the process lives,
however long a pause between two waveforms is.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Self

from inmateria.errors import InstrumentError
from inmateria.rigs.ni_connection import (
    Connection,
    LeftOverError,
    LostError,
    RefusedError,
)
from inmateria.rigs.ni_tasks import clear_task
from inmateria.rigs.ni_wiring import AnalogOutput

DEFAULT_TIMEOUT_S = 10.0
# Several meals in one timeout, so that one of them may come late.
_MEALS = 4


class Watchdog:
    """An armed watchdog, fed until `disarm`. Made by `Watchdog.arm`."""

    def __init__(self, connection: Connection, task: Any, timeout_s: float) -> None:
        self._connection, self._task = connection, task
        self._closing = threading.Event()
        self._thread = threading.Thread(
            target=self._feed_on, args=(timeout_s / _MEALS,), name="watchdog", daemon=True
        )
        self._thread.start()

    @classmethod
    def arm(
        cls,
        connection: Connection,
        outputs: Sequence[AnalogOutput],
        *,
        chassis: str,
        session: str,
        timeout_s: float | None,
    ) -> tuple[Self | None, str]:
        """An armed watchdog, and what became of it in words.

        Parameters
        ----------
        timeout_s : float or None
            None: 10 s, where there is a watchdog. 0: none.

        Raises
        ------
        LeftOverError
            If the one of a run before is still there.
        InstrumentError
            If one was asked for and cannot be had.
        """
        if timeout_s == 0:
            return None, "off"
        limit_s = DEFAULT_TIMEOUT_S if timeout_s is None else float(timeout_s)
        try:
            task = _start(connection, outputs, chassis, session, limit_s)
        except (LostError, LeftOverError):
            raise
        except InstrumentError as error:
            if timeout_s is not None:
                raise InstrumentError(
                    f"no watchdog of {limit_s:g} s can be armed ({error}); leave watchdog_s out "
                    "to go on without one"
                ) from error
            return None, f"none: {error}"
        said = f"armed: 0 V if this process is silent for {limit_s:g} s"
        return cls(connection, task, limit_s), said

    def feed(self) -> None:
        """Start its time anew."""
        with self._connection.doing("feeding the watchdog"):
            self._task.reset_timer()

    def has_expired(self) -> bool:
        """It bit, and the outputs are at 0 V and locked. Unlocks them, once it was asked."""
        return unlock(self._connection, self._task)

    def disarm(self) -> None:
        """The outputs stay as they are."""
        self._closing.set()
        self._thread.join()
        _let_go(self._connection, self._task)

    def forget(self) -> None:
        """Its task is gone from the server; there is nothing to give back."""
        self._closing.set()
        self._thread.join()
        self._task._close_on_exit = False

    def _feed_on(self, every_s: float) -> None:
        while not self._closing.wait(every_s):
            try:
                self.feed()
            except InstrumentError:
                continue  # whoever plays next will be told


def _start(
    connection: Connection,
    outputs: Sequence[AnalogOutput],
    chassis: str,
    session: str,
    timeout_s: float,
) -> Any:
    volts = import_module("nidaqmx.constants").WatchdogAOExpirState.VOLTAGE
    state = import_module("nidaqmx.types").AOExpirationState
    with connection.doing("arming the watchdog"):
        task = connection.watchdog_task(chassis, watchdog_session(session), timeout_s, left=False)
        assert task is not None
        try:
            task.cfg_watchdog_ao_expir_states([state(o.channel, 0.0, volts) for o in outputs])
            task.start()
        except connection.nidaqmx.errors.Error:
            _let_go(connection, task)
            raise
    return task


def _let_go(connection: Connection, task: Any) -> None:
    try:
        clear_task(connection, task)
    except LostError:
        task._close_on_exit = False  # else nidaqmx warns of a task that only the server has


def watchdog_session(session: str) -> str:
    """Name of the watchdog's task on a server."""
    return f"{session}-watchdog"


def unlock(connection: Connection, task: Any) -> bool:
    """Whether a watchdog expired; the outputs, at 0 V, can be driven again afterwards."""
    try:
        with connection.doing("asking the watchdog"):
            expired = bool(task.expired)
            if expired:
                task.clear_expiration()
    except RefusedError:  # it is not running: it cannot have expired
        return False
    return expired
