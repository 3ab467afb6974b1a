"""Gradient, momentum and Adam for a handful of voltages, and schedules of the learning rate.

A step is what is taken off the controls, before the learning rate:

    gradient   g
    momentum   m <- b1 m + (1 - b1) g,  step m / (1 - b1^t)
    adam       the same m, and v <- b2 v + (1 - b2) g^2,
               step [m / (1 - b1^t)] / (sqrt(v / (1 - b2^t)) + eps)     (Kingma and Ba 2015)

Momentum is written as a mean, so that a learning rate means the same for it as
for the plain gradient. The first two want a learning rate in V^2 per unit of
loss; Adam's step has no unit, and its learning rate is in volts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np

from inmateria.devices.device import FloatArray

_BETA1, _BETA2, _EPSILON = 0.9, 0.99, 1e-8
_LAST = 0.01
"""Share of the learning rate that an exponential schedule ends with."""


class Optimiser(Protocol):
    """Carries what it remembers of the gradients before."""

    def step(self, gradient: FloatArray) -> FloatArray:
        """Gradient (n_controls,) to the step for a learning rate of one."""


class PlainGradient:
    """Remembers nothing."""

    def step(self, gradient: FloatArray) -> FloatArray:
        """The gradient itself."""
        return gradient


class Momentum:
    """Mean of the gradients before, the last ones weighing most."""

    def __init__(self) -> None:
        self._count = 0
        self._mean: FloatArray | float = 0.0

    def step(self, gradient: FloatArray) -> FloatArray:
        """The mean, freed of its start at zero."""
        self._count += 1
        self._mean = _BETA1 * self._mean + (1 - _BETA1) * gradient
        return np.asarray(self._mean / (1 - _BETA1**self._count))


class Adam:
    """The mean in units of the root mean square, each component by itself."""

    def __init__(self) -> None:
        self._momentum = Momentum()
        self._count = 0
        self._square: FloatArray | float = 0.0

    def step(self, gradient: FloatArray) -> FloatArray:
        """About one in each component that keeps its sign."""
        self._count += 1
        self._square = _BETA2 * self._square + (1 - _BETA2) * gradient**2
        size = np.sqrt(self._square / (1 - _BETA2**self._count))
        return np.asarray(self._momentum.step(gradient) / (size + _EPSILON))


OPTIMISERS: dict[str, Callable[[], Optimiser]] = {
    "gradient": PlainGradient,
    "momentum": Momentum,
    "adam": Adam,
}
"""Optimisers by name."""

LEARNING_RATE = {"gradient": 0.02, "momentum": 0.02, "adam": 0.05}
"""Default learning rates: V^2 per unit of loss (Boon et al. 2025), and V for Adam."""

SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda _: 1.0,
    "cosine": lambda share: 0.5 * (1 + math.cos(math.pi * share)),
    "exponential": lambda share: _LAST**share,
}
"""Share of the iterations done, 0 to 1, to the share of the learning rate."""
