"""What plays on a chassis, in volts, and knows at any time what the terminals hold."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Sequence

import numpy as np

from inmateria.devices.device import FloatArray
from inmateria.errors import InstrumentError
from inmateria.rigs import ni_held
from inmateria.rigs.ni_connection import NO_TASK, Connection, LeftOverError, RefusedError
from inmateria.rigs.ni_held import Held
from inmateria.rigs.ni_stream import Stream, pieces
from inmateria.rigs.ni_tasks import FEWEST_SAMPLES, Tasks
from inmateria.rigs.ni_watchdog import Watchdog, watchdog_session
from inmateria.rigs.ni_wiring import AnalogInput, AnalogOutput
from inmateria.rigs.voltage_record import LastVoltages
from inmateria.rigs.written_voltage import WrittenVoltage

# What the instrument's buffer for the outputs can hold.
_ROOM_BUFFERS = 8
_TRY_AGAIN_S = 0.2
_SAME_V = 1e-9


class Player:
    """Outputs and inputs of one chassis.

    Parameters
    ----------
    connection : Connection
    outputs, inputs : sequences of AnalogOutput and AnalogInput
        Checked.
    chassis : str
    rate : float
        Asked for, Hz; `rate` is what the clock can do.
    delay, buffer : int
        Samples by which recordings lag; samples of one write.
    timeout_s, reconnect_s : float
    watchdog_s : float or None
    session : str

    Raises
    ------
    InstrumentError
        Nothing was driven.
    """

    def __init__(
        self,
        connection: Connection,
        outputs: Sequence[AnalogOutput],
        inputs: Sequence[AnalogInput],
        *,
        chassis: str,
        rate: float,
        delay: int,
        buffer: int,
        timeout_s: float,
        reconnect_s: float,
        watchdog_s: float | None,
        session: str,
    ) -> None:
        self._connection, self._chassis, self._session = connection, chassis, session
        self._outputs, self._inputs = tuple(outputs), tuple(inputs)
        self._delay, self._buffer = delay, buffer
        self._timeout, self._reconnect, self._watchdog_s = timeout_s, reconnect_s, watchdog_s
        self._playing: tuple[Tasks, WrittenVoltage] | None = None
        self._broken: tuple[Tasks, WrittenVoltage] | None = None
        self._given_up = -np.inf
        self._trouble: InstrumentError | None = None
        self._left_over: InstrumentError | None = None
        self._watchdog: Watchdog | None = None
        self.watchdog_said = ""
        self._tasks = self._new_tasks()
        self.rate = rate
        try:
            self.rate = self._read_rate()
            self._held = ni_held.at_start(connection, self._outputs)
            self._arm()
        except BaseException:
            self.close()
            raise

    @property
    def held(self) -> Held:
        """What the terminals hold; asks the instrument where a stream broke off."""
        if self._playing is not None:
            return Held(self._playing[1].now, ni_held.RECORDED)
        if self._broken is not None and time.monotonic() - self._given_up > self._reconnect:
            self._settle(patience_s=self._reconnect)
        return self._held

    @property
    def how_held(self) -> str:
        """How what is held is known, without asking."""
        return self._held.how

    def stream(
        self, blocks: Iterable[FloatArray], n_samples: int
    ) -> Generator[FloatArray, None, None]:
        """Blocks of (n_terminals, n_k) V in, readings of (n_inputs, n_k) V out."""
        self._get_ready()
        written = WrittenVoltage(self._held.voltage)
        n_all = max(n_samples + self._delay, FEWEST_SAMPLES)
        tasks = self._tasks
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
            yield from stream.run(pieces(blocks, n_samples, self._buffer))
        except BaseException:
            if self._playing is not None and self._playing[1] is written:
                self._break_off()
            raise

    def recover(self, last: LastVoltages) -> Held:
        """Stop and clear what a process that died left, and say what the terminals hold."""
        # What was set up and armed by this rig was not left by another one.
        self._held = ni_held.after_death(
            self._connection,
            self._outputs,
            last,
            tasks=None if self._tasks.are_set_up else self._new_tasks(),
            watchdog="" if self._watchdog is not None else watchdog_session(self._session),
        )
        self._left_over = None
        if self._watchdog is None:
            self._arm()
        return self._held

    def close(self) -> None:
        """Give everything back; the terminals keep what they hold. Twice does no harm.

        A stream that broke off, and of which nothing could be learned, is left on the server:
        who recovers it can ask how far it came.
        """
        if self._playing is not None:
            self._break_off()
        if self._broken is not None and self._connection.server is None:
            self._broken[0].abandon()
        self._tasks.abandon()
        if self._watchdog is not None:
            self._watchdog.disarm()
            self._watchdog = None

    def _new_tasks(self) -> Tasks:
        return Tasks(self._connection, self._session, timeout_s=self._timeout)

    def _prepare(self, tasks: Tasks, n_samples: int) -> None:
        if not tasks.are_set_up:
            tasks.set_up(self._outputs, self._inputs, chassis=self._chassis)
        room = _ROOM_BUFFERS * self._buffer + self._delay
        tasks.prepare(rate=self.rate, n_samples=n_samples, room=room)

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

    def _arm(self) -> None:
        try:
            self._watchdog, self.watchdog_said = Watchdog.arm(
                self._connection,
                self._outputs,
                chassis=self._chassis,
                session=self._session,
                timeout_s=self._watchdog_s,
            )
        except LeftOverError as error:
            self._left_over = error
            self.watchdog_said = f"not armed: {error}"

    def _feed(self) -> None:
        if self._watchdog is None:
            return
        try:
            self._watchdog.feed()
        except RefusedError as error:
            if error.code != NO_TASK:
                raise
            # The server was started anew and knows nothing of it.
            self._watchdog.forget()
            self._watchdog = None
            self._arm()

    def _get_ready(self) -> None:
        """Raises if what the terminals hold is not what whoever plays now takes it to be."""
        if self._left_over is not None:
            raise self._left_over
        told = self._held.voltage if self._playing is None else self._playing[1].now
        if self._playing is not None:  # nobody took all its recordings, nor closed it
            self._break_off()
        if self._broken is not None:
            self._settle(patience_s=self._reconnect)
            if self._broken is not None:
                raise InstrumentError(f"nothing can be played: {self._trouble}")
        if self._watchdog is not None and self._watchdog.has_expired():
            self._held = Held(np.zeros(len(self._outputs)), ni_held.EXPIRED)
        if not np.allclose(told, self._held.voltage, rtol=0, atol=_SAME_V):
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
        self._given_up = -np.inf
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
                if patience_s:
                    self._given_up = time.monotonic()
                return
            time.sleep(_TRY_AGAIN_S)
