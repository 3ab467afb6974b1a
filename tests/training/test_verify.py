"""Verification on simulated rigs: what is measured, what passes, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from inmateria.devices.device import Terminal
from inmateria.errors import ParameterError, TaskError, TrainingError, VoltageLimitError
from inmateria.rigs.guard import Guard
from inmateria.rigs.noise import PowerLawNoise
from inmateria.rigs.simulated import SimulatedRig
from inmateria.tasks import Features, Gate, Ring
from inmateria.tasks.task import Score
from inmateria.training.solution import Cost, Solution
from inmateria.training.verification import noise_of
from inmateria.training.verify import verify

FAST = {"hold_s": 0.004, "settle_s": 0.002}


class Product:
    """I = 10 (b c + gain a) + offset nA, in volts: XNOR for gain 0, flat for b c = 0."""

    def __init__(self, scale: float = 10.0) -> None:
        self.terminals = tuple(Terminal(name) for name in ("a", "b", "c", "bias"))
        self.outputs = ("out",)
        self.scale = scale

    def current(self, voltage):
        v = np.asarray(voltage)
        product = np.sign(v[..., 1] * v[..., 2]) * np.minimum(
            1, np.abs(v[..., 1] * v[..., 2]) / 0.1
        )
        return (self.scale * (product * v[..., 0] + v[..., 3]))[..., None]

    def describe(self):
        return {"kind": "product"}


def solution_for(task, controls, device=None):
    """A solution without a search: these controls, and what the device gives."""
    device = device or Product()
    from inmateria.tasks import task_current

    names = [t.name for t in device.terminals if t.name not in task.inputs]
    current = task_current(task, device, [controls[n] for n in names])
    return Solution(
        task=task.name,
        task_description=task.describe(),
        inputs=task.inputs,
        controls=controls,
        score=task.score(current),
        current_na=tuple(current.tolist()),
        output="out",
        method="by hand",
        seed=0,
        cost=Cost(0, 0.0, 0.0),
    )


XNOR = Gate("XNOR", inputs=("b", "c"))
GOOD = {"a": 0.5, "bias": 0.1}


def test_without_noise_the_levels_are_the_devices():
    result = verify(solution_for(XNOR, GOOD), XNOR, SimulatedRig.ideal(Product()), **FAST)
    # b c = 0.49 saturates: +-5 nA around a bias of 1 nA.
    assert result.level_na == pytest.approx([6.0, -4.0, -4.0, 6.0])
    assert result.margin_na == pytest.approx(10.0)
    assert result.predicted_margin_na == pytest.approx(10.0)
    assert result.disagreement_na == pytest.approx(np.zeros(4), abs=1e-12)
    assert result.threshold_na == pytest.approx(1.0)
    assert result.noise.level_na == pytest.approx(0.0, abs=1e-12)
    assert result.passed
    assert result.accuracy == result.accuracy_single == 1.0
    assert result.states.tolist() == [[False, False], [False, True], [True, False], [True, True]]


def test_white_noise_is_measured_and_compared_with_the_margin():
    """Samples of 1 nA, 40 to a hold: a level scatters by 1 / sqrt(40) = 0.158 nA."""
    rate = 10_000.0

    class Noisy(SimulatedRig):
        def play(self, voltage):
            clean = super().play(voltage)
            return clean + rng.normal(0, 1.0, clean.shape)

    rng = np.random.default_rng(0)
    rig = Noisy(Product(), rate=rate, dac=None, electrodes=None, noise=None, converter=None,
                lowpass=None, adc=None)  # fmt: skip
    result = verify(solution_for(XNOR, GOOD), XNOR, rig, repetitions=50, **FAST)
    expected = 1 / np.sqrt(40)
    # 49 x 4 degrees of freedom: a relative standard error of 1 / sqrt(392) = 5 %, three of them.
    assert result.noise.level_na == pytest.approx(expected, rel=0.15)
    assert result.noise.fast_na == pytest.approx(expected, rel=0.15)
    # What all four states share by chance: half of it, from 49 degrees: 10 %.
    assert result.noise.drift_na == pytest.approx(expected / 2, rel=0.3)
    # 8,000 samples, each hold's own mean taken out: sqrt(39 / 40) of 1 nA to 1 %.
    assert result.noise.sample_na == pytest.approx(np.sqrt(39 / 40), rel=0.03)
    assert result.margin_in_noise == pytest.approx(result.margin_na / result.noise.level_na)
    assert result.passed
    assert not verify(solution_for(XNOR, GOOD), XNOR, rig, n_sigma=200.0, **FAST).passed


def test_drift_is_told_from_fast_noise():
    """All points of a repetition shifted alike: drift, and nothing else."""
    shift = np.array([[0.0], [3.0], [-3.0]])
    levels = np.array([[1.0, 2.0, 3.0, 4.0]]) + shift
    noise = noise_of(levels, np.zeros((3, 4)))
    assert noise.fast_na == pytest.approx(0.0, abs=1e-12)
    assert noise.drift_na == pytest.approx(3.0)
    assert noise.level_na == pytest.approx(3.0)


def test_one_repetition_falls_back_on_the_samples():
    noise = noise_of(np.zeros((1, 4)), np.full((1, 4), 0.3))
    assert noise.level_na == pytest.approx(0.3)
    assert np.isnan(noise.drift_na)
    result = verify(solution_for(XNOR, GOOD), XNOR, SimulatedRig(Product()), repetitions=1, **FAST)
    assert result.levels_na.shape == (1, 4)


def test_a_full_chain_passes_and_a_weak_margin_does_not():
    noise = PowerLawNoise()
    strong = verify(
        solution_for(XNOR, GOOD), XNOR, SimulatedRig(Product(), noise=noise, seed=1), **FAST
    )
    assert strong.passed
    assert strong.reasons == ()
    weak_device = Product(scale=0.05)
    weak = verify(
        solution_for(XNOR, GOOD, weak_device), XNOR, SimulatedRig(weak_device, seed=1), **FAST
    )
    # 0.05 nA of margin in a noise of 1e-5 nA^2/Hz at 1 kHz, 0.3 nA^2/Hz at 1 Hz.
    assert not weak.passed
    assert "does not exceed 3 x noise" in weak.reasons[0]


def test_a_flat_device_is_true_and_a_gate_is_not():
    gate = Gate("TRUE", inputs=("b", "c"))
    flat = verify(
        solution_for(gate, {"a": 0.0, "bias": 0.5}), gate, SimulatedRig(Product()), **FAST
    )
    assert flat.passed
    assert np.isnan(flat.threshold_na)
    bumpy = verify(solution_for(gate, GOOD), gate, SimulatedRig(Product()), **FAST)
    assert not bumpy.passed
    assert "tolerance" in bumpy.reasons[0]


class Bowl(Product):
    """I = 20 (b^2 + c^2) a nA."""

    def current(self, voltage):
        v = np.asarray(voltage)
        return (20 * (v[..., 1] ** 2 + v[..., 2] ** 2) * v[..., 0])[..., None]


@pytest.mark.parametrize("order", ["tour", "shuffled", "forward"])
def test_the_ring_is_judged_by_accuracy(order):
    ring = Ring(("b", "c"), n_train=20, n_test=30)
    result = verify(
        solution_for(ring, {"a": 1.0, "bias": 0.0}, Bowl()),
        ring,
        SimulatedRig.ideal(Bowl()),
        repetitions=2,
        order=order,
        **FAST,
    )
    assert result.accuracy == result.accuracy_single == 1.0
    assert result.passed
    assert result.level_na == pytest.approx(20 * (ring.points**2).sum(1))
    wrong = verify(
        solution_for(ring, {"a": -1.0, "bias": 0.0}, Bowl()),
        ring,
        SimulatedRig.ideal(Bowl()),
        repetitions=1,
        order=order,
        **FAST,
    )
    assert not wrong.passed
    assert "accuracy" in wrong.reasons[0]


def test_features_pass_when_all_levels_are_apart():
    class Binary(Product):
        def current(self, voltage):
            return 10 * (np.asarray(voltage)[..., 1:3] @ [2.0, 1.0])[..., None]

    task = Features(("b", "c"))
    controls = {"a": 0.0, "bias": 0.0}
    result = verify(solution_for(task, controls, Binary()), task, SimulatedRig(Binary()), **FAST)
    assert result.passed
    # Steps of 10 x 1.4 V.
    assert result.margin_na == pytest.approx(14.0, abs=1.5)


def test_a_surrogate_that_errs_is_found_out():
    class Rosy(Product):
        def current(self, voltage):
            return super().current(voltage) + 2.0

    rig = SimulatedRig.ideal(Product())
    result = verify(solution_for(XNOR, GOOD), XNOR, rig, surrogate=Rosy(), **FAST)
    assert result.disagreement_na == pytest.approx(np.full(4, -2.0))
    assert result.predicted_na == pytest.approx(result.level_na + 2.0)
    assert result.offset_na == pytest.approx(-2.0)


def test_the_rig_ends_at_zero_within_limits_and_slew():
    rig = SimulatedRig(Product())
    guard = Guard(rig, slew_v_per_s=50.0)
    guard.ramp_to([0.1, -0.2, 0.3, 0.0])
    verify(solution_for(XNOR, GOOD), XNOR, guard, repetitions=2, **FAST)
    assert (rig.held_voltage == 0).all()
    assert (rig.transcript.steepest_v_per_s <= 50.0 * (1 + 1e-6)).all()
    assert (rig.transcript.highest_v <= [0.5, 0.7 + 1e-12, 0.7 + 1e-12, 0.1]).all()


def test_the_rig_ends_at_zero_when_something_fails():
    rig = SimulatedRig.ideal(Product())

    def stop(done, total, note):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        verify(solution_for(XNOR, GOOD), XNOR, Guard(rig), progress=stop, **FAST)
    assert (rig.held_voltage == 0).all()
    assert rig.transcript.n_samples > 0


def test_the_strip_is_the_first_repetition_in_order():
    result = verify(solution_for(XNOR, GOOD), XNOR, SimulatedRig.ideal(Product()), **FAST)
    strip = result.strip
    assert [p.point for p in strip.plateaus] == [0, 1, 2, 3]
    assert len(strip.time_s) == len(strip.current_na)
    for plateau in strip.plateaus:
        held = (strip.time_s >= plateau.start_s) & (strip.time_s < plateau.stop_s - 1e-9)
        assert held.sum() == 40
        assert strip.current_na[held] == pytest.approx(plateau.level_na)
        assert plateau.level_na == pytest.approx(result.level_na[plateau.point])


def test_seed_and_order_decide_the_shuffle():
    class Drifting(SimulatedRig):
        """A level that rises with time: order shows in the levels."""

        def play(self, voltage):
            start = self.transcript.n_samples
            return super().play(voltage) + 1e-3 * (start + np.arange(np.shape(voltage)[1]))

    def levels(**options):
        rig = Drifting(Product(), dac=None, electrodes=None, noise=None, converter=None,
                       lowpass=None, adc=None)  # fmt: skip
        return verify(solution_for(XNOR, GOOD), XNOR, rig, **FAST, **options).levels_na

    assert (levels(seed=1) == levels(seed=1)).all()
    assert (levels(seed=1) != levels(seed=2)).any()
    shuffled, forward = levels(seed=1), levels(order="forward")
    assert shuffled[0] == pytest.approx(forward[0])
    assert (np.diff(forward - [[6.0, -4.0, -4.0, 6.0]], axis=1) > 0).all()


def test_clipping_is_counted():
    rig = SimulatedRig(Product(scale=2000.0))
    result = verify(solution_for(XNOR, GOOD), XNOR, rig, repetitions=2, **FAST)
    assert result.clipped == 8


def test_the_result_is_json():
    result = verify(
        solution_for(XNOR, GOOD), XNOR, SimulatedRig.ideal(Product()), repetitions=1, **FAST
    )
    values = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert values["passed"] is True
    assert values["noise_na"]["drift"] is None
    assert values["rig"]["guard"]["slew_v_per_s"] == 200.0
    assert result.measurements == 4
    assert result.device_s > 4 * (FAST["hold_s"] + FAST["settle_s"])


def test_nothing_is_played_when_something_does_not_fit():
    rig = SimulatedRig.ideal(Product())
    good = solution_for(XNOR, GOOD)
    cases = [
        (replace(good, controls={"a": 1.2, "bias": 0.0}), XNOR, VoltageLimitError, "1.2 V on a"),
        (replace(good, controls={"a": float("nan"), "bias": 0.0}), XNOR, VoltageLimitError, "nan"),
        (replace(good, controls={"a": 0.2}), XNOR, TrainingError, "controls a, bias"),
        (replace(good, controls={**GOOD, "z": 0.2}), XNOR, TrainingError, "controls a, bias"),
        (replace(good, output="o9"), XNOR, TaskError, "it has out"),
        (good, Gate("XNOR", inputs=("c", "b")), TrainingError, "its own task"),
        (good, Gate("XNOR", inputs=("b", "c"), high_v=1.5), TaskError, "1.5 V on b"),
    ]
    for solution, task, error, message in cases:
        with pytest.raises(error, match=message):
            verify(solution, task, rig)
    for options in ({"repetitions": 0}, {"n_sigma": 0.0}, {"hold_s": 0.0}, {"order": "random"}):
        with pytest.raises(ParameterError):
            verify(good, XNOR, rig, **options)
    with pytest.raises(VoltageLimitError, match=r"0.5 V on a, whose range is -0.2 V"):
        verify(good, XNOR, Guard(rig, limits={"a": (-0.2, 0.2)}))
    assert rig.transcript.n_samples == 0


def test_a_task_of_ones_own_is_verified():
    class Rise:
        """The output has to rise with one input, by more than 1 nA a step."""

        name, inputs, criterion, min_margin_na = "rise", ("b",), "distinct", 1.0
        points = np.array([[-0.5], [0.0], [0.5]])
        target = np.zeros(3)
        train = np.ones(3, dtype=bool)

        def score(self, current):
            steps = np.diff(np.asarray(current), axis=-1)
            margin = steps.min(-1)
            return Score(margin, (steps > 0).mean(-1), margin > 1.0, np.full_like(margin, np.nan))

        def describe(self):
            return {"kind": "rise"}

    task = Rise()
    controls = {"a": 0.5, "c": 0.2, "bias": 0.0}
    result = verify(solution_for(task, controls), task, SimulatedRig(Product()), **FAST)
    assert result.passed
    # The common offset is the drift that the noise began with; steps are free of it.
    assert np.diff(result.level_na) == pytest.approx([5.0, 5.0], abs=1.5)
