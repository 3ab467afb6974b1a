"""Our rigs and devices as instruments of QCoDeS: its own measurements over our parameters."""

from __future__ import annotations

import importlib
import json
import sys

import numpy as np
import pytest

from inmateria.devices.device import Terminal
from inmateria.errors import MissingExtraError, ParameterError
from inmateria.rigs.guard import Guard
from inmateria.rigs.simulated import SimulatedRig

from ..rigs.ohmic import Bench, Ohmic  # noqa: TID252
from .own_qcodes import HOME, qcodes

from inmateria.rigs.qcodes_instrument import qcodes_device, qcodes_instrument  # isort: skip
from qcodes.dataset import LinSweep, dond  # isort: skip: after QCoDeS has a home


@pytest.fixture(autouse=True)
def closed():
    yield
    qcodes.Instrument.close_all()


@pytest.fixture
def database(tmp_path):
    with qcodes.initialised_database_at(str(tmp_path / "runs.db")):
        qcodes.load_or_create_experiment("ohm", "resistors")
        yield tmp_path


def guarded(slew: float = 400.0) -> Guard:
    return Guard(SimulatedRig.ideal(Ohmic(), rate=1000.0), slew_v_per_s=slew)


def test_dond_over_our_parameters_measures_the_device(database):
    with guarded() as guard:
        ohm = qcodes_instrument(guard, "ohm", hold_s=0.01)
        ohm.c(0.5)
        dataset, _, _ = dond(LinSweep(ohm.a, -0.5, 0.5, 3), ohm.x, ohm.y, show_progress=False)
        a = np.linspace(-0.5, 0.5, 3)
        expected = Ohmic.conductance @ np.array([a, np.zeros(3), np.full(3, 0.5)])
        np.testing.assert_allclose(dataset.get_parameter_data()["ohm_x"]["ohm_x"], expected[0])
        np.testing.assert_allclose(dataset.get_parameter_data()["ohm_y"]["ohm_y"], expected[1])
        assert dataset.paramspecs["ohm_x"].unit == "nA"
        assert dataset.paramspecs["ohm_a"].unit == "V"
    np.testing.assert_array_equal(guard.last_voltage, 0)
    assert (database / "runs.db").exists()
    assert not any(HOME.rglob("*.db"))


def test_a_set_is_a_ramp_within_the_slew_and_moves_nothing_else():
    bench = Bench()
    with Guard(bench, slew_v_per_s=100.0) as guard:
        instrument = qcodes_instrument(guard, "bench")
        instrument.a(0.5)
        instrument.b(-1.0)
        assert instrument.a() == 0.5
        assert instrument.b() == -1.0
        assert not bench.sent[2].any()
    assert bench.steps_v.max() <= 100 / bench.rate * (1 + 1e-9) + 1e-12


def test_the_guards_limits_are_the_parameters_limits():
    guard = Guard(SimulatedRig.ideal(Ohmic()), limits={"a": (-0.2, 0.3)})
    ohm = qcodes_instrument(guard, "ohm")
    with pytest.raises(ValueError, match=r"must be between -0\.2 and 0\.3"):
        ohm.a(0.31)
    assert guard.played_s == 0


def test_an_output_is_averaged_for_as_long_as_asked():
    guard = guarded()
    ohm = qcodes_instrument(guard, "ohm", hold_s=0.05)
    ohm.y()
    assert guard.played_s == pytest.approx(0.05)
    ohm.hold_s(0.2)
    ohm.y()
    assert guard.played_s == pytest.approx(0.25)


def test_a_recording_of_a_waveform_goes_into_a_dataset(database):
    with guarded() as guard:
        ohm = qcodes_instrument(guard, "ohm")
        # Begins away from 0 V: it is ramped to.
        wave = np.linspace([0.5, 0.0, 0.0], [-0.5, 0.5, 0.2], 7).T
        ohm.prepare(wave)
        measurement = qcodes.Measurement()
        measurement.register_parameter(ohm.recording)
        with measurement.run() as run:
            run.add_result((ohm.recording, ohm.recording()))
        data = run.dataset.get_parameter_data()["ohm_recording"]
    np.testing.assert_allclose(data["ohm_recording"].reshape(2, 7), Ohmic.conductance @ wave)
    np.testing.assert_allclose(data["ohm_time_s"].reshape(2, 7)[0], np.arange(7) / 1000)


def test_recording_nothing_says_what_to_do():
    with pytest.raises(ParameterError, match="give prepare"):
        qcodes_instrument(guarded(), "ohm").recording()


def test_a_snapshot_says_what_it_is_and_measures_nothing():
    guard = guarded()
    ohm = qcodes_instrument(guard, "ohm")
    ohm.b(0.25)
    before = guard.played_s
    snapshot = json.loads(json.dumps(ohm.snapshot(update=True), cls=qcodes.utils.NumpyJSONEncoder))
    assert guard.played_s == before
    assert snapshot["parameters"]["b"]["value"] == 0.25
    assert snapshot["metadata"]["rig"]["device"] == {"kind": "ohmic"}
    assert snapshot["parameters"]["IDN"]["value"]["vendor"] == "inmateria"


def test_closing_a_bare_rig_takes_it_to_0_v_and_leaves_a_guard_alone():
    rig = SimulatedRig.ideal(Ohmic())
    bare = qcodes_instrument(rig, "bare")
    bare.a(0.3)
    bare.close()
    np.testing.assert_array_equal(rig.held_voltage, 0)
    guard = guarded()
    ohm = qcodes_instrument(guard, "ohm")
    ohm.a(0.3)
    ohm.close()
    np.testing.assert_array_equal(guard.last_voltage, [0.3, 0, 0])
    assert not qcodes.Instrument.exist("ohm")
    qcodes_instrument(guard, "ohm")  # the name is free again


def test_a_device_without_a_rig(database):
    device = Ohmic()
    ohm = qcodes_device(device, "ohm")
    ohm.a(0.1)
    ohm.c(-0.5)
    assert (ohm.x(), ohm.y()) == pytest.approx(tuple(device.current([0.1, 0.0, -0.5])))
    # One solve for both outputs, and the one of this test.
    assert device.solved == 2
    with pytest.raises(ValueError, match="must be between"):
        ohm.a(1.5)
    dataset, _, _ = dond(LinSweep(ohm.b, -1, 1, 5), ohm.x, show_progress=False)
    x = dataset.get_parameter_data()["ohm_x"]["ohm_x"]
    np.testing.assert_allclose(x, 1.0 - 4.0 * np.linspace(-1, 1, 5) - 1.0)
    assert ohm.snapshot(update=False)["metadata"]["device"] == {"kind": "ohmic"}


def test_names_that_are_no_identifiers_or_in_use_find_another():
    class Odd(Ohmic):
        def __init__(self) -> None:
            super().__init__()
            self.terminals = tuple(Terminal(n) for n in ("left.e1", "2", "parameters"))
            self.outputs = ("left.e1", "y")

    odd = qcodes_device(Odd(), "odd")
    assert {"left_e1", "left_e1_", "_2", "parameters_", "y"} <= set(odd.parameters)
    assert odd.parameters["left_e1"].unit == "V"
    assert odd.parameters["left_e1_"].label == "left.e1"


def test_wrong_names_and_times_are_refused():
    device = Ohmic()
    with pytest.raises(ParameterError, match="is not an identifier"):
        qcodes_device(device, "my device")
    kept = qcodes_device(device, "ohm")
    with pytest.raises(ParameterError, match="there is an instrument ohm already"):
        qcodes_instrument(guarded(), kept.name)
    with pytest.raises(ParameterError, match="less than one sample"):
        qcodes_instrument(guarded(), "short", hold_s=1e-4)


def test_without_qcodes_the_error_names_the_extra(monkeypatch):
    monkeypatch.delitem(sys.modules, "inmateria.rigs.qcodes_instrument")
    monkeypatch.setitem(sys.modules, "qcodes.instrument", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'inmateria\[qcodes\]'"):
        importlib.import_module("inmateria.rigs.qcodes_instrument")
