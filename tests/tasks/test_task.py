"""Placing tasks on devices: levels, controls, voltages, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from inmateria.devices.device import Terminal
from inmateria.errors import NotFiniteError, ShapeError, TaskError
from inmateria.tasks import (
    Features,
    Gate,
    Ring,
    Sphere,
    control_terminals,
    gates,
    input_levels,
    labelings,
    levels_for,
    output_index,
    task_current,
    task_from_description,
    task_voltage,
)


class Sum:
    """Two outputs: the sum of all voltages, and ten times it."""

    def __init__(self, ranges=((-1, 1),) * 4, names=("e0", "e1", "e2", "e6")):
        self.terminals = tuple(
            Terminal(n, float(a), float(b)) for n, (a, b) in zip(names, ranges, strict=True)
        )
        self.outputs = ("near", "far")

    def current(self, voltage):
        total = np.asarray(voltage).sum(-1)
        return np.stack([total, 10 * total], axis=-1)

    def describe(self):
        return {}


def test_levels_are_seven_tenths_of_the_range():
    assert levels_for(Terminal("e1", -1.0, 1.0)) == (-0.7, 0.7)
    # centre -0.3 V, width 1.8 V: -0.3 -+ 0.35 * 1.8
    assert levels_for(Terminal("e1", -1.2, 0.6)) == pytest.approx((-0.93, 0.33))
    assert levels_for(Terminal("e1", -0.7, 0.3)) == pytest.approx((-0.55, 0.15))


def test_levels_are_given_per_input_in_the_order_asked():
    device = Sum(ranges=((-1, 1), (-1.2, 0.6), (-1, 1), (-0.7, 0.3)))
    levels = input_levels(device, ("e6", "e1"))
    assert levels["low_v"] == pytest.approx((-0.55, -0.93))
    assert levels["high_v"] == pytest.approx((0.15, 0.33))
    gate = Gate("XOR", inputs=("e6", "e1"), **levels)
    assert gate.points[1] == pytest.approx((-0.55, 0.33))


def test_controls_are_all_other_terminals_in_the_devices_order():
    device = Sum()
    gate = Gate("AND", inputs=("e6", "e0"))
    assert [t.name for t in control_terminals(gate, device)] == ["e1", "e2"]
    voltage = task_voltage(gate, device, [0.1, 0.2])
    assert voltage.shape == (4, 4)
    # State 01: first input (e6) low, second (e0) high.
    assert voltage[1].tolist() == [0.7, 0.1, 0.2, -0.7]


def test_controls_are_batched():
    controls = np.random.default_rng(0).uniform(-1, 1, (3, 5, 2))
    current = task_current(Gate("AND"), Sum(), controls)
    assert current.shape == (3, 5, 4)
    assert current[..., 3] == pytest.approx(controls.sum(-1) + 1.4)


def test_output_by_name_and_position():
    device, gate = Sum(), Gate("AND")
    near = task_current(gate, device, [0.0, 0.0])
    for output in ("far", 1):
        assert task_current(gate, device, [0.0, 0.0], output=output) == pytest.approx(10 * near)
    for wrong in ("nowhere", 2, -1):
        with pytest.raises(TaskError, match="it has near, far"):
            output_index(device, wrong)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (Gate("AND", inputs=("e2", "e9")), "'e9' is not a terminal.*e0, e1, e2, e6"),
        (Gate("AND", low_v=-1.1), r"-1\.1 V on e2, whose range is -1 V to 1 V"),
        (Gate("AND", high_v=(0.7, 1.2)), r"1\.2 V on e6"),
        (Features(inputs=("e0", "e1", "e2", "e6")), "all 4 terminals as inputs"),
    ],
)
def test_a_task_that_does_not_fit_the_device_is_refused(task, message):
    with pytest.raises(TaskError, match=message):
        control_terminals(task, Sum())


def test_wrong_number_of_controls_is_refused():
    with pytest.raises(ShapeError, match="2 controls \\(e0, e1\\)"):
        task_voltage(Gate("AND"), Sum(), [0.0, 0.0, 0.0])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Gate("XANDER"),
        lambda: Gate("AND", inputs=("e2", "e2")),
        lambda: Gate("AND", inputs=("e2",)),
        lambda: Gate("AND", low_v=0.7, high_v=-0.7),
        lambda: Gate("AND", low_v=(0.1, 0.2, 0.3)),
        lambda: Gate("AND", low_v=float("nan")),
        lambda: Gate("AND", low_v="low"),
        lambda: Gate("AND", min_margin_na=-1.0),
        lambda: Gate("AND", min_margin_na=float("nan")),
        lambda: Gate("TRUE", tolerance_na=0.0),
        lambda: Ring(inputs=("e1", "e2", "e3")),
        lambda: Ring(gap=0.8),
        lambda: Ring(outer_radius=1.1),
        lambda: Ring(n_train=1),
        lambda: Ring(min_accuracy=0.0),
        lambda: Sphere(inputs=("e1", "e2")),
        lambda: Features(inputs=("e1",)),
        lambda: Features(inputs=()),
        lambda: labelings(8),
        lambda: labelings(1),
        lambda: labelings(4, ("e1", "e2", "e3")),
    ],
)
def test_a_task_that_makes_no_sense_is_refused(make):
    with pytest.raises(TaskError):
        make()


@pytest.mark.parametrize("task", [Gate("XOR"), Ring(n_train=4, n_test=4), Features()])
def test_currents_of_the_wrong_shape_or_not_finite_are_refused(task):
    with pytest.raises(ShapeError):
        task.score(np.zeros((3, len(task.target) + 1)))
    with pytest.raises(NotFiniteError):
        task.score(np.full(len(task.target), np.nan))


@pytest.mark.parametrize(
    "task",
    [
        Gate("XNOR", inputs=("a", "b"), low_v=(-0.5, -0.4), min_margin_na=1.5),
        Gate("TRUE", tolerance_na=0.5),
        Ring(seed=4, n_train=10, n_test=20),
        Sphere(gap=0.1, low_v=(-0.1, -0.2, -0.3)),
        Features(min_margin_na=0.1),
        labelings(5, min_margin_na=1.0)[7],
    ],
)
def test_a_description_makes_the_same_task_again(task):
    import json

    again = task_from_description(json.loads(json.dumps(task.describe())))
    assert again == task
    assert (again.points == task.points).all()


@pytest.mark.parametrize(
    "description", [{}, {"kind": "gates"}, {"kind": "gate"}, {"kind": "ring", "size": 3}]
)
def test_a_description_that_fits_nothing_is_refused(description):
    with pytest.raises(TaskError):
        task_from_description(description)


def test_tasks_can_be_set_on_anything_with_terminals():
    rig = SimpleNamespace(terminals=Sum().terminals, outputs=("o",))
    assert task_voltage(gates()[1], rig, np.zeros(2)).shape == (4, 4)
