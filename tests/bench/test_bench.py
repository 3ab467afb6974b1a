"""The guarded way to a bench: limits, the record, and what is refused before it is driven."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.rigs import ohmic

from inmateria.bench import bench as bench_module
from inmateria.bench.bench import Bench, open_bench
from inmateria.errors import (
    BenchInUseError,
    ConfigurationError,
    InstrumentError,
    StoppedError,
    VoltageLimitError,
)
from inmateria.rigs.rig import Rig
from inmateria.rigs.voltage_record import read_voltage_record

from .benches import ni_fields, save_device, write_bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    save_device(tmp_path)
    return open_bench(write_bench(tmp_path))


def fake_bench(folder: Path, monkeypatch: pytest.MonkeyPatch, rig: Rig) -> Bench:
    """A bench whose instrument is a rig of the tests: terminals a, b, c and output x."""
    terminals = [{"name": n, "limits_v": [-0.8, 0.9]} for n in "abc"]
    file = write_bench(folder, terminal=terminals, output=[{"name": "x"}], compliance_na=None)

    def opened(settings: Any, *, rate_hz: float, folder: Path) -> Rig:
        return rig

    monkeypatch.setattr(bench_module, "open_instrument", opened)
    return open_bench(file)


class Closing(ohmic.HonestBench):
    """An instrument that has to be released."""

    closed_at: np.ndarray | None = None

    def close(self) -> None:
        self.closed_at = self.held_voltage


def test_limits_and_slew_are_those_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Closing()
    bench = fake_bench(tmp_path, monkeypatch, rig)
    with bench.guard() as guard:
        assert guard.terminals == bench.terminals
        guard.ramp_to([0.85, -0.7, 0.0])
        with pytest.raises(VoltageLimitError, match=r"terminal b would see -0\.81 V"):
            guard.play(np.array([[0.85], [-0.81], [0.0]]))
    # Down again, and released only then.
    assert rig.closed_at is not None
    np.testing.assert_array_equal(rig.closed_at, 0)
    # 200 V/s at 10 kS/s are 20 mV a sample.
    assert rig.steps_v.max() <= 0.02 * (1 + 1e-9)


def test_voltages_are_on_the_disk_before_they_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Watched(ohmic.HonestBench):
        def play(self, voltage: Any) -> Any:
            last = read_voltage_record(bench.record)
            np.testing.assert_array_equal(last.in_flight[:, -1], np.asarray(voltage)[:, -1])
            np.testing.assert_array_equal(last.held, self.held_voltage)
            return super().play(voltage)

    rig = Watched()
    bench = fake_bench(tmp_path, monkeypatch, rig)
    assert bench.record == tmp_path / "bench.voltages"
    with bench.guard() as guard:
        guard.ramp_to([0.5, 0.1, -0.5])
        assert not read_voltage_record(bench.record).at_rest
    assert rig.calls > 1
    assert read_voltage_record(bench.record).at_rest


def test_one_at_a_time(bench: Bench) -> None:
    with (
        bench.guard(),
        pytest.raises(BenchInUseError, match="another process"),
        bench.guard(),
    ):
        pass
    with bench.guard():
        pass


def test_after_a_crash_it_has_to_be_parked_first(bench: Bench) -> None:
    record = bench.open_record(1e4)
    record.about_to_play(np.zeros(7), np.full((7, 3), 0.25))
    record.close()
    with pytest.raises(InstrumentError) as error, bench.guard():
        pass
    assert "e1 0 V to 0.25 V" in str(error.value)
    assert f"run `inmateria park {bench.path}` first" in str(error.value)


def test_a_voltage_that_nobody_wrote_down_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Closing()
    rig.sent = np.array([[0.0], [0.3], [0.009]])  # the last within a converter's offset
    bench = fake_bench(tmp_path, monkeypatch, rig)
    with pytest.raises(InstrumentError, match=r"holds b at 0.3 V before anything"), bench.guard():
        pass
    assert rig.calls == 0
    assert rig.closed_at is not None


def test_a_driver_that_gives_other_terminals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Closing()
    rig.terminals = rig.terminals[::-1]
    bench = fake_bench(tmp_path, monkeypatch, rig)
    with pytest.raises(InstrumentError, match="terminals c, b, a"), bench.guard():
        pass
    assert rig.closed_at is not None


def test_the_rate_is_the_benchs_at_most(bench: Bench) -> None:
    assert bench.rate() == bench.rate(1e6) == 1e4
    with bench.guard(rate_hz=1000.0) as guard:
        assert guard.rate == 1000.0


def test_a_stop_leaves_it_at_rest(bench: Bench) -> None:
    def stopped() -> None:
        with bench.guard() as guard:
            guard.ramp_to(np.full(7, 0.5))
            raise StoppedError("asked to")

    with pytest.raises(StoppedError):
        stopped()
    assert read_voltage_record(bench.record).at_rest


def test_it_is_described_without_its_instrument(tmp_path: Path) -> None:
    bench = open_bench(write_bench(tmp_path, ni_fields(record="kept/voltages")))
    assert [t.name for t in bench.terminals] == [f"e{i}" for i in range(1, 8)]
    assert bench.outputs == ("e0",)
    assert bench.record == tmp_path / "kept" / "voltages"
    assert bench.describe()["terminals"]["e2"] == {
        "channel": "cDAQ1Mod1/ao1",
        "limits_v": [-1.2, 1.0],
    }
    assert not hasattr(bench, "current")


def test_a_folder_is_no_bench(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is a folder"):
        open_bench(tmp_path)


def test_ni_is_opened_as_the_file_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class AskedError(Exception):
        pass

    def rig(*positional: Any, **named: Any) -> None:
        raise AskedError(positional, named)

    def channel(*positional: Any, **named: Any) -> SimpleNamespace:
        return SimpleNamespace(positional=positional, named=named)

    driver = SimpleNamespace(NIRig=rig, AnalogOutput=channel, AnalogInput=channel)
    monkeypatch.setitem(sys.modules, "inmateria.rigs.ni", driver)
    values = ni_fields()
    values["terminal"][1]["readback"] = "cDAQ1Mod1/_ao1_vs_aognd"
    values["output"][0]["inverted"] = True
    with pytest.raises(AskedError) as error, open_bench(write_bench(tmp_path, values)).guard():
        pass
    (outputs, inputs), named = error.value.args
    assert outputs[1].positional == ("e2", "cDAQ1Mod1/ao1", -1.2, 1.0)
    assert outputs[1].named == {"readback": "cDAQ1Mod1/_ao1_vs_aognd"}
    assert inputs[0].positional == ("e0", "cDAQ1Mod4/ai0")
    assert inputs[0].named == {"gain_na_per_v": 100.0, "inverted": True, "range_v": 10.0}
    assert (named["server"], named["rate"]) == ("127.0.0.1:31763", 1e4)
    assert (named["delay_samples"], named["device"]) == (38, "network 4")
