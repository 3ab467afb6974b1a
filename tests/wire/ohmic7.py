"""Seven terminals and two outputs joined by resistors: a device with a known answer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray, Terminal


class Ohmic7:
    """I = G V, in nA; terminals e1 to e7, outputs x and y."""

    conductance = np.array(
        [[50.0, -20.0, 10.0, 5.0, -3.0, 2.0, 1.0], [-1.0, 2.0, 4.0, -8.0, 16.0, 32.0, -64.0]]
    )

    def __init__(self) -> None:
        self.terminals = tuple(Terminal(f"e{i}", -2.0, 2.0) for i in range(1, 8))
        self.outputs = ("x", "y")

    def current(self, voltage: ArrayLike) -> FloatArray:
        """(..., 7) V to (..., 2) nA."""
        return np.asarray(np.asarray(voltage, dtype=np.float64) @ self.conductance.T)

    def describe(self) -> dict[str, Any]:
        return {"kind": "ohmic"}
