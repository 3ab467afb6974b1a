"""Steps timed in software: never shorter than asked, and honest about those that are longer."""

from __future__ import annotations

import pytest

from inmateria.rigs import step_clock
from inmateria.rigs.step_clock import StepClock


class Time:
    """Time that passes when somebody sleeps, or is made to."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def time(monkeypatch) -> Time:
    clock = Time()
    monkeypatch.setattr(step_clock, "time", clock)
    return clock


def step(clock: StepClock, time: Time, set_s: float, read_s: float) -> tuple[float, float]:
    """Start of the reading and length of a step, from its beginning."""
    began = time.now
    clock.begin()
    time.now += set_s
    clock.wait_to_read()
    read_at = time.now
    time.now += read_s
    clock.end()
    return read_at - began, time.now - began


def test_a_step_lasts_its_period_and_is_read_late_in_it(time):
    clock = StepClock(0.1, reading_s=0.02)
    # 0.1 s, of which a tenth is left free behind a reading of 0.02 s.
    assert step(clock, time, 0.01, 0.03) == pytest.approx((0.07, 0.1))
    # The reading before took 0.03 s.
    assert step(clock, time, 0.01, 0.03) == pytest.approx((0.06, 0.1))
    assert clock.timing.n_late == 0
    assert clock.timing.elapsed_s == pytest.approx(0.2)


def test_a_late_step_is_counted_and_never_made_up_for(time):
    clock = StepClock(0.1, reading_s=0.02)
    assert step(clock, time, 0.25, 0.05) == pytest.approx((0.25, 0.3))
    for _ in range(3):
        assert step(clock, time, 0.0, 0.05)[1] == pytest.approx(0.1)
    timing = clock.timing
    assert (timing.n_steps, timing.n_late) == (4, 1)
    assert timing.asked_s == pytest.approx(0.4)
    assert timing.elapsed_s == pytest.approx(0.6)
    assert timing.longest_s == pytest.approx(0.3)


@pytest.mark.parametrize(("share", "late"), [(1.09, 0), (1.11, 1)])
def test_more_than_a_tenth_too_long_is_late(time, share, late):
    clock = StepClock(0.1)
    step(clock, time, share * 0.1, 0.0)
    assert clock.timing.n_late == late
