"""Devices with a known answer: resistors, and one that lags behind its voltage."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray, Terminal
from inmateria.rigs.guard import Guard
from inmateria.rigs.noise import PowerLawNoise
from inmateria.rigs.simulated import SimulatedRig

CONDUCTANCE = np.array([[40.0, -8.0, 2.0, 0.0], [1.0, 0.5, -20.0, 0.0]])  # nA/V


class Resistors:
    """Four terminals, the last of them open, and two outputs."""

    def __init__(self, conductance: FloatArray = CONDUCTANCE, *, offset_na: float = 0.0) -> None:
        self.conductance = conductance
        self.offset_na = offset_na
        self.terminals = tuple(Terminal(n, -1.0, 1.0) for n in ("a", "b", "c", "d"))
        self.outputs = ("x", "y")

    def current(self, voltage: ArrayLike) -> FloatArray:
        v = np.asarray(voltage, dtype=np.float64)
        return np.asarray((v[..., None, :] * self.conductance).sum(axis=-1)) + self.offset_na

    def describe(self) -> dict[str, Any]:
        return {"kind": "resistors"}


class _Play:
    """What is felt of a terminal follows its voltage at a distance: backlash of a gear."""

    def __init__(self, device: Backlash) -> None:
        self.device = device
        self.felt = np.zeros(4)

    def current(self, voltage: ArrayLike) -> FloatArray:
        felt = []
        for v in np.asarray(voltage):
            self.felt = np.clip(self.felt, v - self.device.slack_v, v + self.device.slack_v)
            felt.append(self.felt)
        return self.device.current(np.array(felt))


class Backlash(Resistors):
    """The same resistors behind a backlash: up and down differ by twice its slack."""

    def __init__(self, slack_v: ArrayLike) -> None:
        super().__init__()
        self.slack_v = np.asarray(slack_v)

    def stream(self) -> _Play:
        return _Play(self)


def bench(device: Resistors, *, seed: int = 0, white: float = 1e-6, level: float = 1e-5,
          **stages: Any) -> Guard:  # fmt: skip
    """A guarded rig with noise of a known spectrum."""
    noise = PowerLawNoise(level, 1e3, 1.5, white_na2_per_hz=white)
    return Guard(SimulatedRig(device, noise=noise, seed=seed, **stages))
