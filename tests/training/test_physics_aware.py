"""Physics-aware training: what is measured, what the model gives, what their chain does."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest

from inmateria.errors import TrainingError
from inmateria.rigs.chain import Converter
from inmateria.rigs.guard import Guard
from inmateria.rigs.simulated import SimulatedRig
from inmateria.tasks.gates import Gate
from inmateria.tasks.task import task_current
from inmateria.training.in_silico import Descent, in_silico
from inmateria.training.physics_aware import ModelGradient, physics_aware
from inmateria.training.task_on_rig import SearchEnded, Stop, TaskOnRig

from .known_losses import gate_on_rig
from .stand_ins import TanhNetwork

CONTROLS = ("e1", "e3", "e4", "e6")
POINTS = np.random.default_rng(0).uniform(-0.9, 0.9, (2, 3, 6))


def wrong_model(size: float = 0.4) -> TanhNetwork:
    """The device of `gate_on_rig` with outer weights that are off by `size` of themselves."""
    model = TanhNetwork(seed=1)
    model.outer = model.outer * (1 + size * np.random.default_rng(9).standard_normal((1, 12)))
    return model


def xor_on_ideal_rig(stop: Stop, **options: Any) -> TaskOnRig:
    rig = Guard(SimulatedRig.ideal(TanhNetwork(seed=1), rate=1000.0))
    return TaskOnRig(Gate("XOR", inputs=("e2", "e5")), rig, stop=stop, **options)


def test_current_is_the_devices_and_gradient_the_models() -> None:
    device, model = TanhNetwork(2, seed=1), TanhNetwork(2, seed=2)
    rig = Guard(SimulatedRig.ideal(device, rate=1000.0))
    found = ModelGradient(rig, model, CONTROLS).extract(POINTS)
    # Nothing between the device and the reading: rounding of a mean only.
    assert found.current == pytest.approx(device.current(POINTS), rel=1e-12)
    assert found.value == pytest.approx(model.gradient(POINTS)[..., [0, 2, 3, 5]], rel=1e-12)
    assert found.value.shape == (2, 3, 2, 4)
    assert np.isnan(found.standard_error).all()
    assert found.defined.all()
    assert found.measurements == 6
    # Six plateaus of 35 ms and the ramps between them, at 200 V/s: 10 ms each at most.
    assert 6 * 0.035 <= found.device_s <= 6 * 0.045
    assert found.device_s == rig.played_s


def test_a_clipped_output_has_no_gradient() -> None:
    rig = Guard(SimulatedRig(TanhNetwork(seed=1), rate=1000.0, converter=Converter(5.0), adc=None))
    found = ModelGradient(rig, TanhNetwork(seed=1), CONTROLS).extract(POINTS)
    # 5 nA/V and +-4 V: all beyond 20 nA is clipped; the network gives up to 60 nA.
    beyond = np.abs(TanhNetwork(seed=1).current(POINTS)) > 20.5
    within = np.abs(TanhNetwork(seed=1).current(POINTS)) < 19.5
    assert beyond.any()
    assert within.any()
    assert (found.problem[beyond] == "clipped").all()
    assert np.isnan(found.value[beyond]).all()
    assert found.defined[within].all()


def test_with_the_device_as_its_own_model_a_step_goes_down_the_measured_loss() -> None:
    # A loss that is smooth over 10 nA: the paper's is steep as exp(-separation / 1 nA).
    task = xor_on_ideal_rig(Stop(iterations=2), loss="soft_margin", scale_na=10.0)
    with contextlib.suppress(SearchEnded):
        physics_aware(task, seed=4, surrogate=TanhNetwork(seed=1), learning_rate=1e-4, screening=1)
    before, after = task.history
    step = np.array([after[f"control_v.{c}"] - before[f"control_v.{c}"] for c in CONTROLS])
    slope = np.array([before[f"gradient_per_v.{c}"] for c in CONTROLS])
    assert step == pytest.approx(-1e-4 * slope, rel=1e-6)
    # First order in a step that is small against the curvature of tanh.
    assert after["loss"] - before["loss"] == pytest.approx(-1e-4 * slope @ slope, rel=1e-2)


def test_a_wrong_model_trains_the_device_where_in_silico_is_misled() -> None:
    """The point of the method: errors of the model do not add up to a wrong optimum."""
    device, model = TanhNetwork(seed=1), wrong_model()
    gate = Gate("XOR", inputs=("e2", "e5"))
    task = xor_on_ideal_rig(Stop(iterations=150))
    promised = in_silico(
        [gate], model, descent=Descent(16, 100, 500), loss="correlation_separation"
    )[0]
    start = np.array([promised.controls[c] for c in CONTROLS])
    misled = float(task.loss_of(task_current(gate, device, start)))
    assert task.loss_of(promised.current_na) < 0.5 * misled
    with contextlib.suppress(SearchEnded):
        physics_aware(task, seed=0, surrogate=model, start=start, restarts=1, iterations=150)
    assert task.best is not None
    assert task.best.loss < 0.7 * misled


def test_a_surrogate_is_sampled_from_the_rig_and_paid_for() -> None:
    task = gate_on_rig("XOR", budget_s=30.0)
    with contextlib.suppress(SearchEnded):
        physics_aware(task, seed=2, epochs=4, fit={"hidden": (16, 16)}, iterations=20)
    assert task.history[0]["device_s"] > 15.0  # half of the budget went into sampling
    assert task.spent_s <= 30.0
    assert task.iterations >= 1


def test_too_small_a_budget_says_how_much_is_needed() -> None:
    task = gate_on_rig("XOR", budget_s=10.0)
    with pytest.raises(TrainingError, match=r"budget of 10 s is too small .* give 20 s or more"):
        physics_aware(task, seed=0, sample_s=20.0)


class NoGradient:
    terminals, outputs = TanhNetwork().terminals, TanhNetwork().outputs

    def current(self, voltage: object) -> object:
        return voltage

    def describe(self) -> dict[str, object]:
        return {}


def test_a_model_without_gradient_or_of_another_device_is_refused() -> None:
    with pytest.raises(TrainingError, match="NoGradient has no gradient to train with"):
        physics_aware(gate_on_rig(), seed=0, surrogate=NoGradient())  # type: ignore[arg-type]
    other = TanhNetwork(n_terminals=5)
    with pytest.raises(TrainingError, match="has terminals e1, e2, e3, e4, e5, the rig e1"):
        physics_aware(gate_on_rig(), seed=0, surrogate=other)
    renamed = TanhNetwork()
    renamed.outputs = ("drain",)
    with pytest.raises(TrainingError, match="has outputs drain, the rig o0"):
        physics_aware(gate_on_rig(), seed=0, surrogate=renamed)
