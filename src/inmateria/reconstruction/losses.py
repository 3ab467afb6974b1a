"""Losses of reconstruction networks.

A network with an uncertainty is trained by the negative logarithm of a normal likelihood,
each pixel weighted with sigma^(2 beta) (Seitzer et al. 2022): without that weight a network
first explains hard pixels by a large uncertainty and then stops to learn them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from inmateria.errors import ShapeError

BETA = 0.5


def squared(found: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference.

    Raises
    ------
    ShapeError
    """
    _same(found.shape, target.shape)
    return torch.nn.functional.mse_loss(found, target)


def likelihood(found: Tensor, target: Tensor) -> Tensor:
    """Weighted negative log-likelihood of (n, 2, ...): value and log sigma, for (n, 1, ...)."""
    _same(found.shape, (found.shape[0], 2, *target.shape[2:]))
    _same(target.shape, (found.shape[0], 1, *target.shape[2:]))
    value, log_sigma = found[:, :1], found[:, 1:]
    misfit = 0.5 * ((target - value) * torch.exp(-log_sigma)) ** 2 + log_sigma
    weighted: Tensor = misfit * torch.exp(2 * BETA * log_sigma).detach()
    return weighted.mean()


def log_score(found: Tensor, target: Tensor) -> Tensor:
    """Negative log-likelihood without weights, by which networks are compared.

    The weighted one has its minimum where sigma is exp(-3/2) and not where it is smallest.
    """
    _same(found.shape, (found.shape[0], 2, *target.shape[2:]))
    _same(target.shape, (found.shape[0], 1, *target.shape[2:]))
    value, log_sigma = found[:, :1], found[:, 1:]
    misfit = 0.5 * ((target - value) * torch.exp(-log_sigma)) ** 2 + log_sigma
    return misfit.mean()


def _same(found: Sequence[int], expected: Sequence[int]) -> None:
    # PyTorch would stretch one of them.
    if tuple(found) != tuple(expected):
        raise ShapeError(
            f"outputs or targets of shape {tuple(found)} where {tuple(expected)} belongs: network, "
            "loss and targets do not go together"
        )


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "squared": squared,
    "likelihood": likelihood,
}

# What the best epoch is chosen by.
SCORES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "squared": squared,
    "likelihood": log_score,
}
