"""Losses at training points: right slopes, failed readings, no look at test points."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.errors import ParameterError, TrainingError
from inmateria.gradients.gradient import Gradient
from inmateria.tasks import Features, Gate, Ring
from inmateria.training.rig_loss import TaskLoss, training_score

INPUTS = ("e1", "e3")
XOR = Gate("XOR", INPUTS)
RING = Ring(INPUTS, n_train=12, n_test=30)


def currents(n: int, *batch: int) -> np.ndarray:
    return np.random.default_rng(n).normal(0.0, 3.0, (*batch, n))


@pytest.mark.parametrize(
    "task", [XOR, Gate("TRUE", INPUTS), RING, Features(("e1", "e2", "e3", "e4"))]
)
def test_slope_is_the_derivative_of_the_loss(task):
    loss = TaskLoss(task)
    y = currents(int(task.train.sum()))
    # Central differences in double precision: truncation h^2, rounding 1e-16 / h, both below
    # 1e-8 of the loss's own scale of 1.
    h = 1e-5
    steps = h * np.eye(y.size)
    numerical = (loss(y + steps) - loss(y - steps)) / (2 * h)
    assert loss.slope(y) == pytest.approx(numerical, abs=1e-6 * np.abs(numerical).max())


def test_the_paper_s_loss_is_chosen_for_gates_and_computed_as_published():
    """E = (1 - rho) / sigmoid(separation / 1 nA), Boon et al. 2025."""
    y = np.array([0.5, 3.0, 4.0, 1.0])
    rho = np.corrcoef(y, XOR.target)[0, 1]
    expected = (1 - rho) * (1 + np.exp(-(3.0 - 1.0)))
    # The floor of 1 pA beside a deviation of 1.4 nA changes rho by (1e-3 / 1.4)^2 / 2 = 2.5e-7,
    # and with it 1 - rho, which is 0.04, by a share of 6e-6.
    assert TaskLoss(XOR)(y) == pytest.approx(expected, rel=1e-5)


def test_scale_and_name_are_taken():
    y = currents(4)
    assert TaskLoss(XOR, "fisher")(y) != TaskLoss(XOR)(y)
    wide, narrow = TaskLoss(XOR, scale_na=5.0)(y), TaskLoss(XOR, scale_na=1.0)(y)
    assert wide < narrow  # classes overlap at random: a wider scale minds it less
    assert TaskLoss(Gate("TRUE", INPUTS), "fisher").name == "flatness"


def test_a_missing_current_is_infinitely_bad():
    y = currents(4, 3)
    y[1, 2] = np.nan
    loss = TaskLoss(XOR)(y)
    assert np.isinf(loss[1])
    assert np.isfinite(loss[[0, 2]]).all()
    score = training_score(XOR, y)
    assert not score.passed[1]
    assert score.margin_na[1] == -np.inf
    assert score.margin_na[0] == XOR.score(y[0]).margin_na


def test_chain_rule_leaves_out_points_without_a_gradient():
    loss, rng = TaskLoss(XOR), np.random.default_rng(0)
    value, error = rng.normal(size=(4, 2)), np.full((4, 2), 0.5)
    problem = np.array(["", "drifting", "", ""])
    value[1], error[1] = np.nan, np.nan
    y = currents(4)
    gradient = Gradient(value, error, y, ("a", "b"), problem, None, 4, 0.5)
    slope, kept = loss.slope(y), [0, 2, 3]
    total, sigma = loss.chain(gradient)
    assert total == pytest.approx(sum(slope[p] * value[p] for p in kept))
    assert sigma == pytest.approx(np.full(2, 0.5 * np.sqrt(np.sum(slope[kept] ** 2))))


def test_nothing_defined_is_nan_and_not_zero():
    nan = np.full((4, 2), np.nan)
    gradient = Gradient(nan, nan, currents(4), ("a", "b"), np.full(4, "dead"), None, 4, 0.5)
    assert np.isnan(TaskLoss(XOR).chain(gradient)).all()


def test_training_points_are_judged_by_themselves():
    y = np.concatenate([np.where(RING.target[:12] > 0.5, 5.0, 1.0), np.zeros(30)])
    score = training_score(RING, y[:12])
    assert score.accuracy == 1
    assert score.passed
    assert score.margin_na == pytest.approx(4.0)
    assert not RING.score(y).passed  # the test points say otherwise, and are not asked


def test_bad_choices():
    with pytest.raises(TrainingError, match="no loss 'hinge'; there are"):
        TaskLoss(XOR, "hinge")
    with pytest.raises(ParameterError, match="scale_na"):
        TaskLoss(XOR, scale_na=0.0)
