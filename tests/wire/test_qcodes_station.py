"""Sources and meters out of a Station file."""

from __future__ import annotations

import sys

import pytest

from inmateria.errors import ConfigurationError, InstrumentError, MissingExtraError
from inmateria.rigs.qcodes_rig import QcodesRig
from inmateria.rigs.qcodes_station import (
    find_parameter,
    meters_from_station,
    open_station,
    sources_from_station,
)

from .own_qcodes import qcodes

from .visa_drivers import Ammeter, Source3  # isort: skip: after QCoDeS has a home

STATION = f"""
instruments:
  dac:
    type: {Source3.__module__}.Source3
    address: GPIB::1::INSTR
    parameters:
      ch1.voltage:
        limits: [-0.5, 0.5]
        step: 0.1
        alias: gate
    add_parameters:
      millivolts:
        source: ch2.voltage
        scale: 0.001
        unit: mV
  meter:
    type: {Ammeter.__module__}.Ammeter
    address: GPIB::2::INSTR
"""


@pytest.fixture
def station_file(tmp_path):
    path = tmp_path / "station.yaml"
    path.write_text(STATION)
    return path


@pytest.fixture
def station(station_file):
    station = open_station(station_file)
    yield station
    station.close_all_registered_instruments()


def test_a_rig_from_a_station_file(station_file, capsys):
    station = open_station(station_file)
    assert capsys.readouterr().out == ""
    rig = QcodesRig(
        sources_from_station(
            station,
            {"e1": ("dac.ch1.voltage", -1.0, 1.0), "e2": ("dac.millivolts", -1.0, 1.0)},
        ),
        meters_from_station(station, {"o": "meter.current", "i": ("meter.current", -2e9)}),
        rate=1000.0,
        station=station,
    )
    # What the file says about a channel counts.
    assert (rig.terminals[0].low_v, rig.terminals[0].high_v) == (-0.5, 0.5)
    assert rig.describe()["terminals"]["e1"]["step"] == 0.1
    assert rig.play([[0.1], [0.2]]).ravel() == pytest.approx([-1.25, 2.5])
    dac = station.components["dac"]
    assert float(dac.ask("SOUR1:VOLT?")) == 0.1
    assert float(dac.ask("SOUR2:VOLT?")) == 0.2
    rig.close()
    assert not qcodes.Instrument.exist("dac")
    assert not qcodes.Instrument.exist("meter")


def test_a_rig_without_a_station_leaves_instruments_open(station):
    sources = sources_from_station(station, {"e1": ("dac.ch1.gate", -1.0, 1.0)})
    QcodesRig(sources, meters_from_station(station, {"o": "meter.current"}), rate=1.0).close()
    assert qcodes.Instrument.exist("dac")


def test_opening_leaves_the_users_own_station_alone(station):
    assert qcodes.Station.default is not station


def test_a_path_goes_through_submodules_and_aliases(station):
    dac = station.components["dac"]
    assert find_parameter(station, "dac.ch3.voltage") is dac.ch3.voltage
    assert find_parameter(station, "dac.ch1.gate") is dac.ch1.voltage


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("dak.ch1.voltage", "the station has no dak; it has dac, meter"),
        ("dac.ch4.voltage", "dac has no ch4; it has .*ch1, ch2, ch3"),
        ("dac.ch1.volt", "ch1 has no volt; it has gate, voltage"),
        ("dac.ch1", "dac.ch1 is no parameter; go on with one of gate, voltage"),
        ("dac..voltage", "write instrument.parameter"),
        ("dac.__class__", "has no __class__"),
        ("dac.ch1[0].voltage", r"there is no ch1\[0\]"),
    ],
)
def test_a_wrong_path_says_what_there_is(station, path, message):
    with pytest.raises(ConfigurationError, match=message):
        find_parameter(station, path)


def test_a_unit_that_is_none_of_voltage_or_current_needs_a_factor(station):
    with pytest.raises(ConfigurationError, match=r"meter\.timeout is in s, not in volts"):
        sources_from_station(station, {"e": ("meter.timeout", -1.0, 1.0)})
    with pytest.raises(ConfigurationError, match=r"is in V, not in amperes; give \(path, na_per"):
        meters_from_station(station, {"o": "dac.ch1.voltage"})


def test_a_file_that_is_not_there_or_no_station(tmp_path):
    with pytest.raises(ConfigurationError, match="there is no station file"):
        open_station(tmp_path / "missing.yaml")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("amplifiers: {}\n")
    with pytest.raises(ConfigurationError, match="is not a QCoDeS Station file"):
        open_station(wrong)


def test_an_instrument_that_is_missing_closes_the_others(station_file):
    station_file.write_text(STATION.replace(".Ammeter", ".Unplugged"))
    with pytest.raises(InstrumentError, match=r"instrument meter of .* could not be opened") as e:
        open_station(station_file)
    assert "\n" not in str(e.value)
    assert not qcodes.Instrument.exist("dac")


def test_without_qcodes_the_error_names_the_extra(monkeypatch, station_file):
    monkeypatch.setitem(sys.modules, "qcodes.station", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'inmateria\[qcodes\]'"):
        open_station(station_file)
