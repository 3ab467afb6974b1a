"""Devices that are a formula, and rigs that drift or break in known ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import Device, FloatArray, Terminal
from inmateria.rigs.simulated import SimulatedRig


class Formula:
    """Terminals a, b, c; one output for each formula of (..., 3) V."""

    def __init__(self, *formulas: Callable[[FloatArray], FloatArray]) -> None:
        self.terminals = tuple(Terminal(n, -1.0, 1.0) for n in ("a", "b", "c"))
        self.outputs = tuple(f"o{k}" for k in range(len(formulas)))
        self.formulas = formulas

    def current(self, voltage: ArrayLike) -> FloatArray:
        v = np.asarray(voltage, dtype=np.float64)
        return np.stack([f(v) for f in self.formulas], axis=-1)

    def describe(self) -> dict[str, Any]:
        return {"kind": "formula"}


class Parabolas(Formula):
    """Two outputs of second order, with their gradient."""

    linear = np.array([[3.0, -20.0, 8.0], [0.5, 1.0, -2.0]])
    second = np.array(
        [
            [[40.0, 5.0, 0.0], [5.0, -30.0, 2.0], [0.0, 2.0, 10.0]],
            [[1.0, 0.0, 0.5], [0.0, 2.0, 0.0], [0.5, 0.0, -3.0]],
        ]
    )

    def __init__(self) -> None:
        super().__init__(*(self._output(k) for k in range(2)))

    def gradient(self, voltage: ArrayLike) -> FloatArray:
        v = np.asarray(voltage, dtype=np.float64)
        return self.linear + np.einsum("oij,...j->...oi", self.second, v)

    def _output(self, k: int) -> Callable[[FloatArray], FloatArray]:
        return lambda v: (
            v @ self.linear[k] + np.einsum("...i,ij,...j->...", v, self.second[k], v) / 2
        )


def slopes(*g: float) -> Formula:
    """One output, linear, of these slopes in nA/V."""
    return Formula(lambda v: v @ np.array(g))


class Disturbed(SimulatedRig):
    """An ideal rig whose recordings pass through `disturb(current, time_s)`."""

    def __init__(
        self, device: Device, disturb: Callable[[FloatArray, FloatArray], FloatArray]
    ) -> None:
        super().__init__(
            device, dac=None, electrodes=None, noise=None, converter=None, lowpass=None, adc=None
        )
        self.disturb = disturb
        self.n = 0

    def play(self, voltage: ArrayLike) -> FloatArray:
        current = super().play(voltage)
        time_s = (self.n + np.arange(current.shape[1])) / self.rate
        self.n += current.shape[1]
        return self.disturb(current, time_s)
