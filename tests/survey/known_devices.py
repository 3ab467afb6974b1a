"""Devices whose survey is known in closed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray, Terminal, check_voltage


class Formula:
    """Terminals a, b (inputs) and c, d (controls), each -1 V to 1 V; current by a formula."""

    def __init__(self, formula: Callable[[FloatArray], FloatArray]) -> None:
        self.terminals = tuple(Terminal(name) for name in "abcd")
        self.outputs = ("out",)
        self.formula = formula
        self.calls = 0

    def current(self, voltage: ArrayLike) -> FloatArray:
        self.calls += 1
        v = check_voltage(self.terminals, voltage)
        return np.asarray(self.formula(v))[..., None]

    def describe(self) -> dict[str, Any]:
        return {"kind": "formula"}


def linear() -> Formula:
    """3 a + 2 b + 4 c - d nA: adds up, and both inputs raise it."""
    return Formula(lambda v: v @ np.array([3.0, 2.0, 4.0, -1.0]))


def product() -> Formula:
    """5 a b c nA: at fixed controls XNOR (c > 0) or XOR (c < 0), nothing else."""
    return Formula(lambda v: 5.0 * v[..., 0] * v[..., 1] * v[..., 2])


def cubic(a: float) -> Formula:
    """V^3 - a V of the first input, nA: falls between -sqrt(a / 3) and sqrt(a / 3)."""
    return Formula(lambda v: v[..., 0] ** 3 - a * v[..., 0])
