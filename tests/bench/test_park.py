"""After a crash: every terminal to 0 V, at the allowed slew, from what is known best."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.rigs import ohmic

from inmateria.bench import bench as bench_module
from inmateria.bench.bench import Bench, open_bench
from inmateria.bench.park import park
from inmateria.errors import (
    BenchInUseError,
    ConfigurationError,
    DataFileError,
    InstrumentError,
    ParkingError,
    TerminalError,
)
from inmateria.rigs.rig import Rig
from inmateria.rigs.voltage_record import LastVoltages, VoltageRecord, read_voltage_record

from .benches import save_device, write_bench

HELD = np.array([0.5, -0.2, 0.0])
IN_FLIGHT = np.array([[0.52, 0.54], [-0.2, -0.1], [0.0, 0.0]])


def killed(bench: Bench, *, rate: float = 1e4) -> None:
    """What a program leaves that was killed with samples on their way."""
    record = bench.open_record(rate)
    record.about_to_play(HELD, IN_FLIGHT)
    record.close()


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A bench with a rig of the tests as its instrument; `rates` are those it was opened at."""

    class Opened:
        bench: Bench
        rates: list[float]

        def of(self, rig: Rig) -> Bench:
            terminals = [{"name": n, "limits_v": [-0.8, 0.9]} for n in "abc"]
            file = write_bench(tmp_path, terminal=terminals, output=[{"name": "x"}],
                               slew_v_per_s=50.0, compliance_na=None)  # fmt: skip
            self.rates = []

            def open_instrument(settings: Any, *, rate_hz: float, folder: Path) -> Rig:
                self.rates.append(rate_hz)
                return rig

            monkeypatch.setattr(bench_module, "open_instrument", open_instrument)
            return open_bench(file)

    return Opened()


def steps(rig: ohmic.Bench, start: np.ndarray) -> np.ndarray:
    """Largest step of each terminal, the one from where it stood included, (3,) V."""
    return np.abs(np.diff(np.column_stack([start, rig.sent]), axis=1)).max(axis=1)


# 50 V/s at 10 kS/s.
STEP = 0.005 * (1 + 1e-9)


def test_an_instrument_that_does_not_say_starts_in_the_middle(opened: Any) -> None:
    rig = ohmic.Bench()
    bench = opened.of(rig)
    killed(bench)
    done = park(bench)
    # Excursions 0.5 to 0.54 V and -0.2 to -0.1 V.
    np.testing.assert_allclose(done.start_v, [0.52, -0.15, 0.0], rtol=1e-12)
    assert (steps(rig, done.start_v) <= STEP).all()
    np.testing.assert_array_equal(rig.sent[:, -1], 0)
    assert done.ramp_s == pytest.approx(0.52 / 50, abs=1e-4)
    assert str(done).startswith("brought to 0 V in 0.0104 s: a +0.52 V, b -0.15 V (the middle")
    assert read_voltage_record(bench.record).at_rest
    again = park(bench)
    assert str(again).startswith("nothing to do: all terminals are at 0 V")
    assert len(opened.rates) == 1


def test_an_instrument_that_recovers_knows_best(opened: Any) -> None:
    class Recovering(ohmic.Bench):
        def recover(self, last: LastVoltages) -> np.ndarray:
            np.testing.assert_array_equal(last.held, HELD)
            np.testing.assert_array_equal(last.in_flight, IN_FLIGHT)
            return np.array([0.54, -0.1, 0.0])

    rig = Recovering()
    bench = opened.of(rig)
    killed(bench)
    done = park(bench)
    np.testing.assert_array_equal(done.start_v, [0.54, -0.1, 0.0])
    assert "as the instrument says" in str(done)
    assert (steps(rig, done.start_v) <= STEP).all()


def test_it_is_opened_at_the_rate_that_it_died_with(opened: Any) -> None:
    bench = opened.of(ohmic.Bench())
    killed(bench, rate=2e4)  # a bench file that was slowed down since
    park(bench)
    assert opened.rates == [2e4]


def test_without_a_record_the_instrument_is_asked(opened: Any) -> None:
    rig = ohmic.HonestBench()
    rig.sent = np.array([[0.0], [1.5], [-0.3]])  # beyond the limits: no way but through
    bench = opened.of(rig)
    done = park(bench)
    np.testing.assert_array_equal(done.start_v, [0.0, 1.5, -0.3])
    assert rig.steps_v[1] == 1.5  # as it was found
    assert np.abs(np.diff(rig.sent, axis=1)).max() <= STEP
    np.testing.assert_array_equal(rig.sent[:, -1], 0)


def test_where_nobody_knows_it_is_refused_with_the_fix(opened: Any) -> None:
    rig = ohmic.Bench()
    bench = opened.of(rig)
    with pytest.raises(ConfigurationError, match=r"give --from a=0\.3"):
        park(bench)
    assert rig.calls == 0
    done = park(bench, held_v={"b": -0.4})
    np.testing.assert_array_equal(done.start_v, [0.0, -0.4, 0.0])
    assert (steps(rig, done.start_v) <= STEP).all()
    assert read_voltage_record(bench.record).at_rest


def test_a_person_knows_better_than_the_record(opened: Any) -> None:
    rig = ohmic.HonestBench()
    rig.sent = HELD[:, None]
    bench = opened.of(rig)
    killed(bench)
    done = park(bench, held_v={"a": 0.1})
    np.testing.assert_array_equal(done.start_v, [0.1, 0.0, 0.0])
    # From 0.1 V down, and not from the 0.5 V that the rig would have said.
    assert rig.sent[0, 1] == pytest.approx(0.095, abs=1e-9)


def test_a_damaged_record(opened: Any) -> None:
    rig = ohmic.Bench()
    bench = opened.of(rig)
    killed(bench)
    content = bench.record.read_bytes()
    bench.record.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with pytest.raises(DataFileError, match="by hand"):
        park(bench)
    park(bench, held_v={"a": 0.5})
    assert read_voltage_record(bench.record).at_rest


def test_not_while_another_process_drives_it(opened: Any) -> None:
    bench = opened.of(ohmic.HonestBench())
    with bench.guard() as guard:
        guard.ramp_to([0.5, 0.0, 0.0])
        for held in (None, {"a": 0.5}):
            with pytest.raises(BenchInUseError):
                park(bench, held_v=held)
        np.testing.assert_array_equal(guard.last_voltage, [0.5, 0.0, 0.0])


@pytest.mark.parametrize(
    ("held", "error"), [({"z": 0.1}, TerminalError), ({"a": np.nan}, ConfigurationError)]
)
def test_voltages_that_make_no_sense(opened: Any, held: Any, error: type[Exception]) -> None:
    bench = opened.of(ohmic.Bench())
    with pytest.raises(error):
        park(bench, held_v=held)


def test_a_simulated_bench_holds_what_was_in_flight(tmp_path: Path) -> None:
    save_device(tmp_path)
    bench = open_bench(write_bench(tmp_path))
    record = bench.open_record(1e4)
    record.about_to_play(np.full(7, 0.1), np.full((7, 5), 0.3))
    record.close()
    done = park(bench)
    np.testing.assert_array_equal(done.start_v, np.full(7, 0.3))
    # 0.3 V at 200 V/s.
    assert done.ramp_s == pytest.approx(0.0015, abs=1e-4)
    with bench.guard() as guard:
        np.testing.assert_array_equal(guard.last_voltage, 0)


class Standing(ohmic.HonestBench):
    """A bench whose first terminal was left at a voltage, as its instrument knows."""

    def __init__(self, volts: float) -> None:
        super().__init__()
        self.volts = volts

    @property
    def held_voltage(self) -> np.ndarray:
        return self.sent[:, -1] if self.sent.size else np.array([self.volts, 0.0, 0.0])


def test_what_a_run_was_refused_for_is_parked(opened: Any) -> None:
    rig = Standing(0.6)
    bench = opened.of(rig)
    with pytest.raises(InstrumentError, match=r"holds a at 0\.6 V"), bench.guard():
        pass
    assert park(bench).start_v[0] == pytest.approx(0.6)
    assert rig.held_voltage.tolist() == [0, 0, 0]
    assert (steps(rig, np.array([0.6, 0, 0])) <= 50.0 / 1e4 * (1 + 1e-6)).all()


def test_a_source_that_contradicts_the_record_is_not_believed(opened: Any) -> None:
    rig = Standing(0.0)
    bench = opened.of(rig)
    killed(bench)
    with pytest.raises(ConfigurationError, match=r"a was left between 0\.49 V and 0\.55 V.*--from"):
        park(bench)
    assert not read_voltage_record(bench.record).at_rest
    assert rig.calls == 0


def test_where_nobody_knows_no_record_says_zero(opened: Any) -> None:
    bench = opened.of(ohmic.Bench())
    with pytest.raises(ConfigurationError, match="nobody knows"):
        park(bench)
    assert not bench.record.exists()


def test_a_record_of_other_terminals_is_not_thrown_away(opened: Any) -> None:
    bench = opened.of(ohmic.Bench())
    other = VoltageRecord(bench.record, ("a", "b", "z"), 1e4, 50.0)
    other.holds(np.array([0.0, 0.0, 0.7]))
    other.close()
    with pytest.raises(DataFileError, match="record of terminals a, b, z"):
        park(bench, held_v={"a": 0.1})
    assert read_voltage_record(bench.record).held.tolist() == [0.0, 0.0, 0.7]


def test_what_a_dead_program_left_is_cleared_for_a_person_too(opened: Any) -> None:
    class Recovering(ohmic.Bench):
        asked = 0

        def recover(self, last: LastVoltages) -> np.ndarray:
            self.asked += 1
            return last.held

    rig = Recovering()
    bench = opened.of(rig)
    killed(bench)
    park(bench, held_v={"a": 0.3})
    assert rig.asked == 1
    assert rig.sent[:, -1].tolist() == [0, 0, 0]


def test_an_instrument_that_was_never_reached_leaves_no_record(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = opened.of(ohmic.HonestBench())

    def unreachable(*_: Any, **__: Any) -> Rig:
        raise InstrumentError("nobody answers")

    monkeypatch.setattr(bench_module, "open_instrument", unreachable)
    for begin in (bench.guard, lambda: contextlib.nullcontext(park(bench))):
        with pytest.raises(InstrumentError, match="nobody answers"), begin():
            pass
        assert not bench.record.exists()
    # One that was there before stays.
    killed(bench)
    with pytest.raises(InstrumentError):
        park(bench)
    assert not read_voltage_record(bench.record).at_rest


def test_without_a_record_what_a_dead_program_left_is_recovered(opened: Any) -> None:
    class Recovering(Standing):
        asked = 0

        def recover(self, last: LastVoltages) -> np.ndarray:
            self.asked += 1
            return last.held

    rig = Recovering(0.4)
    assert park(opened.of(rig)).start_v[0] == pytest.approx(0.4)
    assert rig.asked == 1


def test_a_jump_of_the_chassis_itself_is_told(opened: Any) -> None:
    class Bitten(ohmic.HonestBench):
        def recover(self, last: LastVoltages) -> np.ndarray:
            return np.zeros(3)

    bench = opened.of(Bitten())
    killed(bench)
    assert "had been left at a 0.5 V to 0.54 V" in str(park(bench))


def test_a_second_way_home_begins_where_the_first_one_broke_off(opened: Any) -> None:
    rig = ohmic.HonestBench(fail_at=30)
    with pytest.raises(ParkingError):
        park(opened.of(rig), held_v={"a": 0.5})
    # The first sample is a step down from the 0.5 V that a person measured.
    assert (steps(rig, np.array([0.5, 0.0, 0.0])) <= STEP).all()
    np.testing.assert_array_equal(rig.sent[:, -1], 0)
