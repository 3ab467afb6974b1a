"""A bench of QCoDeS instruments: driven, refused, and brought down after a crash."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

from inmateria.bench.bench import open_bench
from inmateria.bench.park import park
from inmateria.data.configuration import write_toml
from inmateria.errors import ConfigurationError, InstrumentError, VoltageLimitError

from .own_qcodes import qcodes

from .visa_drivers import Ammeter, Source3  # isort: skip: after QCoDeS has a home

STATION = f"""
instruments:
  dac:
    type: {Source3.__module__}.Source3
    address: GPIB::1::INSTR
  meter:
    type: {Ammeter.__module__}.Ammeter
    address: GPIB::2::INSTR
"""


@pytest.fixture
def values(tmp_path):
    (tmp_path / "station.yaml").write_text(STATION)
    return {
        "name": "visa",
        "device": "two wires",
        "rate_hz": 500.0,
        "slew_v_per_s": 25.0,
        "instrument": {"kind": "qcodes", "station": "station.yaml"},
        "terminal": [
            {"name": "e1", "channel": "dac.ch1.voltage", "limits_v": [-0.5, 0.5]},
            # Behind a divider by two.
            {"name": "e2", "channel": "dac.ch2.voltage", "limits_v": [-0.4, 0.4], "unit_v": 0.5},
        ],
        "output": [{"name": "o", "channel": "meter.current", "inverted": True, "range_na": 500.0}],
    }


@pytest.fixture
def bench(tmp_path, values):
    return open_bench(write_toml(tmp_path / "bench.toml", values))


def test_it_is_driven_and_released(bench):
    with bench.guard() as guard:
        assert guard.current_range_na == 500.0
        guard.ramp_to([0.2, -0.1])
        dac = qcodes.Instrument.find_instrument("dac")
        assert float(dac.ask("SOUR1:VOLT?")) == pytest.approx(0.2)
        assert float(dac.ask("SOUR2:VOLT?")) == pytest.approx(-0.2)
        # The ammeter of the simulation reads what it always reads, turned.
        assert guard.play([[0.2], [-0.1]]).ravel() == pytest.approx([1.25])
    assert not qcodes.Instrument.exist("dac")
    assert bench.last_voltages().at_rest


@pytest.fixture
def left_up():
    """Somebody else has set a source; the simulation forgets it when the first of them leaves."""
    with contextlib.redirect_stdout(io.StringIO()):
        dac = Source3("other", "GPIB::1::INSTR")
    assert dac.ask("SOUR1:VOLT 0.3") == "OK"
    yield
    dac.close()


def test_a_source_that_was_left_up_is_refused(bench, left_up):
    with pytest.raises(InstrumentError, match=r"e1 at 0\.3 V .*`inmateria park"), bench.guard():
        pass
    assert not qcodes.Instrument.exist("dac")


def test_a_source_that_was_left_up_is_parked(bench, left_up):
    done = park(bench)
    np.testing.assert_allclose(done.start_v, [0.3, 0.0])
    # 0.3 V at 25 V/s in steps of 2 ms.
    assert done.ramp_s == pytest.approx(0.012, abs=0.002)
    with bench.guard() as guard:
        np.testing.assert_array_equal(guard.last_voltage, 0)


def test_limits_that_the_source_does_not_have(tmp_path, values):
    values["terminal"][0] |= {"limits_v": [-1.0, 50.0], "wide_limits": True}
    bench = open_bench(write_toml(tmp_path / "bench.toml", values))
    with pytest.raises(VoltageLimitError, match="wider than its range"), bench.guard():
        pass
    assert not qcodes.Instrument.exist("dac")


def test_a_parameter_that_is_not_there(tmp_path, values):
    values["terminal"][0]["channel"] = "dac.ch9.voltage"
    bench = open_bench(write_toml(tmp_path / "bench.toml", values))
    with pytest.raises(ConfigurationError, match="has no ch9"), bench.guard():
        pass
    assert not qcodes.Instrument.exist("dac")
