"""Devices with a known answer, and a bench on which something is wrong on purpose."""

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


class Crooked(SimulatedRig):
    """A rig that is late, hums, or reads one output as a constant."""

    def __init__(self, device: Resistors, *, late: int = 0, hum_na: float = 0.0,
                 dead: int | None = None, **stages: Any) -> None:  # fmt: skip
        super().__init__(device, **stages)
        self.late, self.hum_na, self.dead = late, hum_na, dead
        self.behind = np.zeros((2, late))
        self.played = 0

    def play(self, voltage: ArrayLike) -> FloatArray:
        whole = np.hstack([self.behind, super().play(voltage)])
        n = whole.shape[1] - self.late
        self.behind = whole[:, n:]
        read = whole[:, :n].copy()
        t = (self.played + np.arange(n)) / self.rate
        self.played += n
        read[1] += self.hum_na * np.sin(2 * np.pi * 50 * t)
        if self.dead is not None:
            read[self.dead] = 12.5
        return read


def bench(device: Resistors, *, seed: int = 0, white: float = 1e-6, level: float = 1e-5,
          slew_v_per_s: float = 200.0, **crooked: Any) -> Guard:  # fmt: skip
    """A guarded rig with noise of a known spectrum."""
    noise = PowerLawNoise(level, 1e3, 1.5, white_na2_per_hz=white)
    rig = Crooked(device, noise=noise, seed=seed, **crooked)
    return Guard(rig, slew_v_per_s=slew_v_per_s)
