"""A device with a known gradient and curvature, and rigs that spoil a measurement."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray, Terminal
from inmateria.rigs.simulated import SimulatedRig
from inmateria.signals.tones import TonePlan


class Curved:
    """I = g.v + v.h.v / 2 + t.v^3 / 6 at two outputs, in nA."""

    def __init__(self, n: int = 4, *, curvature: float = 60.0, third: float = 100.0) -> None:
        random = np.random.default_rng(0)
        self.slope = random.normal(0, 30, (2, n))
        h = random.normal(0, 1, (2, n, n))
        self.hessian = curvature * (h + h.transpose(0, 2, 1)) / 2
        self.third = third * random.choice([-1.0, 1.0], (2, n))
        self.terminals = tuple(Terminal(f"e{i}") for i in range(n))
        self.outputs = ("x", "y")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(t.name for t in self.terminals)

    def current(self, voltage: ArrayLike) -> FloatArray:
        v = np.asarray(voltage, dtype=np.float64)
        square = np.einsum("onm,...n,...m->...o", self.hessian, v, v)
        return np.asarray(v @ self.slope.T + square / 2 + v**3 @ self.third.T / 6)

    def gradient(self, voltage: ArrayLike) -> FloatArray:
        v = np.asarray(voltage, dtype=np.float64)
        bent = np.einsum("onm,...m->...on", self.hessian, v)
        return np.asarray(self.slope + bent + self.third * v[..., None, :] ** 2 / 2)

    def points(self, n: int, *, reach: float = 0.6, seed: int = 1) -> FloatArray:
        return np.random.default_rng(seed).uniform(-reach, reach, (n, len(self.terminals)))

    def describe(self) -> dict[str, Any]:
        return {"kind": "curved"}


class Fading(SimulatedRig):
    """Its amplifier loses `loss` of its gain a second."""

    loss = 0.0
    played = 0

    def play(self, voltage: ArrayLike) -> FloatArray:
        reading = super().play(voltage)
        time = (self.played + np.arange(reading.shape[1])) / self.rate
        self.played += reading.shape[1]
        return reading * np.exp(-self.loss * time)


class Hasty(SimulatedRig):
    """Says 10 kS/s and plays 0.3 % faster."""

    def play(self, voltage: ArrayLike) -> FloatArray:
        asked = np.asarray(voltage)
        sample = np.arange(asked.shape[1])
        return super().play(np.array([np.interp(1.003 * sample, sample, row) for row in asked]))


def odd_tones(
    n: int = 4,
    *,
    parallel: bool = True,
    amplitude_v: float = 0.008,
    top_hz: float = 970.0,
    spacing_hz: float = 20.0,
    n_wait: int = 100,
) -> TonePlan:
    """0.1 s at 10 kS/s; parallel tones at neighbouring odd bins, sequential ones all at the top."""
    frequency = top_hz - spacing_hz * np.arange(n) if parallel else np.full(n, top_hz)
    return TonePlan(
        rate=10_000.0,
        n_samples=1000,
        n_wait=n_wait,
        frequency_hz=frequency,
        amplitude_v=np.full(n, amplitude_v),
        phase=np.pi * np.arange(n) ** 2 / n,
        group=np.zeros(n, dtype=int) if parallel else np.arange(n),
    )
