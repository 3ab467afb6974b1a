"""The guard: what leaves is within limits and slew, and it ends at 0 V."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inmateria.errors import (
    ComplianceError,
    InstrumentError,
    ParameterError,
    ParkingError,
    ShapeError,
    StoppedError,
    TerminalError,
    VoltageLimitError,
)
from inmateria.rigs.guard import Guard
from inmateria.rigs.rig import Rig
from inmateria.rigs.simulated import SimulatedRig
from inmateria.signals.waveforms import plateaus

from .ohmic import Bench, HonestBench, Ohmic

RATE = 10_000.0
SLEW = 200.0
# The guard lets a step exceed its limit by 1e-9 of it and 1e-12 V, both rounding.
STEP = SLEW / RATE * (1 + 1e-9) + 1e-12

volts = st.floats(-1, 1, allow_subnormal=False)
targets = st.lists(st.tuples(volts, volts, volts), max_size=5)


@settings(derandomize=True, deadline=None)
@given(targets, st.floats(1, 1e4), st.booleans())
def test_no_sequence_of_ramps_exceeds_the_slew(ways, slew, leave):
    bench = Bench()
    with Guard(bench, slew_v_per_s=slew, block_s=0.05) as guard:
        for target in ways:
            guard.ramp_to(target)
            np.testing.assert_array_equal(guard.last_voltage, target)
            np.testing.assert_array_equal(bench.sent[:, -1] if bench.sent.size else 0, target)
        if leave:
            guard.park()
    assert (bench.steps_v <= slew / RATE * (1 + 1e-9) + 1e-12).all()
    assert bench.sent.size == 0 or not bench.sent[:, -1].any()


def test_a_guard_is_a_rig():
    rig = SimulatedRig(Ohmic())
    guard = Guard(rig)
    assert isinstance(guard, Rig)
    assert (guard.rate, guard.outputs, guard.fidelity) == (rig.rate, rig.outputs, rig.fidelity)
    assert guard.current_range_na == rig.current_range_na
    assert guard.terminals == rig.terminals


def test_what_is_played_is_what_the_rig_plays():
    points = np.random.default_rng(0).uniform(-1, 1, (10, 3))
    wave = plateaus(points, rate=RATE, hold_s=0.01, slew_v_per_s=SLEW, start=np.zeros(3))
    guard = Guard(SimulatedRig(Ohmic(), seed=2), block_s=0.007)
    expected = SimulatedRig(Ohmic(), seed=2).play(wave.voltage)
    np.testing.assert_array_equal(guard.play(wave), expected)
    np.testing.assert_array_equal(guard.last_voltage, points[-1])


def test_ramp_to_where_it_is_sends_nothing():
    bench = Bench()
    guard = Guard(bench)
    assert guard.ramp_to([0, 0, 0]).shape == (1, 0)
    assert guard.park().shape == (1, 0)
    assert guard.play(np.empty((3, 0))).shape == (1, 0)
    assert bench.calls == 0


def test_a_simulated_rig_ends_at_0_v_within_limit_and_slew():
    rig = SimulatedRig(Ohmic())
    with Guard(rig, limits={"a": (-0.5, 0.2)}) as guard:
        guard.ramp_to([0.2, -1, 1])
        guard.ramp_to([-0.5, 1, 0])
    assert rig.held_voltage.tolist() == [0, 0, 0]
    assert rig.transcript.lowest_v.tolist() == [-0.5, -1, 0]
    assert rig.transcript.highest_v.tolist() == [0.2, 1, 1]
    assert (rig.transcript.steepest_v_per_s <= STEP * RATE).all()


def test_single_precision_limits_are_met_and_cut_to():
    bench = Bench()
    guard = Guard(bench, limits={"a": (-0.3, 0.3)}, slew_v_per_s=1e5)
    guard.play(np.full((3, 1), 0.3, dtype=np.float32))
    assert float(np.float32(0.3)) > 0.3
    assert bench.sent[0, 0] == 0.3


def test_the_waveform_sent_is_the_waveform_checked():
    """Neither the caller nor the rig can change it, nor what the guard knows."""

    class Scribbler(Bench):
        def play(self, voltage):
            voltage[:] = 5.0
            return voltage[:1]

    wave = np.full((3, 10), 1 + 5e-7)
    guard = Guard(Bench(), slew_v_per_s=1e5)
    guard.play(wave)
    assert (wave == 1 + 5e-7).all()
    guard.last_voltage[:] = 7.0
    assert guard.last_voltage.tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="read-only"):
        Guard(Scribbler()).play(np.zeros((3, 10)))


def test_it_starts_where_the_rig_says_it_is():
    bench = HonestBench()
    bench.sent = np.array([[0.5], [0.0], [0.0]])
    with Guard(bench) as guard:
        assert guard.last_voltage.tolist() == [0.5, 0, 0]
    assert (np.abs(np.diff(bench.sent)) <= STEP).all()
    assert bench.sent[:, -1].tolist() == [0, 0, 0]


def test_limits_narrow_the_terminals():
    guard = Guard(Bench(), limits={"b": (-0.2, 0.4)})
    assert (guard.terminals[1].low_v, guard.terminals[1].high_v) == (-0.2, 0.4)
    assert guard.terminals[0].high_v == 1.0
    described = json.loads(json.dumps(guard.describe()))
    assert described["kind"] == "bench"
    assert described["guard"]["limits_v"]["b"] == [-0.2, 0.4]
    assert described["guard"]["slew_v_per_s"] == SLEW


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (TerminalError, {"limits": {"z": (-1, 1)}}),
        (VoltageLimitError, {"limits": {"a": (-2, 1)}}),
        (VoltageLimitError, {"limits": {"a": (0.1, 1)}}),
        (ParameterError, {"limits": {"a": (0.5, -0.5)}}),
        (ParameterError, {"limits": {"a": (np.nan, 1)}}),
        (ParameterError, {"slew_v_per_s": 0}),
        (ParameterError, {"slew_v_per_s": np.inf}),
        (ParameterError, {"block_s": -1}),
    ],
)
def test_a_guard_that_makes_no_sense_is_refused(error, options):
    with pytest.raises(error):
        Guard(Bench(), **options)


def test_a_rig_without_a_rate_is_refused():
    bench = Bench()
    bench.rate = 0.0
    with pytest.raises(ParameterError, match="rate"):
        Guard(bench)


def test_ramp_to_wants_one_voltage_a_terminal():
    with pytest.raises(ShapeError):
        Guard(Bench()).ramp_to(np.zeros((3, 2)))
    with pytest.raises(ShapeError):
        Guard(Bench()).ramp_to(0.5)


def test_handlers_are_given_back():
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(n) for n in numbers]
    with Guard(Bench()):
        assert [signal.getsignal(n) for n in numbers] != before
    assert [signal.getsignal(n) for n in numbers] == before
    with pytest.raises(OSError, match="unplugged"), Guard(Bench(fail_at=3)) as guard:
        guard.ramp_to([1, 0, 0])
    assert [signal.getsignal(n) for n in numbers] == before


def test_what_was_to_be_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Guard(Bench()):
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_outside_play_stops_at_once(number):
    bench = Bench()
    reached = []

    def session():
        with Guard(bench) as guard:
            guard.ramp_to([0.5, 0, 0])
            signal.raise_signal(number)
            reached.append("the line after")

    with pytest.raises(StoppedError, match=number.name):
        session()
    assert not reached
    assert bench.sent[:, -1].tolist() == [0, 0, 0]


class Ringing(Bench):
    """Raises signals in the midst of its n-th call."""

    def __init__(self, nth: int, *signals: signal.Signals) -> None:
        super().__init__()
        self.nth = nth
        self.signals = signals or (signal.SIGINT,)
        self.finished = 0

    def play(self, voltage):
        recording = super().play(voltage)
        if self.calls == self.nth:
            for number in self.signals:
                signal.raise_signal(number)
        self.finished += 1
        return recording


@pytest.mark.parametrize(
    ("signals", "blocks"),
    [
        # A wish: all ten blocks of the measurement that runs are played.
        ([signal.SIGINT], 10),
        # An order: the block that runs is the last one.
        ([signal.SIGINT, signal.SIGINT], 2),
        ([signal.SIGTERM], 2),
        ([signal.SIGHUP], 2),
        ([signal.SIGINT, signal.SIGTERM], 2),
    ],
)
def test_a_first_ctrl_c_ends_the_measurement_and_a_second_one_the_block(signals, blocks):
    rig = Ringing(3, *signals)
    said = []

    def session():
        with Guard(rig, block_s=0.01, notice=said.append) as guard:
            guard.ramp_to([1, 0, 0])  # 50 samples: one call
            guard.play(np.tile([[1.0], [0.0], [0.0]], 1000))

    with pytest.raises(StoppedError, match=signals[0].name):
        session()
    # Then one block for the way home; none was torn.
    assert rig.calls == rig.finished == 1 + blocks + 1
    assert rig.sent.shape[1] == 50 + blocks * 100 + 50
    assert rig.sent[:, -1].tolist() == [0, 0, 0]
    assert [line.split(";")[1].strip() for line in said] == ["Ctrl-C again parks at once"] * (
        signals[0] == signal.SIGINT
    )


def test_what_is_too_much_current_parks_at_once_and_says_where():
    bench = Bench()  # its reading is the voltage of the first terminal
    guard = Guard(bench, block_s=0.01, compliance_na=0.5)
    wave = np.zeros((3, 1000))
    wave[0] = np.linspace(0, 0.9, 1000)
    with pytest.raises(
        ComplianceError, match=r"x carried 0\.5\d+ nA, compliance 0\.5 nA, at a 0\.5"
    ):
        guard.play(wave)
    # 0.5 V is passed at sample 555: the block around it is the last, then it is taken home.
    assert bench.sent[0].max() == pytest.approx(wave[0, 599])
    assert bench.sent[:, -1].tolist() == [0, 0, 0]
    assert (bench.steps_v <= STEP).all()
    guard.play(wave[:, :500])  # and the guard works on


def test_a_compliance_that_readings_cannot_show_is_refused():
    with pytest.raises(ParameterError, match="readings end at 400 nA"):
        Guard(SimulatedRig(Ohmic()), compliance_na=500.0)
    # What clips is at the end of the readings, and is seen.
    with pytest.raises(ComplianceError), Guard(SimulatedRig(Clipping()), compliance_na=399) as g:
        g.ramp_to([1, 1, 1])


class Clipping(Ohmic):
    conductance = 100 * Ohmic.conductance


def test_a_reading_that_is_no_number_parks():
    class Broken(Bench):
        def play(self, voltage):
            reading = super().play(voltage)
            return np.where(reading > 0.3, np.nan, reading)

    bench = Broken()
    with pytest.raises(InstrumentError, match="output x read nan"):
        Guard(bench).ramp_to([0.5, 0, 0])
    assert bench.sent[:, -1].tolist() == [0, 0, 0]


def test_settling_is_waited_for_after_a_ramp():
    bench = Bench()
    guard = Guard(bench, settle_s=0.01)
    guard.ramp_to([0.2, 0, 0])  # 10 samples at 200 V/s
    assert bench.sent.shape[1] == 10 + 100
    assert (bench.sent[0, 10:] == 0.2).all()
    guard.ramp_to([0.2, 0, 0])
    assert bench.sent.shape[1] == 110


def test_a_signal_while_parking_waits_until_it_is_parked():
    rig = Ringing(nth=0)

    def session():
        with Guard(rig, block_s=0.001) as guard:
            guard.ramp_to([1, 0, 0])
            rig.nth = rig.calls + 2

    with pytest.raises(StoppedError):
        session()
    assert rig.sent[:, -1].tolist() == [0, 0, 0]
    assert (rig.steps_v <= STEP).all()


def test_a_signal_while_parking_after_an_error_does_not_hide_the_error():
    rig = Ringing(nth=0)
    guard = Guard(rig)

    def session():
        with guard:
            guard.ramp_to([1, 0, 0])
            rig.nth = rig.calls + 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        session()
    assert guard.last_voltage.tolist() == [0, 0, 0]
    guard.ramp_to([0.1, 0, 0])  # and is not held against the guard's next use


def test_a_guard_works_in_a_thread_without_touching_signals():
    bench = Bench()
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work():
        with Guard(bench) as guard:
            guard.ramp_to([0.5, 0, 0])
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
    assert bench.sent[:, -1].tolist() == [0, 0, 0]


def test_parking_that_fails_names_both_errors():
    bench = Bench(fail_at=40, fail_always=True)

    def session():
        with Guard(bench) as guard:
            guard.ramp_to([0.5, 0, 0])
            raise ZeroDivisionError("the first trouble")

    with pytest.raises(ParkingError, match="unplugged") as caught:
        session()
    assert isinstance(caught.value.__cause__, OSError)
    assert isinstance(caught.value.__cause__.__context__, ZeroDivisionError)
    assert "a at 0.5 V" in str(caught.value)


def test_a_guard_entered_twice_gives_the_signals_back_at_the_end():
    before = signal.getsignal(signal.SIGTERM)
    guard = Guard(Bench())
    with guard:
        with guard:
            guard.ramp_to([0.1, 0, 0])
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_stop_reaches_the_guard_around_the_guard():
    rig = Ringing(1, signal.SIGTERM)
    outer = Guard(rig, block_s=0.01)

    def session():
        with outer, Guard(Bench()):
            # Played by the outer one, while the inner one listens.
            outer.play(np.zeros((3, 1000)))

    with pytest.raises(StoppedError):
        session()
    assert rig.calls == 1


def test_nonsense_on_the_way_home_does_not_stop_it():
    class Silent(HonestBench):
        silent = False

        def play(self, voltage):
            reading = super().play(voltage)
            return np.array(None) if self.silent else reading

    rig = Silent()
    with Guard(rig, block_s=0.001) as guard:
        guard.ramp_to([0.6, 0, 0])
        rig.silent = True
    assert rig.sent[:, -1].tolist() == [0, 0, 0]


def test_a_signal_between_the_end_of_a_with_and_its_guard_waits():
    """A generator's context: its own code is no guard's, and a guard is within."""
    bench = HonestBench()

    @contextlib.contextmanager
    def opened():
        with Guard(bench) as guard:
            yield guard

    def session():
        with contextlib.ExitStack() as stack:
            guard = stack.enter_context(opened())
            guard.ramp_to([0.5, 0, 0])
            frame = SimpleNamespace(f_globals=vars(contextlib), f_back=None)
            guard._stops._on_signal(signal.SIGTERM, frame)

    with pytest.raises(StoppedError, match="SIGTERM"):
        session()
    assert bench.sent[:, -1].tolist() == [0, 0, 0]
