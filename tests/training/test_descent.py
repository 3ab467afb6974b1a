"""Descent in materia: the update is the equation, the controls stay where tones have room."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest

from inmateria.errors import ParameterError, ShapeError, VoltageLimitError
from inmateria.tasks import Gate, Ring
from inmateria.training.descent import descend, limited
from inmateria.training.task_on_rig import SearchEnded, Stop, TaskOnRig

from .rigs import Reaching, quiet_rig
from .stand_ins import TanhNetwork

INPUTS = ("e1", "e3")
CONTROLS = ("e2", "e4", "e5", "e6")
XOR = Gate("XOR", INPUTS)


def searched(estimator=None, *, task=XOR, stop=None, rig_options=None, seed=0, **options):
    """The task on a quiet rig after a descent with exact gradients."""
    told = []
    on_rig = TaskOnRig(
        task,
        quiet_rig(),
        stop=stop,
        progress=lambda _done, _total, text: told.append(text),
        **(rig_options or {}),
    )
    estimator = estimator or Reaching(TanhNetwork(), CONTROLS)
    with suppress(SearchEnded):
        descend(on_rig, estimator, seed=seed, **{"screening": 1, **options})
    return on_rig, told


def path(on_rig) -> np.ndarray:
    return np.array([[row[f"control_v.{n}"] for n in CONTROLS] for row in on_rig.history])


def slopes(on_rig) -> np.ndarray:
    return np.array([[row[f"gradient_per_v.{n}"] for n in CONTROLS] for row in on_rig.history])


def test_every_step_is_the_paper_s_equation():
    """V <- V - eta dE/dV, cut to 0.1 V, inside the ranges."""
    on_rig, _ = searched(iterations=20, restarts=1, learning_rate=0.01, start=[0.1, 0.2, -0.3, 0])
    v, g = path(on_rig), slopes(on_rig)
    assert v[0] == pytest.approx([0.1, 0.2, -0.3, 0])
    cut = np.maximum(1.0, 0.01 * np.abs(g).max(axis=1) / 0.1)[:, None]
    assert v[1:] == pytest.approx(np.clip(v[:-1] - 0.01 * g[:-1] / cut[:-1], -1, 1))
    # Both happen on this path: a step that was cut and one that was not.
    assert (cut > 1).any()
    assert (cut == 1).any()


@pytest.mark.parametrize("optimiser", ["gradient", "momentum", "adam"])
def test_the_loss_falls_and_the_gate_is_found(optimiser):
    on_rig, _ = searched(optimiser=optimiser, stop=Stop(passed=True), iterations=100, seed=3)
    assert on_rig.best.passed
    losses = [row["loss"] for row in on_rig.history]
    assert losses[-1] < losses[0]


def test_the_ring_is_descended_too():
    on_rig, _ = searched(
        task=Ring(INPUTS, n_train=40, n_test=10), iterations=60, restarts=2, screening=8
    )
    assert on_rig.best.loss < 0.8 * on_rig.history[1]["loss"]
    assert {row["restart"] for row in on_rig.history[1:] if "restart" in row} == {0, 1}


def test_controls_keep_the_estimator_s_reach_from_the_limits():
    """Steps of 10 V against the walls: a tone of 0.1 V around a point never leaves the range."""
    reach = Reaching(TanhNetwork(), CONTROLS, reach=0.1)
    on_rig, _ = searched(reach, iterations=40, restarts=3, learning_rate=10.0, max_step_v=10.0)
    v = path(on_rig)
    assert np.abs(v).max() == pytest.approx(0.9)  # pushed there, and no further
    assert np.abs(v).max() <= 0.9 + 1e-12


def test_no_room_for_the_estimator_is_an_error_before_anything_is_played():
    on_rig = TaskOnRig(XOR, quiet_rig())
    wide = Reaching(TanhNetwork(), CONTROLS, reach=1.1)
    with pytest.raises(VoltageLimitError, match=r"e2 may move by 2 V.*needs 1.1 V on either side"):
        descend(on_rig, wide, seed=0)
    assert on_rig.rig.played_s == 0


def test_a_descent_that_gains_nothing_begins_anew_elsewhere():
    # At this learning rate a descent stands still: 1e-15 V^2 times slopes of up to 1e6 per volt.
    on_rig, told = searched(learning_rate=1e-15, patience=5, restarts=3)
    restart = np.array([row["restart"] for row in on_rig.history])
    assert [int((restart == k).sum()) for k in range(3)] == [6, 6, 6]
    v = path(on_rig)
    assert np.abs(v[restart == 0] - v[0]).max() < 1e-6
    assert np.abs(v[restart == 1][0] - v[0]).max() > 0.1
    assert sum("no better for 5 iterations" in text for text in told) == 3
    lowest = min(row["loss"] for row in on_rig.history)
    assert on_rig.best.loss == lowest


def test_points_without_a_gradient_are_left_out_and_counted():
    def fails(call):
        return np.array([1]) if call == 1 else np.zeros(0, dtype=int)

    on_rig, _ = searched(Reaching(TanhNetwork(), CONTROLS, fails=fails), iterations=4, restarts=1)
    assert [row["points_left_out"] for row in on_rig.history] == [0, 1, 0, 0]
    assert np.isfinite(path(on_rig)).all()
    # What is left is the sum over the other points, not a sum with a zero in it by accident.
    device, controls = TanhNetwork(), path(on_rig)[1]
    voltage = np.zeros((4, 6))
    voltage[:, [0, 2]], voltage[:, [1, 3, 4, 5]] = XOR.points, controls
    weight = on_rig.loss_gradient(device.current(voltage)[:, 0])
    parts = weight[:, None] * device.gradient(voltage)[:, 0][:, [1, 3, 4, 5]]
    assert slopes(on_rig)[1] == pytest.approx(parts[[0, 2, 3]].sum(axis=0))
    assert np.abs(parts[1]).max() > 1e-3 * np.abs(parts).max()


def test_without_any_gradient_a_descent_ends_and_the_next_begins():
    def fails(call):
        return np.arange(4) if call == 2 else np.zeros(0, dtype=int)

    on_rig, told = searched(Reaching(TanhNetwork(), CONTROLS, fails=fails), iterations=5,
                            restarts=2)  # fmt: skip
    assert [row["restart"] for row in on_rig.history] == [0, 0, 0, 1, 1, 1, 1, 1]
    assert any("no point has a gradient (output drifting)" in text for text in told)
    assert np.isnan(on_rig.history[2]["gradient_per_v.e2"])


def test_screening_starts_at_the_best_of_what_was_read():
    on_rig, _ = searched(screening=20, restarts=1, iterations=1)
    screened, first = on_rig.history
    assert first["loss"] == pytest.approx(screened["loss"])
    blind, _ = searched(screening=1, restarts=1, iterations=1)
    assert first["loss"] < blind.history[0]["loss"]


def test_the_learning_rate_falls_with_its_schedule():
    def sizes(schedule):
        on_rig, _ = searched(
            schedule=schedule, optimiser="adam", learning_rate=1e-3, iterations=50, restarts=1
        )
        return np.abs(np.diff(path(on_rig), axis=0)).max(axis=1)

    constant, cosine, exponential = map(sizes, ("constant", "cosine", "exponential"))
    assert cosine[0] == pytest.approx(constant[0])
    # Near the end: cos falls to (pi / 50)^2 / 4 = 0.001 one step before the last, exp to 0.01.
    assert cosine[-1] < 0.02 * constant[-1]
    assert 0.005 * constant[-1] < exponential[-1] < 0.03 * constant[-1]


def test_the_same_seed_walks_the_same_path():
    first, again, other = (searched(seed=s, iterations=5, restarts=2)[0] for s in (1, 1, 2))
    assert np.array_equal(path(first), path(again))
    assert not np.array_equal(path(first), path(other))


def test_a_shortened_step_keeps_its_direction():
    step = np.array([0.3, -0.6])
    assert limited(step, 0.1) == pytest.approx([0.05, -0.1])
    assert limited(step, 1.0) is step


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"optimiser": "newton"}, ParameterError, "there are gradient, momentum, adam"),
        ({"schedule": "stairs"}, ParameterError, "there are constant, cosine, exponential"),
        ({"learning_rate": 0.0}, ParameterError, "learning_rate is 0.0; give more than 0"),
        ({"learning_rate": float("nan")}, ParameterError, "learning_rate"),
        ({"max_step_v": -1.0}, ParameterError, "max_step_v"),
        ({"min_improvement": 1.0}, ParameterError, "min_improvement"),
        ({"iterations": 0}, ParameterError, "iterations"),
        ({"restarts": 1.5}, ParameterError, "restarts"),
        ({"patience": 0}, ParameterError, "patience"),
        ({"start": [0.0, 1.0]}, ShapeError, "start has shape"),
        ({"start": [0.0, 1.0, 0.0, 3.0]}, VoltageLimitError, "start puts e6 at 3 V"),
    ],
)
def test_bad_options_are_refused(options, error, said):
    on_rig = TaskOnRig(XOR, quiet_rig())
    with pytest.raises(error, match=said):
        descend(on_rig, Reaching(TanhNetwork(), CONTROLS), seed=0, **options)
    assert on_rig.iterations == 0
