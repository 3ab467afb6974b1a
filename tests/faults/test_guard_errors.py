"""Bad waveforms send nothing; a rig that breaks half-way is still brought home."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.errors import (
    NotFiniteError,
    ParameterError,
    ParkingError,
    ShapeError,
    SlewLimitError,
    VoltageLimitError,
)
from inmateria.rigs.guard import Guard
from inmateria.signals.waveforms import plateaus

from ..rigs.ohmic import Bench, HonestBench  # noqa: TID252

RATE = 10_000.0
STEP = 200.0 / RATE * (1 + 1e-9) + 1e-12


def quiet(n: int = 100) -> np.ndarray:
    return np.zeros((3, n))


def spoilt(row: int, sample: int, value: float) -> np.ndarray:
    wave = quiet()
    wave[row, sample] = value
    return wave


@pytest.mark.parametrize(
    ("error", "wave"),
    [
        (NotFiniteError, spoilt(1, 99, np.nan)),
        (NotFiniteError, spoilt(0, 0, -np.inf)),
        (VoltageLimitError, np.tile(np.r_[0:1.1:0.02, 1.1:0:-0.02], (3, 1))),
        (VoltageLimitError, np.tile(-np.r_[0:0.32:0.02, 0.32:0:-0.02], (3, 1))),
        (SlewLimitError, spoilt(2, 50, 0.03)),
        (SlewLimitError, spoilt(2, 99, -0.03)),
        (SlewLimitError, np.full((3, 100), 0.03)),
        (ShapeError, np.zeros(3)),
        (ShapeError, [[0.0], [0.0, 0.0], [0.0]]),
        (ShapeError, np.zeros((100, 3))),
        (ShapeError, np.zeros((3, 10, 1))),
        (ParameterError, plateaus(np.zeros((1, 3)), rate=5e3, hold_s=0.01, ramp_s=0.0)),
    ],
)
def test_a_bad_waveform_sends_nothing_at_all(error, wave):
    """However late the bad sample and however small the blocks."""
    bench = Bench()
    with Guard(bench, limits={"b": (-0.3, 0.5)}, block_s=1e-3) as guard:
        with pytest.raises(error):
            guard.play(wave)
        assert guard.last_voltage.tolist() == [0, 0, 0]
    assert bench.calls == 0


def test_a_target_out_of_range_sends_nothing_at_all():
    bench = Bench()
    with Guard(bench) as guard:
        with pytest.raises(VoltageLimitError, match=r"1\.2 V.*-1 V to 1 V"):
            guard.ramp_to([0, 1.2, 0])
        with pytest.raises(NotFiniteError):
            guard.ramp_to([0, np.nan, 0])
    assert bench.calls == 0


def test_the_first_step_counts_from_where_the_last_waveform_ended():
    bench = Bench()
    with Guard(bench) as guard:
        guard.ramp_to([0.5, 0, 0])
        calls = bench.calls
        with pytest.raises(SlewLimitError, match="from the voltage held before"):
            guard.play(quiet())
        assert bench.calls == calls
        guard.play(np.tile([[0.51], [0.0], [0.0]], 5))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, MemoryError])
def test_whatever_is_raised_inside_it_ends_at_0_v(error):
    bench = Bench()

    def session():
        with Guard(bench) as guard:
            guard.ramp_to([0.7, -0.4, 1])
            raise error

    with pytest.raises(error):
        session()
    assert bench.sent[:, -1].tolist() == [0, 0, 0]
    assert (bench.steps_v <= STEP).all()


@pytest.mark.parametrize("fail_at", [0, 1, 30, 49])
def test_a_rig_that_knows_its_voltage_is_brought_home_within_the_slew(fail_at):
    bench = HonestBench(fail_at=fail_at)
    with pytest.raises(OSError, match="unplugged"), Guard(bench) as guard:
        guard.ramp_to([1, -1, 0.5])  # breaks on the way
    assert (bench.steps_v <= STEP).all()
    assert bench.held_voltage.tolist() == [0, 0, 0]


@pytest.mark.parametrize("fail_at", [0, 1, 30, 49])
def test_a_rig_that_does_not_know_is_off_by_half_the_excursion_at_most(fail_at):
    bench = Bench(fail_at=fail_at)
    with pytest.raises(OSError, match="unplugged"), Guard(bench) as guard:
        guard.ramp_to([1, -1, 0.5])
    steps = np.abs(np.diff(bench.sent, axis=1, prepend=0.0)).max(axis=1)
    assert (steps <= np.array([0.5, 0.5, 0.25]) + STEP).all()
    assert bench.sent[:, -1].tolist() == [0, 0, 0]


def test_a_second_failure_does_not_narrow_what_is_unknown():
    bench = Bench(fail_at=30)
    guard = Guard(bench)
    with pytest.raises(OSError, match="unplugged"):
        guard.ramp_to([1, 0, 0])
    assert guard.last_voltage[0] == 0.5
    bench.fail_at = 30
    with pytest.raises(ParkingError, match="unplugged"):
        guard.park()
    # The way home began at 0.5 V, but the terminal may still be anywhere from 0 V to 1 V.
    assert guard.last_voltage[0] == 0.5
    guard.park()
    assert bench.sent[:, -1].tolist() == [0, 0, 0]


def test_even_a_block_around_0_v_is_followed_by_a_sample_at_0_v():
    """The middle of a symmetric excursion is 0 V, but the terminals may not be there."""
    bench = Bench(fail_at=75)
    sine = 0.5 * np.sin(2 * np.pi * np.arange(100) / 100)
    with pytest.raises(OSError, match="unplugged"), Guard(bench, slew_v_per_s=1e3) as guard:
        guard.play(np.tile(sine, (3, 1)))
    assert bench.sent.shape[1] == 76
    assert bench.sent[:, -1].tolist() == [0, 0, 0]


def test_a_caller_who_goes_on_after_a_failure_is_still_guarded():
    bench = HonestBench(fail_at=30)
    with Guard(bench) as guard:
        with pytest.raises(OSError, match="unplugged"):
            guard.ramp_to([1, 0, 0])
        assert guard.last_voltage[0] == pytest.approx(0.6)
        guard.ramp_to([-1, 0, 0])
    assert (bench.steps_v <= STEP).all()
    assert bench.held_voltage.tolist() == [0, 0, 0]


class TwoChannelBench(Bench):
    """A bench whose card records one channel more than it says."""

    def play(self, voltage):
        return np.repeat(super().play(voltage), 2, axis=0)


def test_a_recording_of_the_wrong_shape_is_said_and_the_rig_still_parks():
    bench = TwoChannelBench()
    target = [0.4, -0.2, 0.1]
    with pytest.raises(ShapeError, match="outputs, samples"), Guard(bench) as guard:
        guard.ramp_to(target)
    assert bench.sent[:, -1].tolist() == [0.0, 0.0, 0.0]
    assert np.abs(bench.sent).max() == pytest.approx(0.4)
    assert (bench.steps_v <= STEP).all()
