"""Losses: what gradient descent makes small, for each criterion of a task.

Every loss takes currents `(..., n_points)` in nA and a target `(n_points,)` (or
any target that broadcasts against the currents, 0 low and 1 high) and gives
`(...)`. All are finite, with finite and correct gradients, for any finite
current, a constant one included.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from inmateria.errors import TaskError
from inmateria.tasks.task import Criterion

_FLOOR_NA = 1e-3
"""Regularises ratios: no current here is known better than a picoampere."""

_FAR = 1e30
"""Takes a point out of a smallest or largest; finite, so that gradients are."""


class Loss(Protocol):
    """A loss with a scale: the current (nA) over which it changes."""

    def __call__(self, current: Tensor, target: Tensor, *, scale_na: float = ...) -> Tensor:
        """(..., n_points) nA and a target to (...)."""


def separation(current: Tensor, target: Tensor) -> Tensor:
    """Lowest high minus highest low, (..., n_points) to (...) nA."""
    high = target > 0.5
    lowest = torch.where(high, current, _FAR).amin(-1)
    return lowest - torch.where(high, -_FAR, current).amax(-1)


def correlation_separation(current: Tensor, target: Tensor, *, scale_na: float = 1.0) -> Tensor:
    """Correlation with separation, E = (1 - rho) / sigmoid(separation / scale).

    rho is Pearson's correlation of current and target, the separation the
    lowest high minus the highest low (Boon et al. 2025, with a scale of 1 nA).
    1 / sigmoid(s) = 1 + exp(-s) overflows for classes in the wrong order, so
    below s = -10 it goes on as its tangent there. rho of a constant current is
    taken as 0: a floor of 1 pA is added to the standard deviation in square.
    """
    y = current - current.mean(-1, keepdim=True)
    t = (target - target.mean(-1, keepdim=True)).expand_as(y)
    spread = (y.square().mean(-1) + _FLOOR_NA**2).sqrt()
    rho = (y * t).mean(-1) / (spread * t.square().mean(-1).sqrt())
    s = separation(current, target) / scale_na
    # Below -10, exp(-s) becomes e^10 (1 - (s + 10)): same value and slope at -10.
    growth = torch.where(s >= -10, torch.exp(-s.clamp(min=-10)), math.exp(10) * (-9 - s))
    return (1 - rho) * (1 + growth)


def fisher(current: Tensor, target: Tensor, *, scale_na: float = _FLOOR_NA) -> Tensor:
    """Fisher's criterion, kept finite: -asinh(d / sqrt(w)).

    d = mean(high) - mean(low), w = var(high) + var(low) + scale^2. Fisher's
    ratio J = d^2 / w grows without bound and does not know which class is on
    top; asinh(sign(d) sqrt(J)) grows with J, knows the sign, goes as
    log(J) / 2 for clear separation, and its gradient vanishes nowhere.
    """
    high = (target > 0.5).to(current.dtype)
    low = 1 - high
    n_high, n_low = high.sum(-1), low.sum(-1)
    mean_high = (current * high).sum(-1) / n_high
    mean_low = (current * low).sum(-1) / n_low
    var_high = ((current - mean_high[..., None]).square() * high).sum(-1) / n_high
    var_low = ((current - mean_low[..., None]).square() * low).sum(-1) / n_low
    within = (var_high + var_low + scale_na**2).sqrt()
    return -torch.asinh((mean_high - mean_low) / within)


def soft_margin(
    current: Tensor, target: Tensor, *, scale_na: float = 2.0, goal_na: float = 0.0
) -> Tensor:
    """Logistic loss of the smooth margin, softplus((goal - m) / scale).

    m is the smooth lowest high minus the smooth highest low, each a
    log-sum-exp at temperature `scale_na`. It never exceeds the margin itself,
    and falls short of it by at most scale log(n_high n_low).
    """
    high = target > 0.5
    y = current / scale_na
    lowest = -torch.logsumexp(torch.where(high, -y, -_FAR), -1)
    highest = torch.logsumexp(torch.where(high, -_FAR, y), -1)
    return softplus(goal_na / scale_na - (lowest - highest))


def flatness(current: Tensor, target: Tensor, *, scale_na: float = 1.0) -> Tensor:
    """For constant gates: standard deviation in units of the scale; `target` is not used."""
    del target
    y = current - current.mean(-1, keepdim=True)
    return (y.square().mean(-1) + _FLOOR_NA**2).sqrt() / scale_na


def binary_logistic(current: Tensor, target: Tensor, *, scale_na: float = 2.0) -> Tensor:
    """Logistic loss with the best threshold b, both classes weighing the same.

    L(y) = min_b [mean over highs of log(1 + exp(-(y - b) / scale))
                  + mean over lows of log(1 + exp((y - b) / scale))] / 2

    L is convex in b and its slope changes sign between the smallest and the
    largest current, so bisection finds b. At the minimum dL/db = 0: the
    gradient with respect to y is that at fixed b (envelope theorem).
    """
    high = target > 0.5
    weight_high = high / high.sum(-1, keepdim=True)
    weight_low = ~high / (~high).sum(-1, keepdim=True)
    with torch.no_grad():
        y = current.detach()
        below, above = y.amin(-1, keepdim=True), y.amax(-1, keepdim=True)
        # 1000 nA over 2^40 is far below any scale; float32 stops sooner by itself.
        for _ in range(40):
            middle = 0.5 * (below + above)
            right = torch.sigmoid((y - middle) / scale_na)
            slope = (weight_high * (1 - right) - weight_low * right).sum(-1, keepdim=True)
            below = torch.where(slope < 0, middle, below)
            above = torch.where(slope < 0, above, middle)
        threshold = 0.5 * (below + above)
    x = (current - threshold) / scale_na
    return -0.5 * (weight_high * logsigmoid(x) + weight_low * logsigmoid(-x)).sum(-1)


def distinct(
    current: Tensor, target: Tensor, *, scale_na: float = 0.5, goal_na: float = 0.0
) -> Tensor:
    """For feature mapping: softplus((goal - g) / scale), g the smooth smallest gap.

    Gaps are those between neighbours in sorted order; `target` is not used.
    """
    del target
    gap = torch.diff(torch.sort(current, dim=-1).values, dim=-1)
    return softplus(goal_na / scale_na + torch.logsumexp(-gap / scale_na, -1))


LOSSES: dict[str, Loss] = {
    "correlation_separation": correlation_separation,
    "fisher": fisher,
    "soft_margin": soft_margin,
    "flatness": flatness,
    "binary_logistic": binary_logistic,
    "distinct": distinct,
}
"""Losses by name."""

DEFAULT_LOSS: dict[Criterion, str] = {
    "margin": "soft_margin",
    "flatness": "flatness",
    "threshold": "binary_logistic",
    "distinct": "distinct",
}
"""What is descended for each criterion when the caller does not choose."""


def margin_of(criterion: Criterion) -> Callable[[Tensor, Tensor], Tensor]:
    """The hard margin (nA) that a criterion is about, for progress and history.

    Raises
    ------
    TaskError
        If the criterion is unknown.
    """
    if criterion in ("margin", "threshold"):
        return separation
    if criterion == "flatness":
        return lambda current, _: current.amin(-1) - current.amax(-1)
    if criterion == "distinct":
        return lambda current, _: torch.diff(torch.sort(current, dim=-1).values).amin(-1)
    raise TaskError(f"no criterion {criterion!r}; there are {', '.join(DEFAULT_LOSS)}")
