"""A device against its surrogate at random points: noise, drift and error told apart."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from inmateria.devices.device import Terminal
from inmateria.errors import ParameterError, TrainingError, VoltageLimitError
from inmateria.rigs.guard import Guard
from inmateria.rigs.noise import PowerLawNoise
from inmateria.rigs.simulated import SimulatedRig
from inmateria.surrogates.network import ScaledNetwork
from inmateria.surrogates.surrogate import Surrogate
from inmateria.training.agreement import judge
from inmateria.training.difference import difference
from inmateria.training.random_points import compare_at_random_points

from .rigs import QUIET

FAST = {"hold_s": 0.002, "settle_s": 0.001}
TERMINALS = tuple(Terminal(name) for name in "abcd")


def surrogate(*, seed: int = 2, stated_na: float = 0.5, names: str = "abcd", **more) -> Surrogate:
    """A random smooth network, some 20 nA strong, that states an error."""
    network = ScaledNetwork(4, 1, hidden=(16, 16), activation="tanh")
    network.initialise(torch.Generator().manual_seed(seed))
    network.output_std.fill_(40.0)
    error = {"validation_rmse_na": stated_na}
    return Surrogate(network, tuple(Terminal(n) for n in names), ("out",), error=error, **more)


class Changed:
    """gain * I + offset + error: the error is a fast wave of the first two voltages, 1 nA rms."""

    def __init__(self, base, *, gain=1.0, offset_na=0.0, error_na=0.0, described=None) -> None:
        self.base, self.gain, self.offset_na, self.error_na = base, gain, offset_na, error_na
        self.terminals, self.outputs = base.terminals, base.outputs
        self.described = described or {"kind": "changed"}

    def current(self, voltage):
        v = np.asarray(voltage)
        wave = np.sqrt(2) * np.sin(20 * v[..., :1] + 13 * v[..., 1:2])
        return self.gain * self.base.current(v) + self.offset_na + self.error_na * wave

    def describe(self):
        return self.described


def quiet(device) -> SimulatedRig:
    return SimulatedRig(device, **QUIET)


def noisy(device, seed: int = 0, **noise) -> SimulatedRig:
    return SimulatedRig(device, **{**QUIET, "noise": PowerLawNoise(**noise)}, seed=seed)


def test_a_device_that_did_not_change_agrees():
    known = surrogate()
    found = compare_at_random_points(known, quiet(known), **FAST)
    (d,) = found.differences
    assert found.verdict == d.verdict == "agrees"
    # single-precision weights in both: nothing but rounding is left
    assert d.rms_na < 1e-9
    assert d.gain == pytest.approx(1.0, abs=1e-9)
    assert found.levels.voltage.shape == (200, 4)
    assert found.levels.clipped == 0


def test_gain_offset_and_error_are_told_apart_without_noise():
    """Errors of 1 nA at 200 points: 1 / sqrt(200) = 7 % of a mean, 5 % of a deviation."""
    known = surrogate()
    device = Changed(known, gain=1.1, offset_na=3.0, error_na=1.0)
    (d,) = compare_at_random_points(known, quiet(device), **FAST).differences
    assert d.verdict == "parted"
    assert d.shape_na == pytest.approx(1.0, rel=0.2)
    spread = np.std(known.current(np.random.default_rng(0).uniform(-1, 1, (4000, 4))))
    assert d.gain == pytest.approx(1.1, abs=4 / np.sqrt(200) / spread)
    assert abs(d.gain - 1.1) < 4 * d.gain_error
    assert d.level_na == pytest.approx(0.0, abs=1e-9)
    assert d.rms_na > 3.0


def test_an_offset_alone_is_drift():
    known = surrogate()
    found = compare_at_random_points(known, quiet(Changed(known, offset_na=3.0)), **FAST)
    (d,) = found.differences
    assert found.verdict == "drifted"
    assert d.offset_na == pytest.approx(3.0, abs=1e-6)
    assert "offset +3" in found.sentence()
    assert "inmateria refit m.json --device d -o new" in found.sentence(
        refit="inmateria refit m.json --device d -o new"
    )


def test_error_is_found_under_larger_noise():
    """1 nA of error under 1/f noise of 2.7 nA: the noise is subtracted, its slow part first."""
    known = surrogate()
    found = [
        compare_at_random_points(
            known, noisy(Changed(known, error_na=1.0), seed), seed=seed, hold_s=0.01, settle_s=0.001
        ).differences[0]
        for seed in range(3)
    ]
    for d in found:
        assert d.error_na == pytest.approx(1.0, abs=4 * d.error_uncertainty_na)
        assert d.error_uncertainty_na < 0.3
        # some seconds of 1/f^1.5 with its floor at 0.1 Hz, most of it slower than a stretch
        assert 0.7 < d.level_na < 5
        assert d.fast_na < d.level_na
        assert d.verdict == "parted"


def test_noise_and_drift_are_not_held_against_the_surrogate():
    """Slow noise over ten seconds may be called drift, which it is; never an error."""
    known = surrogate()
    verdicts = [
        compare_at_random_points(known, noisy(known, seed), seed=seed).verdict for seed in range(8)
    ]
    assert verdicts.count("agrees") >= 7
    assert "parted" not in verdicts


def test_what_is_allowed_follows_from_the_stated_error():
    known = surrogate(stated_na=0.5)
    levels = compare_at_random_points(known, quiet(Changed(known, error_na=1.0)), **FAST).levels
    assert judge(known, levels).verdict == "parted"
    tolerant = judge(surrogate(stated_na=1.0), levels)
    # without noise 1.5 times the stated error is allowed
    assert tolerant.differences[0].allowed_na == pytest.approx(1.5)
    assert tolerant.verdict == "agrees"
    unstated = Surrogate(known.network, known.terminals, known.outputs)
    assert not judge(unstated, levels).stated
    assert judge(unstated, levels).differences[0].stated_na == pytest.approx(
        0.05 * known.current(levels.voltage).std()
    )


def test_white_noise_is_measured():
    """Holds of 1 nA white noise: 60 second visits tell it to 1 / sqrt(2 54) = 10 %."""
    rng = np.random.default_rng(3)
    predicted = 10 * rng.standard_normal(240)
    level = predicted + rng.standard_normal(240)
    again = predicted[:60] + rng.standard_normal(60)
    d = difference(level, predicted, again, output="out", stated_na=1.0)
    assert d.fast_na == pytest.approx(1.0, rel=0.3)
    assert d.level_na == pytest.approx(1.0, rel=0.3)
    assert d.error_na < 3 * d.error_uncertainty_na
    assert abs(d.offset_na) < 4 * d.offset_error_na
    assert d.verdict == "agrees"


def test_points_stay_within_guard_and_surrogate():
    known = surrogate()
    narrow = Surrogate(
        known.network, (Terminal("a", -0.5, 0.9), *TERMINALS[1:]), ("out",), error=known.error
    )
    rig = quiet(known)
    guard = Guard(rig, limits={"b": (-0.1, 0.3)})
    found = compare_at_random_points(narrow, guard, **FAST)
    low, high = found.levels.voltage.min(axis=0), found.levels.voltage.max(axis=0)
    assert (low >= [-0.5, -0.1, -1, -1]).all()
    assert (high <= [0.9, 0.3, 1, 1]).all()
    # 200 uniform points come within a few per cent of both ends
    np.testing.assert_allclose(high - low, [1.4, 0.4, 2, 2], rtol=0.05)
    assert (rig.transcript.lowest_v >= [-0.5, -0.1, -1, -1]).all()
    assert (rig.transcript.highest_v <= [0.9, 0.3, 1, 1]).all()
    assert (rig.held_voltage == 0).all()


def test_terminals_are_matched_by_name():
    """A rig that lists them in another order is the same device."""
    known = surrogate()

    class Reordered(Changed):
        def __init__(self) -> None:
            super().__init__(known)
            self.terminals = tuple(reversed(known.terminals))

        def current(self, voltage):
            return known.current(np.asarray(voltage)[..., ::-1])

    found = compare_at_random_points(known, quiet(Reordered()), **FAST)
    assert found.differences[0].rms_na < 1e-9


def test_another_device_is_refused_and_nothing_is_played():
    known = surrogate(provenance={"training_data": {"device": "chip B7, device 3"}})
    for device, error, words in (
        (surrogate(names="abcx"), TrainingError, "a, b, c, x: another device"),
        (Changed(known, described={"name": "chip B7, device 4"}), TrainingError, "device 4"),
    ):
        rig = quiet(device)
        with pytest.raises(error, match=words):
            compare_at_random_points(known, rig, **FAST)
        assert rig.transcript.n_samples == 0
    rig = quiet(Changed(known, described={"name": "chip B7, device 3"}))
    assert compare_at_random_points(known, rig, **FAST).verdict == "agrees"


def test_what_makes_no_sense_is_refused():
    known = surrogate()
    with pytest.raises(ParameterError, match="n_points = 50; give a whole number of 80"):
        compare_at_random_points(known, quiet(known), n_points=50)
    beyond = Surrogate(known.network, (Terminal("a", 0.5, 1.0), *TERMINALS[1:]), ("out",))
    with pytest.raises(VoltageLimitError, match=r"surrogate knows 0\.5 V to 1 V"):
        compare_at_random_points(beyond, Guard(quiet(known), limits={"a": (-0.5, 0.2)}))
    loud = Changed(known, gain=100.0)
    with pytest.raises(TrainingError, match="the chain clips at"):
        compare_at_random_points(known, SimulatedRig(loud), **FAST)


def test_the_record_is_plain_json(tmp_path):
    known = surrogate()
    found = compare_at_random_points(known, quiet(Changed(known, gain=1.05)), n_points=80, **FAST)
    values = json.loads(found.save(tmp_path / "agreement.json").read_text())
    assert values["verdict"] == found.verdict
    assert np.shape(values["points_v"]) == (80, 4)
    assert values["differences"][0]["gain"] == pytest.approx(1.05, abs=1e-3)
    assert values["rig"]["guard"]["slew_v_per_s"] == 200.0
