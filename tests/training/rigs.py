"""Rigs and estimators that the tests of searches share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray, Terminal
from inmateria.gradients.exact import Exact
from inmateria.gradients.gradient import Gradient
from inmateria.rigs.guard import Guard
from inmateria.rigs.simulated import SimulatedRig

from .stand_ins import TanhNetwork

QUIET: dict[str, Any] = {
    "dac": None, "electrodes": None, "noise": None, "converter": None, "lowpass": None, "adc": None,
}  # fmt: skip
"""A chain that changes nothing."""


def quiet_rig(device: Any = None, **stages: Any) -> Guard:
    """A guarded device that is read as it is."""
    return Guard(SimulatedRig(device or TanhNetwork(), **{**QUIET, **stages}))


class Bumps:
    """A smooth curved device, each point computed by itself: the same bits in any batch."""

    def __init__(self) -> None:
        self.terminals = tuple(Terminal(f"e{i}") for i in range(1, 7))
        self.outputs = ("out",)

    def current(self, voltage: ArrayLike) -> FloatArray:
        v = np.asarray(voltage, dtype=np.float64)
        saddle = 2 * v[..., 0] * v[..., 1] - v[..., 2] * v[..., 3] + 0.5 * v[..., 4]
        return np.asarray(4 * (saddle / (1 + saddle**2) + v[..., 5] * v[..., 2])[..., None])

    def describe(self) -> dict[str, Any]:
        return {"kind": "bumps"}


class Recording:
    """A rig that keeps everything it played."""

    def __init__(self, rig: SimulatedRig) -> None:
        self._rig = rig
        self.played: list[FloatArray] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rig, name)

    def play(self, voltage: ArrayLike) -> FloatArray:
        self.played.append(np.array(voltage))
        return self._rig.play(voltage)


class Reaching(Exact):
    """Exact gradients that ask for room, and fail where they are told to."""

    def __init__(
        self, device: Any, controls: tuple[str, ...], reach: float = 0.0, fails: Any = None
    ) -> None:
        super().__init__(device, controls)
        self._reach = reach
        self.fails = fails or (lambda _call: np.zeros(0, dtype=int))
        self.calls = 0

    @property
    def reach_v(self) -> FloatArray:
        return np.full(len(self.controls), self._reach)

    def extract(self, voltage: ArrayLike) -> Gradient:
        found = super().extract(voltage)
        where = self.fails(self.calls)
        self.calls += 1
        found.value[where], found.standard_error[where] = np.nan, np.nan
        problem = found.problem.astype("<U8")
        problem[where] = "drifting"
        return Gradient(
            found.value, found.standard_error, found.current, found.controls, problem, None,
            len(problem), 0.0,
        )  # fmt: skip
