"""Descent in silico: finds what is there, stays in range, repeats itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inmateria.devices.device import Terminal
from inmateria.errors import ParameterError, TaskError, TrainingError
from inmateria.tasks import Features, Gate, Ring, gates, task_current
from inmateria.training.capacity import capacity
from inmateria.training.find_inputs import find_inputs
from inmateria.training.in_silico import Descent, in_silico
from inmateria.training.methods import METHODS
from inmateria.training.train import train, train_all

from .stand_ins import TanhNetwork

INPUTS = ("e1", "e3")
DESCENT = Descent(restarts=12, steps=80, screening=300)
QUICK = Descent(restarts=4, steps=5, screening=20)


@pytest.fixture(scope="module")
def solutions():
    return train_all(gates(INPUTS), TanhNetwork(), descent=DESCENT)


def test_every_gate_is_found_on_the_small_network(solutions):
    assert [s.task for s in solutions] == [g.name for g in gates()]
    assert [s.task for s in solutions if not s.score.passed] == []


def test_the_score_is_what_the_device_gives_at_these_controls(solutions):
    device = TanhNetwork()
    for gate, solution in zip(gates(INPUTS), solutions, strict=True):
        controls = [solution.controls[name] for name in ("e2", "e4", "e5", "e6")]
        current = task_current(gate, device, controls)
        assert current == pytest.approx(solution.current_na)
        assert float(gate.score(current).margin_na) == pytest.approx(
            float(solution.score.margin_na)
        )


def test_controls_stay_in_range_however_hard_one_pushes():
    device = TanhNetwork()
    device.terminals = tuple(
        Terminal(t.name, low, high)
        for t, (low, high) in zip(
            device.terminals,
            [(-1, 1), (-1.2, 0.6), (-1, 1), (-0.7, 0.3), (0.1, 0.2), (-1, 1)],
            strict=True,
        )
    )
    wild = Descent(restarts=8, steps=30, screening=40, learning_rate=1e3)
    for solution in train_all(gates(INPUTS)[1:-1], device, descent=wild):
        for terminal in device.terminals:
            if terminal.name in solution.controls:
                value = solution.controls[terminal.name]
                assert terminal.low_v <= value <= terminal.high_v


def test_descent_improves_on_its_starts(solutions):
    for solution in solutions:
        losses = [step["loss_best"] for step in solution.history]
        assert len(losses) == DESCENT.steps + 1
        assert min(losses) < losses[0]


def test_the_best_state_on_the_way_is_kept():
    """Steps far too large lose what they pass; for flatness the loss is the deviation itself."""
    wild = Descent(restarts=1, steps=30, screening=50, learning_rate=20.0)
    gate = Gate("TRUE", INPUTS)
    solution = train(gate, TanhNetwork(), descent=wild, scale_na=1.0)
    losses = [step["loss_best"] for step in solution.history]
    assert min(losses) < losses[-1]
    # Trained in single precision on currents of tens of nA: 1e-7 x 50 nA.
    assert np.std(solution.current_na) == pytest.approx(min(losses), abs=1e-4)


def test_the_same_seed_gives_the_same_controls_and_leaves_global_state_alone():
    state = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    runs = [train(Gate("XOR", INPUTS), TanhNetwork(), descent=QUICK, seed=s) for s in (3, 3, 4)]
    assert runs[0].controls == runs[1].controls
    assert runs[0].history == runs[1].history
    assert runs[0].controls != runs[2].controls
    assert torch.equal(torch.random.get_rng_state(), state[0])
    assert (np.random.get_state()[1] == state[1]).all()  # noqa: NPY002


def test_tasks_in_one_batch_do_not_see_each_other():
    """Same scale, same seed: a gate trained among others ends where it ends alone."""
    device, names = TanhNetwork(), ("AND", "XOR", "NOR")
    together = train_all([Gate(n, INPUTS) for n in names], device, descent=QUICK)
    for name, solution in zip(names, together, strict=True):
        alone = train(Gate(name, INPUTS), device, descent=QUICK)
        # Sums over batches of other shapes round differently in single precision.
        assert alone.controls == pytest.approx(solution.controls, abs=1e-4)


def test_tasks_with_other_points_get_their_own_batch():
    device = TanhNetwork()
    ring = Ring(INPUTS, n_train=20, n_test=20)
    mixed = [Gate("AND", INPUTS), ring, Gate("OR", ("e2", "e4")), Gate("OR", INPUTS)]
    solutions = train_all(mixed, device, descent=QUICK)
    assert [s.task for s in solutions] == ["AND", "ring", "OR", "OR"]
    assert solutions[2].inputs == ("e2", "e4")
    with pytest.raises(TrainingError, match="differ in inputs or points"):
        in_silico(mixed, device)


def test_the_ring_and_the_features_learn():
    device = TanhNetwork(n_terminals=7)
    ring = Ring(INPUTS, n_train=40, n_test=200)
    chance = train(ring, device, descent=Descent(restarts=1, steps=1, screening=1))
    learnt = train(ring, device, descent=DESCENT)
    assert learnt.score.accuracy > max(0.8, float(chance.score.accuracy))
    patterns = Features(("e1", "e3", "e5", "e7"))
    before = train(patterns, device, descent=Descent(restarts=1, steps=1, screening=1))
    after = train(patterns, device, descent=DESCENT)
    assert after.score.margin_na > max(0.0, float(before.score.margin_na))


def test_the_chosen_output_is_trained():
    device = TanhNetwork(n_outputs=2)
    first, second = (
        train(Gate("XOR", INPUTS), device, output=o, descent=DESCENT) for o in (0, "o1")
    )
    assert (first.output, second.output) == ("o0", "o1")
    controls = [second.controls[name] for name in ("e2", "e4", "e5", "e6")]
    current = task_current(Gate("XOR", INPUTS), device, controls, output="o1")
    assert current == pytest.approx(second.current_na)


@pytest.mark.parametrize("loss", ["correlation_separation", "fisher", "soft_margin"])
def test_every_two_class_loss_finds_xor(loss):
    solution = train(Gate("XOR", INPUTS), TanhNetwork(), descent=DESCENT, loss=loss)
    assert solution.score.passed


def test_progress_is_told():
    told = []
    train(Gate("OR", INPUTS), TanhNetwork(), descent=QUICK, progress=lambda *a: told.append(a))
    assert [t[:2] for t in told] == [(k, 5) for k in range(6)]


def test_cost_counts_points():
    solution = train(Gate("OR", INPUTS), TanhNetwork(), descent=QUICK)
    assert solution.cost.measurements == 4 * (20 + 4 * 6)
    assert solution.cost.device_s == 0
    assert solution.cost.wall_s > 0


def test_inputs_are_found_and_the_ranking_is_sorted():
    found = find_inputs(
        TanhNetwork(), lambda pair: gates(pair)[1:-1], screening=200, descent=DESCENT
    )
    assert len(found.ranking) == 15
    margins = [margin for _, margin in found.ranking]
    assert margins == sorted(margins, reverse=True)
    assert found.n_passed == 14
    assert found.inputs == found.solutions[0].inputs == found.tried[-1]


def test_capacity_counts_labelings():
    # A current linear in its inputs, with free weights: all but XOR and XNOR of the 16 tables.
    class Linear(TanhNetwork):
        def current(self, voltage):
            v = np.asarray(voltage)
            return 10 * (v[..., :1] * v[..., 2:3] + v[..., 1:2] * v[..., 3:4])

        def gradient(self, voltage):
            v = np.asarray(voltage)
            return 10 * np.stack([v[..., 2], v[..., 3], v[..., 0], v[..., 1]], -1)[..., None, :]

    device = Linear(n_terminals=4)
    found = capacity(device, 4, inputs=("e1", "e2"), min_margin_na=1.0, descent=DESCENT)
    missed = {s.task for s in found.solutions if not s.score.passed}
    assert missed == {"0110", "1001"}
    assert (found.realised, found.total, found.share) == (14, 16, 14 / 16)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"method": "magic"}, TrainingError, f"there are {', '.join(METHODS)}"),
        ({"stepps": 3}, TrainingError, "stepps"),
        ({"loss": "hinge"}, TrainingError, "no loss 'hinge'"),
        ({"scale_na": 0.0}, ParameterError, "scale_na"),
        ({"output": "o7"}, TaskError, "it has o0"),
    ],
)
def test_bad_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        train(Gate("OR", INPUTS), TanhNetwork(), **options)


@pytest.mark.parametrize(
    "values",
    [
        {"restarts": 0},
        {"steps": 1.5},
        {"screening": 3, "restarts": 4},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"screened_share": 1.1},
    ],
)
def test_a_descent_that_makes_no_sense_is_refused(values):
    with pytest.raises(ParameterError):
        Descent(**values)


def test_a_model_that_gives_nan_is_refused():
    class Broken(TanhNetwork):
        def current(self, voltage):
            return np.full((*np.shape(voltage)[:-1], 1), np.nan)

    with pytest.raises(TrainingError, match="NaN or infinity"):
        train(Gate("OR", INPUTS), Broken(), descent=QUICK)


def test_no_task_is_refused():
    with pytest.raises(TrainingError, match="no task"):
        in_silico([], TanhNetwork())
