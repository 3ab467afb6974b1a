"""The three optimisers on gradients whose steps are known, and the schedules' ends."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.training.optimisers import OPTIMISERS, SCHEDULES


def test_plain_gradient_and_a_steady_one_under_momentum():
    g = np.array([1.0, -3.0])
    plain, momentum = OPTIMISERS["gradient"](), OPTIMISERS["momentum"]()
    for _ in range(5):
        assert plain.step(g) == pytest.approx(g)
        assert momentum.step(g) == pytest.approx(g)


def test_momentum_is_the_weighted_mean_of_what_came_before():
    """After g1, g2: (0.9 x 0.1 g1 + 0.1 g2) / (1 - 0.81)."""
    momentum = OPTIMISERS["momentum"]()
    momentum.step(np.array([1.0]))
    assert momentum.step(np.array([3.0])) == pytest.approx((0.09 * 1 + 0.1 * 3) / 0.19)


def test_adam_takes_steps_of_one_whatever_the_unit():
    for unit in (1e-3, 1.0, 1e3):
        adam = OPTIMISERS["adam"]()
        for _ in range(10):
            # eps = 1e-8 beside a gradient of 1e-3 changes the step by 1e-5.
            assert adam.step(unit * np.array([1.0, -2.0])) == pytest.approx([1, -1], rel=1e-4)


def test_adam_agrees_with_torch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    theirs = torch.optim.Adam([x], lr=0.1, betas=(0.9, 0.99), eps=1e-8)
    ours, y = OPTIMISERS["adam"](), np.zeros(3)
    for _ in range(30):
        g = rng.normal(size=3)
        x.grad = torch.tensor(g)
        theirs.step()
        y = y - 0.1 * ours.step(g)
    assert y == pytest.approx(x.detach().numpy(), rel=1e-12)


def test_schedules_begin_at_one_and_end_where_they_say():
    assert [SCHEDULES[name](0.0) for name in SCHEDULES] == [1, 1, 1]
    ends = {name: SCHEDULES[name](1.0) for name in SCHEDULES}
    assert ends == pytest.approx({"constant": 1, "cosine": 0, "exponential": 0.01})
