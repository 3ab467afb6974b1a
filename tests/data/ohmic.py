"""A rig that tests can compute by hand: conductances, a range, a memory of what it was sent."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray, Terminal


class OhmicRig:
    """Output m gives sum_k G[m, k] V_k, nA, with G[m, k] = 10 (m + 1) (k + 1) nA/V."""

    fidelity = "simulation"

    def __init__(
        self,
        n_terminals: int = 3,
        *,
        rate: float = 1000.0,
        current_range_na: float = np.inf,
        seconds_per_sample: float = 0.0,
    ) -> None:
        self.terminals = tuple(Terminal(f"e{k + 1}", -1.0, 0.5) for k in range(n_terminals))
        self.outputs = ("out", "second")
        self.rate = rate
        self.current_range_na = current_range_na
        self.conductance = 10.0 * np.outer([1, 2], np.arange(1, n_terminals + 1))
        self.held_voltage = np.zeros(n_terminals)
        self.sent: list[FloatArray] = []
        self.fail_after: int | None = None
        self.error: BaseException = OSError("cable pulled")
        self.seconds_per_sample = seconds_per_sample

    def play(self, voltage: ArrayLike) -> FloatArray:
        array = np.asarray(voltage, dtype=np.float64)
        if self.fail_after is not None and sum(a.shape[1] for a in self.sent) >= self.fail_after:
            self.fail_after = None
            raise self.error
        if self.seconds_per_sample:
            time.sleep(self.seconds_per_sample * array.shape[1])
        self.sent.append(array.copy())
        if array.shape[1]:
            self.held_voltage = array[:, -1].copy()
        limit = self.current_range_na
        return np.clip(self.conductance @ array, -limit, limit)

    def describe(self) -> dict[str, Any]:
        return {"kind": "ohmic", "device": {"kind": "resistors", "n": len(self.terminals)}}
