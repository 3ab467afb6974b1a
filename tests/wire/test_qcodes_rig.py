"""A source and an ammeter behind VISA, as a rig: what arrives on the wire, and when it does not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from inmateria.errors import (
    InstrumentError,
    ParameterError,
    SlewLimitError,
    VoltageLimitError,
)
from inmateria.gradients.finite_difference import FiniteDifference
from inmateria.rigs import step_clock
from inmateria.rigs.guard import Guard
from inmateria.rigs.qcodes_rig import Meter, QcodesRig, Source
from inmateria.rigs.rig import Rig

from .own_qcodes import qcodes

from .visa_drivers import Ammeter, Source3  # isort: skip: after QCoDeS has a home

CONDUCTANCE = np.array([[10.0, -4.0, 2.0], [1.0, 0.5, -20.0]])  # nA/V
DIGIT = 1e-6  # V, the last one that the source is told
RATE = 2000.0


@pytest.fixture
def dac():
    source = Source3("dac")
    yield source
    source.close()


@pytest.fixture
def meter():
    ammeter = Ammeter("meter")
    yield ammeter
    ammeter.close()


def volts(dac: Source3) -> np.ndarray:
    """What the source itself says that it puts out, past every cache."""
    return np.array([float(dac.ask(f"SOUR{n}:VOLT?")) for n in (1, 2, 3)])


def put(dac: Source3, number: int, voltage: float) -> None:
    """Somebody turns a knob."""
    dac.ask(f"SOUR{number}:VOLT {voltage:.6f}")


def resistors(dac: Source3) -> list[Meter]:
    """Meters of resistors that hang on the source's outputs."""

    def current(row: np.ndarray) -> float:
        return 1e-9 * float(row @ volts(dac))

    return [
        Meter(
            f"o{k}", qcodes.Parameter(f"i{k}", unit="A", get_cmd=lambda row=row: current(row)), 1e9
        )
        for k, row in enumerate(CONDUCTANCE)
    ]


def sources(dac: Source3, low: float = -1.0, high: float = 1.0) -> list[Source]:
    return [Source(f"e{n}", getattr(dac, f"ch{n}").voltage, low, high) for n in (1, 2, 3)]


def manual(name: str = "v", value: float | None = 0.0, **options) -> qcodes.ManualParameter:
    return qcodes.ManualParameter(name, initial_value=value, **options)


def one_terminal(parameter, low: float = -1.0, high: float = 1.0, unit_v: float = 1.0, rate=RATE):
    reader = manual("reader")
    return QcodesRig(
        [Source("e", parameter, low, high, unit_v)], [Meter("o", reader, 1.0)], rate=rate
    )


def log_sets(parameter) -> list[float]:
    """Every value that reaches the instrument behind a parameter."""
    arrived: list[float] = []
    parameter.on_set_callback = lambda _, value: arrived.append(value)
    return arrived


def test_what_is_played_arrives_and_what_flows_is_read(dac):
    rig = QcodesRig(sources(dac), resistors(dac), rate=RATE)
    asked = np.random.default_rng(3).uniform(-1, 1, (3, 5))
    recording = rig.play(asked)
    # Each terminal is rounded to half a digit of what is written.
    rounding = np.abs(CONDUCTANCE).sum(axis=1, keepdims=True) * DIGIT / 2
    assert (np.abs(recording - CONDUCTANCE @ asked) <= rounding * (1 + 1e-6)).all()
    np.testing.assert_allclose(volts(dac), asked[:, -1], rtol=0, atol=DIGIT / 2)
    np.testing.assert_array_equal(rig.held_voltage, volts(dac))


def test_gradients_of_resistors_are_conductances(dac):
    rig = QcodesRig(sources(dac), resistors(dac), rate=RATE)
    with Guard(rig, slew_v_per_s=400.0) as guard:
        estimator = FiniteDifference(
            guard, ("e1", "e2", "e3"), step_v=0.1, hold_s=2 / RATE, settle_s=0.0
        )
        gradient = estimator.extract([0.2, -0.3, 0.1])
    # Two readings of half a digit each, over a distance of 0.2 V, and the other terminals cancel.
    error = CONDUCTANCE.max() * DIGIT / 0.2
    np.testing.assert_allclose(gradient.value, CONDUCTANCE, rtol=0, atol=error)
    np.testing.assert_array_equal(volts(dac), 0)


def test_it_is_a_rig_and_says_what_it_is(dac, meter):
    rig = QcodesRig(
        sources(dac), [Meter("o", meter.current, -1e9, range_na=300.0)], rate=20.0, device="B7-3"
    )
    assert isinstance(rig, Rig)
    assert (rig.rate, rig.outputs, rig.fidelity) == (20.0, ("o",), "measurement")
    assert rig.current_range_na == 300
    told = json.loads(json.dumps(rig.describe()))
    assert told["device"] == "B7-3"
    assert told["terminals"]["e2"]["parameter"] == "dac_ch2_voltage"
    assert told["terminals"]["e2"]["idn"]["serial"] == "7"
    assert told["outputs"]["o"]["idn"]["model"] == "AM1"
    # The ammeter always reads -1.25 nA, and this converter inverts.
    np.testing.assert_allclose(rig.play(np.zeros((3, 2))), 1.25)


def test_opening_sets_nothing_and_says_what_the_terminals_hold(dac, meter):
    put(dac, 2, 0.75)  # QCoDeS does not know
    rig = QcodesRig(sources(dac), [Meter("o", meter.current, 1e9)], rate=RATE)
    assert dac.n_sets == 0
    np.testing.assert_array_equal(rig.held_voltage, [0, 0.75, 0])
    arrived = log_sets(dac.ch2.voltage)
    with Guard(rig, slew_v_per_s=400.0):
        pass
    # From there to 0 V in steps within the slew, none of them a jump.
    steps = np.abs(np.diff([0.75, *arrived]))
    assert len(arrived) > 1
    assert steps.max() <= 400 / RATE + 1e-9
    np.testing.assert_array_equal(volts(dac), 0)


def test_only_what_changes_is_set(dac, meter):
    rig = QcodesRig(sources(dac), [Meter("o", meter.current, 1e9)], rate=RATE)
    rig.play([[0, 0.1, 0.1, 0.1], [0, 0, 0, 0.2], [0, 0, 0, 0]])
    assert dac.n_sets == 2
    rig.play([[0.1], [0.2], [0.3]])
    assert dac.n_sets == 3


def test_the_parameters_own_limits_narrow_the_terminal(dac, meter):
    rig = QcodesRig(sources(dac, -3.0, 1.2), [Meter("o", meter.current, 1e9)], rate=RATE)
    # The driver's validator takes -2 V to 2 V.
    assert {(t.low_v, t.high_v) for t in rig.terminals} == {(-2.0, 1.2)}
    with pytest.raises(VoltageLimitError, match=r"e3 would see -2\.1 V.*dac_ch3_voltage"):
        rig.play([[0.5, 0], [0, 0], [0, -2.1]])
    assert dac.n_sets == 0


@pytest.mark.parametrize(
    ("unit_v", "low", "high"),
    [(1e-3, -1.0, 0.75), (-1e-3, -0.75, 1.0), (0.3, -1.0, 1.0)],
)
def test_units_turn_limits_and_values(unit_v, low, high):
    millivolts = manual(vals=qcodes.validators.Numbers(-2000, 750))
    rig = one_terminal(millivolts, unit_v=unit_v)
    terminal = rig.terminals[0]
    assert (terminal.low_v, terminal.high_v) == pytest.approx((low, high), abs=1e-12)
    rig.play([[terminal.low_v, terminal.high_v, 0.3]])
    assert millivolts() == pytest.approx(0.3 / unit_v)
    assert rig.held_voltage == pytest.approx([0.3])


def test_rounding_on_the_way_through_a_unit_is_no_violation():
    tenths = manual(vals=qcodes.validators.Numbers(-6, 6))
    rig = one_terminal(tenths, unit_v=0.1)
    ends = [rig.terminals[0].low_v, rig.terminals[0].high_v]
    assert ends[1] / 0.1 > 6  # what the parameter would refuse
    arrived = log_sets(tenths)
    rig.play([ends])
    assert arrived == [-6, 6]


def test_limits_and_steps_of_a_delegates_source_count_in_their_own_unit():
    inner = manual("code", vals=qcodes.validators.Numbers(-500, 250), step=10.0, inter_delay=0.5)
    volt = qcodes.DelegateParameter("volt", source=inner, scale=1000.0)
    rig = one_terminal(volt, rate=10.0)
    assert (rig.terminals[0].low_v, rig.terminals[0].high_v) == (-0.5, 0.25)
    # 0.1 V are 100 codes, ten sets, half a second apart, where a step lasts 0.1 s.
    with pytest.raises(SlewLimitError, match=r"0\.1 V.*10 sets.*5 s"):
        rig.play([[0.1]])


def test_a_parameter_walks_in_its_own_steps():
    walked = manual(step=0.01)
    rig = one_terminal(walked)
    arrived = log_sets(walked)
    rig.play([[0.05, 0.05, -0.02]])
    assert np.abs(np.diff([0.0, *arrived])).max() <= 0.01 + 1e-12
    assert arrived[-1] == -0.02
    assert len(arrived) == 5 + 7


def test_a_walk_far_slower_than_the_rate_is_refused_but_never_on_the_way_home():
    slow = manual(step=0.01, inter_delay=0.002)
    rig = one_terminal(slow, rate=1000.0)
    arrived = log_sets(slow)
    # Five sets of 2 ms each in a step of 1 ms.
    with pytest.raises(SlewLimitError, match=r"e would step by 0\.05 V at sample 1.*5 sets"):
        rig.play([[0.01, 0.06]])
    assert arrived == []
    rig.play([[0.01, 0.02]])
    # Two sets away from 0 V would be too many; towards it they are walked, and late.
    late = rig.timing.n_late
    rig.play([[0.0]])
    assert slow() == 0.0
    assert rig.timing.n_late == late + 1
    with pytest.raises(SlewLimitError):
        rig.play([[-0.05]])


def test_a_jump_through_0_v_is_not_the_way_home():
    slow = manual(value=0.1, step=0.01, inter_delay=0.002)
    with pytest.raises(SlewLimitError):
        one_terminal(slow, rate=1000.0).play([[-0.1]])


def test_a_source_that_does_not_answer_is_one_line_and_the_voltage_is_known(dac, meter):
    rig = QcodesRig(sources(dac), [Meter("o", meter.current, 1e9)], rate=RATE)
    dac.lost_at = 4
    with pytest.raises(InstrumentError) as caught:
        rig.play([[0.1, 0.2], [0.1, 0.2], [0.1, 0.2]])
    assert "dac_ch1_voltage could not be set to 0.2 V" in str(caught.value)
    assert "VI_ERROR_TMO" in str(caught.value)
    assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(rig.held_voltage, [0.1, 0.1, 0.1])
    dac.lost_at = None
    # What failed is set again, although it is what was asked for last.
    rig.play([[0.2], [0.1], [0.1]])
    np.testing.assert_array_equal(volts(dac), [0.2, 0.1, 0.1])


def test_after_a_lost_reading_the_guard_still_takes_it_to_0_v(dac, meter):
    rig = QcodesRig(sources(dac), [Meter("o", meter.current, 1e9)], rate=RATE)

    def unplugged(guard):
        guard.ramp_to([0.3, -0.2, 0.1])
        meter.query = "LOST?"
        try:
            guard.ramp_to([0.5, 0.5, 0.5])
        finally:
            assert guard.last_voltage == pytest.approx(volts(dac))
            meter.query = "READ?"

    with (
        pytest.raises(InstrumentError, match="meter_current could not be read"),
        Guard(rig, slew_v_per_s=400.0) as guard,
    ):
        unplugged(guard)
    np.testing.assert_array_equal(volts(dac), 0)


def test_a_meter_that_stays_dead_does_not_keep_the_voltage_on(dac, meter):
    queries = []
    dead = qcodes.Parameter("dead", get_cmd=lambda: queries.append(1) or meter.ask(meter.query))
    rig = QcodesRig(
        sources(dac), [Meter("o", meter.current, 1e9), Meter("p", dead, 1e9)], rate=RATE
    )

    def unplugged(guard):
        guard.ramp_to([0.3, -0.2, 0.1])
        meter.query = "LOST?"
        queries.clear()
        guard.ramp_to([0.5, 0.5, 0.5])

    with pytest.raises(InstrumentError), Guard(rig, slew_v_per_s=100.0) as guard:
        unplugged(guard)
    np.testing.assert_array_equal(volts(dac), 0)
    # Asked once on the way of several steps, and no more.
    assert len(queries) == 1


def test_unreadable_sources_are_known_to_half_a_step_after_a_failure():
    sent = []

    def put(value):
        if len(sent) == 3:
            raise OSError("cable\nlost")
        sent.append(value)

    blind = qcodes.Parameter("blind", set_cmd=put, get_cmd=False, initial_cache_value=0.0, step=0.1)
    rig = one_terminal(blind)
    with pytest.raises(InstrumentError, match="cable lost"):
        rig.play([[0.2, 0.5]])
    # It stands at 0.3 V or, had the failed set arrived, at 0.4 V.
    assert rig.held_voltage == pytest.approx([0.35])


def test_what_scpi_calls_infinite_is_clipped(dac, meter):
    rig = QcodesRig(sources(dac), [Meter("o", meter.current, 1e9, range_na=50.0)], rate=RATE)
    meter.query = "OVER?"
    assert (np.abs(rig.play(np.zeros((3, 2)))) >= rig.current_range_na).all()


@pytest.mark.parametrize(
    ("said", "read"), [(9.9e37, np.inf), (-9.9e37, -np.inf), (9.91e37, np.nan)]
)
def test_numbers_that_scpi_reserves(said, read):
    reader = manual("reader", value=said)
    rig = QcodesRig([Source("e", manual(), -1, 1)], [Meter("o", reader, 2.0)], rate=RATE)
    np.testing.assert_array_equal(rig.play([[0.0]]), [[read]])


def test_late_steps_are_counted_in_real_time(monkeypatch):
    class Time:
        now = 0.0

        def perf_counter(self):
            return self.now

        def sleep(self, seconds):
            self.now += seconds

    clock = Time()
    monkeypatch.setattr(step_clock, "time", clock)
    # 10 ms a set, but 350 ms to go to 0.2 V.
    sluggish = manual(on_set_callback=lambda _, v: clock.sleep(0.35 if v == 0.2 else 0.01))
    rig = one_terminal(sluggish, rate=10.0)
    rig.play([[0.1, 0.2, 0.3]])
    timing = rig.describe()["timing"]
    assert (timing["n_steps"], timing["n_late"]) == (3, 1)
    assert timing["elapsed_s"] == pytest.approx(0.1 + 0.35 + 0.1)
    assert timing["asked_s"] == pytest.approx(0.3)


def test_what_cannot_be_a_rig_is_refused_at_opening(dac, meter):
    reader = [Meter("o", meter.current, 1e9)]
    with pytest.raises(ParameterError, match="terminal e1 occurs twice"):
        QcodesRig([*sources(dac)[:1], Source("e1", dac.ch2.voltage, -1, 1)], reader, rate=1.0)
    alias = qcodes.DelegateParameter("gate", source=dac.ch1.voltage)
    with pytest.raises(ParameterError, match="source dac_ch1_voltage occurs twice"):
        QcodesRig([*sources(dac), Source("gate", alias, -1, 1)], reader, rate=1.0)
    with pytest.raises(ParameterError, match="meter_current cannot be set"):
        Source("e", meter.current, -1, 1)
    with pytest.raises(ParameterError, match="above zero"):
        QcodesRig(sources(dac), reader, rate=0.0)
    with pytest.raises(InstrumentError, match="nobody knows what v holds"):
        one_terminal(manual(value=None))
    with pytest.raises(ParameterError, match="does not take 0"):
        one_terminal(manual(value=1.0, vals=qcodes.validators.Numbers(0.5, 2.0)))
    with pytest.raises(ParameterError, match="not take every number"):
        one_terminal(manual(vals=qcodes.validators.Enum(0.0, 1.0)))
    outside = manual(value=2.0)
    outside.vals = qcodes.validators.Numbers(-1.0, 1.0)
    with pytest.raises(VoltageLimitError, match="stands at 2 V"):
        one_terminal(outside)
    meter.query = "LOST?"
    with pytest.raises(InstrumentError, match="meter_current could not be read"):
        QcodesRig(sources(dac), reader, rate=1.0)
    assert dac.n_sets == 0
