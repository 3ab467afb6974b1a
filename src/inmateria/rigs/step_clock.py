"""Steps of equal length, timed in software, and how well that went.

A step is never made shorter to catch up with one that was late: the slew of a
waveform is an upper bound in real time too. What is lost is lost, and counted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

_LATE = 0.1  # share of a step by which it may be too long before it counts as late
_SPARE = 0.1  # share of a step that is kept free behind a reading, for one that takes longer


@dataclass(frozen=True)
class StepTiming:
    """Real time against what was asked for.

    Parameters
    ----------
    n_steps, n_late : int
        Late steps took more than a tenth longer than they should have.
    asked_s, elapsed_s : float
        Time that all steps together should have taken, and did take, s.
    longest_s : float
        The longest step, s.
    """

    n_steps: int = 0
    n_late: int = 0
    asked_s: float = 0.0
    elapsed_s: float = 0.0
    longest_s: float = 0.0


class StepClock:
    """Paces steps of `period_s` seconds.

    A reading is taken late in its step, when the device has settled: it begins so
    that, if it takes as long as the one before, a tenth of the step is left.
    """

    def __init__(self, period_s: float, *, reading_s: float = 0.0) -> None:
        self._period = period_s
        self._reading = reading_s
        self._start = self._read_at = 0.0
        self.timing = StepTiming()

    def begin(self) -> None:
        """A step begins now."""
        self._start = time.perf_counter()

    def wait_to_read(self) -> None:
        """Sleep until it is time to read."""
        _sleep_until(self._start + (1 - _SPARE) * self._period - self._reading)
        self._read_at = time.perf_counter()

    def end(self) -> None:
        """The reading is there: sleep until the step ends, and note how long it was."""
        self._reading = time.perf_counter() - self._read_at
        _sleep_until(self._start + self._period)
        took = time.perf_counter() - self._start
        before = self.timing
        self.timing = StepTiming(
            n_steps=before.n_steps + 1,
            n_late=before.n_late + (took > self._period * (1 + _LATE)),
            asked_s=before.asked_s + self._period,
            elapsed_s=before.elapsed_s + took,
            longest_s=max(before.longest_s, took),
        )


def _sleep_until(instant: float) -> None:
    left = instant - time.perf_counter()
    if left > 0:
        time.sleep(left)
