"""Stand-ins for devices that the training tests share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from inmateria.devices.device import FloatArray, Terminal, check_voltage


class RealDeviceModel:
    """The published network of a real device, from its arrays."""

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as arrays:
            self.layers = [
                (torch.tensor(arrays[f"W{i}"]), torch.tensor(arrays[f"b{i}"])) for i in range(6)
            ]
            ranges = np.round(arrays["voltage_ranges"].astype(float), 6)
            self.gain = float(arrays["amplification_nA_per_V"])
        self.terminals = tuple(Terminal(f"e{i}", *r) for i, r in enumerate(ranges.tolist()))
        self.outputs = ("out",)

    def torch_current(self, voltage: Tensor) -> Tensor:
        x = voltage
        for i, (weight, bias) in enumerate(self.layers):
            x = torch.nn.functional.linear(x, weight.to(x.dtype), bias.to(x.dtype))
            x = torch.relu(x) if i < len(self.layers) - 1 else x
        return self.gain * x

    def current(self, voltage: ArrayLike) -> FloatArray:
        with torch.no_grad():
            return self.torch_current(torch.tensor(check_voltage(self.terminals, voltage))).numpy()

    def describe(self) -> dict[str, Any]:
        return {"kind": "real-device-model"}


class TanhNetwork:
    """Six terminals, one or more outputs, I = A tanh(B V + c): exact gradient, all NumPy."""

    def __init__(self, n_outputs: int = 1, n_terminals: int = 6, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.terminals = tuple(Terminal(f"e{i}") for i in range(1, n_terminals + 1))
        self.outputs = tuple(f"o{i}" for i in range(n_outputs))
        self.inner = rng.normal(0.0, 1.5, (12, n_terminals))
        self.bias = rng.normal(0.0, 1.0, 12)
        self.outer = rng.normal(0.0, 10.0, (n_outputs, 12))

    def current(self, voltage: ArrayLike) -> FloatArray:
        v = check_voltage(self.terminals, voltage)
        return np.tanh(v @ self.inner.T + self.bias) @ self.outer.T

    def gradient(self, voltage: ArrayLike) -> FloatArray:
        v = check_voltage(self.terminals, voltage)
        slope = 1 - np.tanh(v @ self.inner.T + self.bias) ** 2
        return np.einsum("oh,...h,ht->...ot", self.outer, slope, self.inner)

    def describe(self) -> dict[str, Any]:
        return {"kind": "tanh-network"}
