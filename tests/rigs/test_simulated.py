"""The simulated rig: the device's current, through each stage, however it is cut."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inmateria.devices.device import Terminal
from inmateria.errors import NotFiniteError, ParameterError, ShapeError
from inmateria.rigs.chain import ADC, DAC, Converter, ElectrodeRC, LowPass
from inmateria.rigs.noise import PowerLawNoise
from inmateria.rigs.rig import Rig
from inmateria.rigs.simulated import SimulatedRig
from inmateria.signals.sweeps import sweep
from inmateria.signals.waveforms import plateaus

from .ohmic import Ohmic, OhmicPath

RATE = 10_000.0
NONE = {
    "dac": None,
    "electrodes": None,
    "noise": None,
    "converter": None,
    "lowpass": None,
    "adc": None,
}


def some_waveform(n: int = 3000) -> np.ndarray:
    """Tones, then plateaus: both ways through the rig."""
    tones = sweep(Ohmic().terminals, kind="sinusoid", base_hz=10.0, seed=0).at(0, n // 2, RATE)
    points = np.random.default_rng(0).uniform(-1, 1, (30, 3))
    steps = plateaus(points, rate=RATE, hold_s=5e-3, ramp_s=1e-3).voltage[:, : n - n // 2]
    return np.hstack([tones, steps])


def test_the_ideal_rig_is_the_device():
    device, voltage = Ohmic(), some_waveform()
    rig = SimulatedRig.ideal(device)
    np.testing.assert_array_equal(rig.play(voltage), Ohmic().current(voltage.T).T)
    assert rig.current_range_na == np.inf


def test_it_is_a_rig():
    rig = SimulatedRig(Ohmic())
    assert isinstance(rig, Rig)
    assert (rig.rate, rig.fidelity, rig.outputs) == (RATE, "simulation", ("x", "y"))


@settings(max_examples=25, derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 3000), max_size=6), st.sampled_from([Ohmic, OhmicPath]))
def test_the_cut_does_not_matter(cuts, device):
    """Bit for bit, with every stage in operation and a solver that remembers."""
    voltage = some_waveform()
    whole = SimulatedRig(device(), seed=3).play(voltage)
    rig = SimulatedRig(device(), seed=3)
    bounds = [0, *sorted(cuts), voltage.shape[1]]
    parts = [rig.play(voltage[:, a:b]) for a, b in pairwise(bounds)]
    np.testing.assert_array_equal(np.hstack(parts), whole)


def test_equal_neighbours_are_solved_once():
    device = Ohmic()
    rig = SimulatedRig(device, **NONE)
    voltage = np.repeat(np.array([[0.0, 0.1, 0.1, 0.2], [0, 0, 0, 0], [0, 0, 0, 0]]), 100, axis=1)
    np.testing.assert_array_equal(rig.play(voltage), Ohmic().current(voltage.T).T)
    assert device.solved == 3
    rig.play(voltage[:, -50:])
    assert device.solved == 3


def test_plateaus_stay_cheap_behind_an_electrode():
    device = Ohmic()
    SimulatedRig(device).play(np.full((3, 1000), 0.5))
    # Ten samples of settling (see the electrode's own test) and the plateau.
    assert device.solved <= 12


def test_a_streaming_device_is_warm_started_along_the_path():
    rig = SimulatedRig(OhmicPath(), **NONE)
    first = rig.play([[0.1, 0.2], [0, 0], [0, 0]])
    second = rig.play([[0.3], [0], [0]])
    excess = np.hstack([first, second]) - 10.0 * np.array([[0.1, 0.2, 0.3]]) * [[1], [0.1]]
    np.testing.assert_allclose(excess, 1e-3 * np.array([[1, 2, 3]] * 2), atol=1e-12)


def test_each_stage_does_its_part():
    voltage = some_waveform()
    exact = Ohmic().current(voltage.T).T

    dac = SimulatedRig(Ohmic(), **{**NONE, "dac": DAC(bits=8, range_v=2.0)}).play(voltage)
    half_step = 2.0 / 256
    worst = half_step * np.abs(Ohmic.conductance).sum(axis=1)
    assert (np.abs(dac - exact).max(axis=1) <= worst).all()
    assert np.abs(dac - exact).max() > 0.2 * worst.max()

    rc = SimulatedRig(Ohmic(), **{**NONE, "electrodes": ElectrodeRC(1e-3)}).play(voltage)
    seen = ElectrodeRC(1e-3).follow(voltage, np.zeros(3), RATE)
    np.testing.assert_array_equal(rc, Ohmic().current(seen.T).T)

    law = PowerLawNoise()
    noisy = SimulatedRig(Ohmic(), **{**NONE, "noise": law}, seed=8).play(voltage)
    np.testing.assert_array_equal(noisy, exact + law.stream(2, RATE, seed=8).next(3000))

    low = SimulatedRig(Ohmic(), **{**NONE, "lowpass": LowPass(300.0)}).play(voltage)
    np.testing.assert_array_equal(low, LowPass(300.0).start(2, RATE)(exact))

    chain = {**NONE, "converter": Converter(28.5), "adc": ADC(bits=10, range_v=5.0)}
    read = SimulatedRig(Ohmic(), **chain).play(voltage)
    assert np.abs(read - exact).max() <= 28.5 * 5.0 / 1024 * (1 + 1e-12)


@pytest.mark.parametrize("adc", [None, ADC(), ADC(bits=8), ADC(range_v=2.0)])
def test_a_clipped_reading_says_so(adc):
    """|reading| reaches `current_range_na` where the current is too large, and only there."""
    rig = SimulatedRig(
        Ohmic(), **{**NONE, "converter": Converter(gain_na_per_v=2.0, clip_v=4.0), "adc": adc}
    )
    assert rig.current_range_na == pytest.approx(8.0 if adc != ADC(range_v=2.0) else 4.0, rel=0.01)
    c = np.linspace(-1, 1, 401)
    reading = rig.play([np.zeros(401), np.zeros(401), c])[1]
    step = 2.0 * 2 * adc.range_v / 2**adc.bits if adc else 0.0
    too_large = np.abs(20 * c) > rig.current_range_na + step
    fits = np.abs(20 * c) < rig.current_range_na - step
    assert too_large.sum() > 100
    assert (np.abs(reading[too_large]) >= rig.current_range_na).all()
    assert (np.abs(reading[fits]) < rig.current_range_na).all()


def test_default_ranges():
    assert SimulatedRig(Ohmic()).current_range_na == pytest.approx(400.0, rel=1e-6)


def test_voltages_hold_between_calls_and_the_transcript_remembers():
    rig = SimulatedRig(Ohmic())
    assert rig.held_voltage.tolist() == [0, 0, 0]
    rig.play([[0.1, 0.2], [-0.3, 0.0], [0.0, 0.0]])
    rig.play([[0.25], [0.0], [-0.5]])
    assert rig.held_voltage.tolist() == [0.25, 0, -0.5]
    seen = rig.transcript
    assert (seen.n_calls, seen.n_samples) == (2, 3)
    assert seen.lowest_v.tolist() == [0, -0.3, -0.5]
    assert seen.highest_v.tolist() == [0.25, 0, 0]
    np.testing.assert_allclose(seen.steepest_v_per_s, [1000, 3000, 5000], rtol=1e-12)


def test_a_call_that_fails_leaves_the_rig_as_it_was():
    class Moody(Ohmic):
        def current(self, voltage):
            if np.abs(np.asarray(voltage)).max() > 0.9:
                raise ArithmeticError("no solution")
            return super().current(voltage)

    voltage = some_waveform() * 0.8
    whole = SimulatedRig(Moody(), seed=1).play(voltage)
    rig = SimulatedRig(Moody(), seed=1)
    first = rig.play(voltage[:, :1000])
    with pytest.raises(ArithmeticError):
        rig.play(np.ones((3, 10)))
    np.testing.assert_array_equal(rig.held_voltage, voltage[:, 999])
    np.testing.assert_array_equal(np.hstack([first, rig.play(voltage[:, 1000:])]), whole)


def test_an_empty_waveform_plays_nothing():
    rig = SimulatedRig(Ohmic())
    assert rig.play(np.empty((3, 0))).shape == (2, 0)
    assert rig.transcript.n_calls == 0


def test_the_description_is_plain_and_complete():
    text = json.dumps(SimulatedRig(Ohmic(), seed=7, lowpass=None).describe())
    back = json.loads(text)
    assert back["device"] == {"kind": "ohmic"}
    assert back["seed"] == 7
    assert back["lowpass"] is None
    assert back["converter"] == {"gain_na_per_v": 100.0, "clip_v": 4.0}
    assert back["noise"]["exponent"] == 1.5


@pytest.mark.parametrize(
    ("error", "voltage"),
    [
        (ShapeError, np.zeros(3)),
        (ShapeError, [[0.0], [0.0, 1.0], [0.0]]),
        (ShapeError, [["x"], ["y"], ["z"]]),
        (ShapeError, np.zeros((2, 10))),
        (ShapeError, np.zeros((1, 3, 10))),
        (NotFiniteError, np.full((3, 10), np.nan)),
    ],
)
def test_bad_waveforms_are_refused(error, voltage):
    rig = SimulatedRig(Ohmic())
    with pytest.raises(error):
        rig.play(voltage)
    assert rig.transcript.n_calls == 0


def test_stages_that_do_not_fit_are_refused():
    with pytest.raises(ParameterError, match="converter"):
        SimulatedRig(Ohmic(), converter=None)
    with pytest.raises(ParameterError, match="cutoff"):
        SimulatedRig(Ohmic(), lowpass=LowPass(cutoff_hz=6_000.0))
    with pytest.raises(ParameterError, match="rate"):
        SimulatedRig(Ohmic(), rate=-1.0)


def test_terminals_are_the_devices():
    assert SimulatedRig(Ohmic()).terminals[0] == Terminal("a", -1.0, 1.0)


def test_the_default_low_pass_is_left_out_where_a_slow_rate_cannot_show_it():
    slow = SimulatedRig(Ohmic(), rate=1_000.0)
    assert slow.describe()["lowpass"] is None
    assert SimulatedRig(Ohmic()).describe()["lowpass"] is not None
    with pytest.raises(ParameterError, match="half the sampling rate"):
        SimulatedRig(Ohmic(), rate=1_000.0, lowpass=LowPass(cutoff_hz=3_900.0))
