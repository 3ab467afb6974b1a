"""Losses: finite everywhere, gradients against finite differences, limits by hand."""

from __future__ import annotations

import math

import pytest
import torch

from inmateria.errors import TaskError
from inmateria.training.losses import LOSSES, margin_of, separation

XOR = torch.tensor([0.0, 1.0, 1.0, 0.0], dtype=torch.float64)
TWO_CLASSES = ("correlation_separation", "fisher", "soft_margin", "binary_logistic")

# Without ties, so that hard minima and sorts are smooth here.
WITHIN = torch.tensor([0.3, 0.1, 1.4, -0.6], dtype=torch.float64)


def currents(gap: float) -> torch.Tensor:
    """Four currents whose XOR separation is `gap` nA."""
    y = WITHIN + gap * XOR
    return y - (separation(y, XOR) - gap) * XOR


def slope(loss, y, direction, h):
    """Central difference of fourth order along a direction."""
    f = [loss(y + k * h * direction) for k in (-2, -1, 1, 2)]
    return (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("gap", [-1000, -300, -30, -11, -9, -1, -0.1, 0.1, 1, 9, 30, 300, 1000])
def test_gradient_agrees_with_finite_differences(name, gap):
    y = currents(gap).requires_grad_()

    def loss(current):
        return LOSSES[name](current, XOR)

    value = loss(y)
    (gradient,) = torch.autograd.grad(value, y)
    assert torch.isfinite(value)
    assert torch.isfinite(gradient).all()
    # h = 1e-3 nA: truncation h^4 f5 / 30 is below 1e-12 f for scales of 0.5 nA and more (fisher's
    # floor is not met here); rounding is 1e-16 f / h = 1e-13 f.
    numeric = torch.stack([slope(loss, y.detach(), e, 1e-3) for e in torch.eye(4).double()])
    tolerance = 1e-7 * float(gradient.abs().max()) + 1e-11 * (1 + abs(value.item()))
    assert torch.allclose(gradient, numeric, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", LOSSES)
def test_constant_output_has_a_finite_loss_and_gradient(name):
    y = torch.full((4,), 7.0, dtype=torch.float64, requires_grad=True)
    value = LOSSES[name](y, XOR)
    (gradient,) = torch.autograd.grad(value, y)
    assert torch.isfinite(value)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("name", TWO_CLASSES)
def test_gradient_of_a_constant_output_pulls_the_classes_apart(name):
    """Along the target's direction even ties are smooth: all highs rise together."""
    y = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(LOSSES[name](y, XOR), y)
    along = float(gradient @ XOR)
    # h = 1e-6 nA is a thousandth of the floor of 1 pA, below which ratios curve: 1e-12 of it.
    numeric = float(slope(lambda c: LOSSES[name](c, XOR), y.detach(), XOR, 1e-6))
    assert along < 0
    assert along == pytest.approx(numeric, rel=1e-6)


@pytest.mark.parametrize("name", TWO_CLASSES)
def test_wider_is_better_over_the_whole_range(name):
    gaps = torch.linspace(-1000, 1000, 401, dtype=torch.float64)
    value = torch.stack([LOSSES[name](currents(float(g)), XOR) for g in gaps])
    # Once perfect, only rounding is left.
    assert (value.diff() <= 1e-12).all()
    # In the wrong order every step counts.
    assert (value.diff()[gaps[1:] < 0] < 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_single_precision_stays_finite(name):
    for gap in (-1000.0, 0.0, 1000.0):
        y = currents(gap).float().requires_grad_()
        value = LOSSES[name](y, XOR.float())
        (gradient,) = torch.autograd.grad(value, y)
        assert torch.isfinite(value)
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_is_what_its_members_are(name):
    y = torch.randn(3, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    together = LOSSES[name](y, XOR)
    assert together.shape == (3, 5)
    alone = torch.stack(
        [torch.stack([LOSSES[name](y[i, j], XOR) for j in range(5)]) for i in range(3)]
    )
    assert torch.allclose(together, alone, rtol=1e-12, atol=0)


def test_correlation_separation_is_the_papers_above_minus_ten():
    y = torch.tensor([1.0, 5.0, 7.0, 2.0], dtype=torch.float64)
    rho = float(torch.corrcoef(torch.stack([y, XOR]))[0, 1])
    expected = (1 - rho) * (1 + math.exp(-3.0))
    value = LOSSES["correlation_separation"](y, XOR)
    # The floor of 1 pA against a deviation of 2.4 nA takes (1e-3 / 2.4)^2 / 2 = 9e-8 off rho.
    assert float(value) == pytest.approx(expected, abs=1e-7)


def test_correlation_separation_joins_smoothly_at_minus_ten():
    def value(gap):
        return float(LOSSES["correlation_separation"](currents(gap), XOR))

    h = 1e-4
    left, right = (value(-10) - value(-10 - h)) / h, (value(-10 + h) - value(-10)) / h
    # One-sided slopes of a C1 function differ by h f'' only: 1e-4 of the slope.
    assert left == pytest.approx(right, rel=1e-3)
    # At -30 it would be e^30 = 1e13 unbounded; the tangent stays at 21 e^10 (1 - rho).
    assert value(-30) < 2 * 22 * math.exp(10)


def test_soft_margin_never_promises_more_than_the_margin():
    y = 5 * torch.randn(200, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    scale = 0.7
    loss = LOSSES["soft_margin"](y, XOR, scale_na=scale)
    smooth = -scale * torch.log(torch.expm1(loss))
    short = separation(y, XOR) - smooth
    assert (short >= -1e-9).all()
    assert (short <= scale * math.log(4) + 1e-9).all()


def test_binary_logistic_has_the_best_threshold():
    y = torch.tensor([0.0, 1.0, 5.0, 6.0, 2.5], dtype=torch.float64)
    target = torch.tensor([0.0, 0.0, 1.0, 1.0, 1.0], dtype=torch.float64)

    def at(b):
        x = (y - b) / 2.0
        return 0.5 * (
            torch.nn.functional.softplus(-x[2:]).mean() + torch.nn.functional.softplus(x[:2]).mean()
        )

    scanned = min(float(at(b)) for b in torch.linspace(0, 6, 6001, dtype=torch.float64))
    # The scan misses the minimum by 0.5 mA at most: curvature 1/16 per nA^2 times (5e-4)^2.
    assert float(LOSSES["binary_logistic"](y, target)) == pytest.approx(scanned, abs=2e-8)


@pytest.mark.parametrize("name", TWO_CLASSES)
def test_a_common_offset_does_not_matter(name):
    y = currents(3.0)
    assert float(LOSSES[name](y + 500, XOR)) == pytest.approx(float(LOSSES[name](y, XOR)), rel=1e-9)


def test_flatness_and_distinct_by_hand():
    y = torch.tensor([1.0, 3.0, 1.0, 3.0], dtype=torch.float64)
    assert float(LOSSES["flatness"](y, XOR)) == pytest.approx(1.0, rel=1e-6)
    even = torch.tensor([0.0, 100.0, 200.0, 300.0], dtype=torch.float64)
    crowded = torch.tensor([0.0, 1.0, 200.0, 300.0], dtype=torch.float64)
    assert LOSSES["distinct"](even, XOR) < LOSSES["distinct"](crowded, XOR)


def test_hard_margins():
    y = torch.tensor([[1.0, 5.0, 7.0, 2.0]])
    assert margin_of("margin")(y, XOR).tolist() == [3.0]
    assert margin_of("flatness")(y, XOR).tolist() == [-6.0]
    assert margin_of("distinct")(y, XOR).tolist() == [1.0]
    with pytest.raises(TaskError, match="no criterion"):
        margin_of("other")  # type: ignore[arg-type]
