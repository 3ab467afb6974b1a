"""A simulated CompactDAQ chassis: converters on one sample clock, in real time.

    buffer of the outputs -> DACs -> device behind its converters -> delay -> ADCs -> buffer

Outputs hold their last value between tasks, after the end of one, and when their buffer
has run dry. Everything they ever put out is kept.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from inmateria.devices.device import FloatArray
from inmateria.rigs.rig import Rig

from .faults import Faults

TIMEBASE_HZ = 80e6
# A module of +-10 V reads somewhat more.
ADC_OVER_RANGE = 1.04
# Samples for which the device is left alone before a task starts: its circuit has settled.
SETTLED = 64

NO_SAMPLES_YET, RUN_DRY, OVERRUN = -200284, -200290, -200279
RUNNING, RESERVED, NO_ROOM, NO_TASK = -200479, -50103, -200292, -200088
NO_DEVICE, NO_CHANNEL, BAD_VALUE, NOT_SUPPORTED = -200220, -200170, -200077, -200197
EMPTY, NOT_RUNNING, TOO_LARGE, NO_WATCHDOG, EXPIRED = -200462, -200983, -200561, -200662, -201478


class DaqError(Exception):
    """An error of NI-DAQmx: its code, and what it tells besides."""

    def __init__(self, code: int, text: str, **extra: int) -> None:
        super().__init__(text)
        self.code, self.extra = code, extra


@dataclass
class Module:
    """A module of the chassis."""

    product: str
    outputs: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    ranges_v: tuple[float, ...] = (-10.0, 10.0)
    chassis: str = "cDAQ1"


@dataclass
class AnalogTask:
    """Outputs or inputs; what a client configured, and how far it has come."""

    name: str
    kind: str = ""
    channels: list[str] = field(default_factory=list)
    limits_v: list[tuple[float, float]] = field(default_factory=list)
    rate: float = 0.0
    n_samples: int = 0
    finite: bool = True
    source: str = ""
    trigger: str = ""
    regenerates: bool = True
    buffer_size: int | None = None
    running: bool = False
    armed: bool = False
    error: int = 0
    n_done: int = 0
    n_moved: int = 0  # written to outputs, read from inputs
    buffer: deque[FloatArray] = field(default_factory=deque)

    @property
    def n_buffered(self) -> int:
        return sum(b.shape[1] for b in self.buffer)

    @property
    def is_done(self) -> bool:
        return bool(self.error) or (self.finite and self.n_done >= self.n_samples)


@dataclass
class WatchdogTask:
    """The chassis' watchdog, armed while `running`."""

    name: str
    timeout_s: float
    states: dict[str, float] = field(default_factory=dict)
    running: bool = False
    expired: bool = False
    fed: float = 0.0


class Chassis:
    """Modules, a clock, and a device on its wires.

    Parameters
    ----------
    make_rig : callable
        The device behind its converters, at a sampling rate: `SimulatedRig`, for example.
    gain_na_per_v : float
        Current that gives a volt at an input; negative for a converter that inverts.
    delay : int
        Group delay of the inputs, samples.
    speed : float
        Samples pass so much faster than in real time.
    patient : bool
        Where outputs would run dry or inputs overflow, the clock waits for the client: what a busy
        computer does late is not taken for a fault of the program. Not NI's behaviour.
    has_watchdog : bool
    record : path, optional
        Everything put out goes into this file too, sample by sample: `read_record` reads it.
    """

    def __init__(
        self,
        make_rig: Callable[[float], Rig],
        *,
        gain_na_per_v: float = 100.0,
        delay: int = 0,
        speed: float = 1.0,
        patient: bool = False,
        has_watchdog: bool = True,
        record: Path | None = None,
    ) -> None:
        self.modules = {
            "cDAQ1Mod1": Module("NI 9263", outputs=tuple(f"ao{i}" for i in range(4))),
            "cDAQ1Mod2": Module("NI 9263", outputs=tuple(f"ao{i}" for i in range(4))),
            "cDAQ1Mod4": Module("NI 9215", inputs=tuple(f"ai{i}" for i in range(4))),
            "cDAQ2Mod1": Module("NI 9215", inputs=("ai0",), chassis="cDAQ2"),
        }
        self.dacs = [f"{m}/{c}" for m, module in self.modules.items() for c in module.outputs]
        self.adcs = [f"{m}/{c}" for m, module in self.modules.items() for c in module.inputs]
        self.has_watchdog, self.speed, self.delay = has_watchdog, speed, delay
        self.patient = patient
        self.faults = Faults()
        self.lock = threading.RLock()
        self.on_kill: Callable[[], None] = lambda: None
        self.dead = False
        self.held = np.zeros(len(self.dacs))
        self.largest_buffer = 0
        self.watchdog: WatchdogTask | None = None
        self._played: list[FloatArray] = []
        self._n_played = 0
        self._faults_from = 0
        self._gain = gain_na_per_v
        self._make_rig = make_rig
        self._rig: Rig | None = None
        self._device_lock = threading.Lock()
        self._unanswered: deque[FloatArray] = deque()  # put on the device, response not computed
        self._delayed: FloatArray | None = None
        self._outputs: AnalogTask | None = None
        self._inputs: AnalogTask | None = None
        self._t0 = 0.0
        self._file = None if record is None else record.open("wb", buffering=0)

    # What its outputs did.

    @property
    def played(self) -> FloatArray:
        """Every sample that the DACs put out, in order, (n_dacs, n) V."""
        with self.lock:
            self.advance()
            return np.hstack([np.zeros((len(self.dacs), 0)), *self._played])

    @property
    def lowest_v(self) -> FloatArray:
        """(n_dacs,) V, the 0 V of the beginning included."""
        return np.asarray(self.played.min(axis=1, initial=0.0))

    @property
    def highest_v(self) -> FloatArray:
        """(n_dacs,) V, the 0 V of the beginning included."""
        return np.asarray(self.played.max(axis=1, initial=0.0))

    @property
    def largest_step_v(self) -> FloatArray:
        """(n_dacs,) V between neighbouring samples, gaps and the first 0 V included."""
        return np.asarray(np.abs(np.diff(self.played, axis=1, prepend=0.0)).max(axis=1, initial=0))

    # Tasks.

    def coerced(self, rate: float) -> float:
        """What the clock makes of a rate, Hz."""
        return TIMEBASE_HZ / round(TIMEBASE_HZ / rate)

    def start(self, task: AnalogTask) -> None:
        with self.lock:
            self.advance()
            if task.running:
                raise DaqError(RUNNING, "Specified operation cannot be performed while running.")
            if self.watchdog is not None and self.watchdog.expired:
                raise DaqError(EXPIRED, "Watchdog timer has expired and has not been cleared.")
            other = self._outputs if task.kind == "ao" else self._inputs
            if other is not None and other.running:
                raise DaqError(RESERVED, "The specified resource is reserved.")
            task.error = task.n_done = 0
            if task.kind == "ao":
                if not task.n_buffered:
                    raise DaqError(EMPTY, "Generation cannot be started: the buffer is empty.")
                self._outputs, task.armed = task, True
            else:
                task.n_moved = 0
                self._start_clock(task)
            task.running = True

    def stop(self, task: AnalogTask) -> None:
        with self.lock:
            self.advance()
            error, task.error = task.error, 0
            task.running = task.armed = False
            task.buffer.clear()
            if error:
                raise DaqError(error, _TEXTS.get(error, "The task had stopped."))

    def write(self, task: AnalogTask, voltage: FloatArray, timeout: float) -> None:
        for row, (low, high), channel in zip(voltage, task.limits_v, task.channels, strict=True):
            if row.size and (row.min() < low or row.max() > high or not np.isfinite(row).all()):
                raise DaqError(TOO_LARGE, f"Attempted writing data out of range to {channel}.")
        until = time.monotonic() + timeout
        while True:
            with self.lock:
                self.advance()
                if task.error:
                    raise DaqError(task.error, _TEXTS[task.error])
                room = (task.buffer_size or task.n_samples) - task.n_buffered
                if voltage.shape[1] <= room:
                    task.buffer.append(voltage)
                    task.n_moved += voltage.shape[1]
                    self.largest_buffer = max(self.largest_buffer, task.n_buffered)
                    return
                if self.dead or time.monotonic() > until:
                    if room > 0:  # as much as fits is taken, and the rest is not
                        task.buffer.append(voltage[:, :room])
                        task.n_moved += room
                    raise DaqError(NO_ROOM, "Some samples could not be written.", written=room)
            time.sleep(0.001)

    def read(self, task: AnalogTask, n: int, timeout: float) -> tuple[int, FloatArray]:
        """Status and (n_channels, up to n) V."""
        until = time.monotonic() + timeout
        while True:
            with self.lock:
                self.advance()
                if task.error == OVERRUN:
                    raise DaqError(OVERRUN, _TEXTS[OVERRUN])
                n_there = task.n_done - task.n_moved
                if n_there >= n or time.monotonic() > until or self.dead:
                    status, n = (0, n) if n_there >= n else (NO_SAMPLES_YET, n_there)
                    first = task.n_moved
                    task.n_moved += n
                    break
            time.sleep(0.0005)
        return status, self._answers(task, first, n)

    def read_now(self, channels: list[str], n: int) -> FloatArray:
        """On demand: inputs inside the output modules, (n_channels, n) V."""
        with self.lock:
            self.advance()
            rows = [
                self.dacs.index(c.replace("_vs_aognd", "").replace("/_", "/")) for c in channels
            ]
            return np.repeat(self.held[rows][:, None], n, axis=1)

    # The clock.

    def _start_clock(self, task: AnalogTask) -> None:
        if self._rig is None or self._rig.rate != task.rate:
            self._rig = self._make_rig(task.rate)
        self._unanswered.clear()
        n = max(SETTLED, self.delay)
        self._unanswered.append(np.repeat(self.held[:, None], n, axis=1))
        self._delayed = None
        self._inputs, self._t0 = task, time.monotonic()
        if self._outputs is not None and self._outputs.running:
            self._outputs.armed = False  # triggered

    def advance(self) -> None:
        """Let the time pass that has passed."""
        with self.lock:
            if self.dead:
                return
            self._watch()
            task = self._inputs
            if task is None or not task.running or task.error:
                return
            due = int((time.monotonic() - self._t0) * task.rate * self.speed)
            if task.finite:
                due = min(due, task.n_samples)
            n = due - task.n_done
            stall, kill = self.faults.stall_at_sample, self.faults.kill_at_sample
            for limit in (stall, kill):
                if limit is not None:
                    n = min(n, limit - (self._n_played - self._faults_from))
            size = task.buffer_size or task.n_samples
            n_free = size - (task.n_done - task.n_moved)
            if self.patient and n > 0:
                n_in_time = min(n, n_free, self._n_before_dry(n))
                self._t0 += (n - n_in_time) / (task.rate * self.speed)
                n = n_in_time
            if n > 0:
                self._edges(task, min(n, n_free))
                if n > n_free:
                    task.error = OVERRUN
            if kill is not None and self._n_played - self._faults_from >= kill:
                self.dead = True
                self.on_kill()

    def _n_before_dry(self, n: int) -> int:
        """So many of the next `n` samples find the outputs with something to put out, or done."""
        outputs = self._outputs
        if outputs is None or not outputs.running or outputs.armed or outputs.is_done:
            return n
        n_there = outputs.n_buffered
        return n if outputs.n_done + n_there >= outputs.n_samples else min(n, n_there)

    def _edges(self, task: AnalogTask, n: int) -> None:
        sent = np.repeat(self.held[:, None], n, axis=1)
        outputs = self._outputs
        if outputs is not None and outputs.running and not outputs.armed and not outputs.is_done:
            k = min(n, outputs.n_buffered, outputs.n_samples - outputs.n_done)
            rows = [self.dacs.index(c) for c in outputs.channels]
            sent[rows, :k] = _take(outputs.buffer, k, len(rows))
            sent[:, k:] = sent[:, k - 1 : k] if k else self.held[:, None]
            outputs.n_done += k
            if k < n and not outputs.is_done:
                outputs.error = RUN_DRY
            self._put_out(sent[:, :k])
        task.n_done += n
        self._unanswered.append(sent)

    def _put_out(self, sent: FloatArray) -> None:
        if sent.shape[1]:
            self._played.append(sent)
            self._n_played += sent.shape[1]
            self.held = sent[:, -1].copy()
            if self._file is not None:
                self._file.write(np.ascontiguousarray(sent.T).tobytes())

    def begin_faults(self, faults: Faults) -> None:
        """Count from here."""
        with self.lock:
            self.advance()
            self.faults, self._faults_from = faults, self._n_played

    def _watch(self) -> None:
        dog = self.watchdog
        if dog is None or not dog.running or dog.expired:
            return
        if time.monotonic() - dog.fed > dog.timeout_s:
            dog.expired = True
            for task in (self._outputs, self._inputs):
                if task is not None and task.running:
                    task.error = EXPIRED
            after = self.held.copy()
            for channel, volts in dog.states.items():
                after[self.dacs.index(channel)] = volts
            self._put_out(after[:, None])

    def _answers(self, task: AnalogTask, first: int, n: int) -> FloatArray:
        """What the inputs read, (n_channels, n) V: the device is solved here, not on the clock."""
        with self._device_lock:
            assert self._rig is not None
            n_terminals = len(self._rig.terminals)
            with self.lock:
                put_on = [self._unanswered.popleft() for _ in range(len(self._unanswered))]
            if put_on:
                new = self._rig.play(np.hstack(put_on)[:n_terminals])
                if self._delayed is None:  # of the time before the start, only what still comes
                    self._delayed = new[:, max(SETTLED, self.delay) - self.delay :]
                else:
                    self._delayed = np.hstack([self._delayed, new])
            assert self._delayed is not None
            reading = self._delayed[:, :n] / self._gain
            self._delayed = self._delayed[:, n:]
        rows = [self.adcs.index(c) for c in task.channels]
        volts = np.zeros((len(rows), n))
        for at, row in enumerate(rows):
            if row < reading.shape[0]:
                volts[at] = reading[row]
        largest = np.array([high for _, high in task.limits_v])[:, None] * ADC_OVER_RANGE
        volts = np.clip(volts, -largest, largest)
        if self.faults.clip_v is not None:
            volts = np.clip(volts, -self.faults.clip_v, self.faults.clip_v)
        if self.faults.nan_at is not None:
            at, sample = self.faults.nan_at
            if first <= sample < first + n:
                volts[at, sample - first] = np.nan
        return volts


def _take(buffer: deque[FloatArray], n: int, n_rows: int) -> FloatArray:
    taken = [np.empty((n_rows, 0))]
    while n:
        first = buffer.popleft()
        if first.shape[1] > n:
            buffer.appendleft(first[:, n:])
            first = first[:, :n]
        taken.append(first)
        n -= first.shape[1]
    return np.hstack(taken)


def read_record(path: Path, n_dacs: int = 8) -> FloatArray:
    """(n_dacs, n) V that a server's outputs put out, also one that was killed."""
    frames = np.fromfile(path, dtype=np.float64)
    return frames[: frames.size // n_dacs * n_dacs].reshape(-1, n_dacs).T


_TEXTS: dict[int, Any] = {
    RUN_DRY: "The generation has stopped to prevent the regeneration of old samples. Your "
    "application was unable to write samples to the background buffer fast enough.",
    OVERRUN: "The application is not able to keep up with the hardware acquisition.",
    EXPIRED: "Watchdog timer has expired and has not been cleared.",
}
