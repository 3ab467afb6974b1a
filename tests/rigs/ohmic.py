"""A device with a known answer, and rigs that record or fail."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray, Terminal


class Ohmic:
    """Resistors from three terminals to two outputs; counts what it solves."""

    conductance = np.array([[10.0, -4.0, 2.0], [1.0, 0.5, -20.0]])  # nA/V

    def __init__(self) -> None:
        self.terminals = tuple(Terminal(n, -1.0, 1.0) for n in ("a", "b", "c"))
        self.outputs = ("x", "y")
        self.solved = 0

    def current(self, voltage: ArrayLike) -> FloatArray:
        v = np.asarray(voltage, dtype=np.float64)
        self.solved += v.reshape(-1, 3).shape[0]
        # Summed by hand: BLAS may round a row differently in a batch of another size.
        return np.asarray((v[..., None, :] * self.conductance).sum(axis=-1))

    def describe(self) -> dict[str, Any]:
        return {"kind": "ohmic"}


class Path:
    """A solver that remembers: current plus the number of the solve, in picoamperes."""

    def __init__(self, device: Ohmic) -> None:
        self.device = device
        self.n = 0

    def current(self, voltage: ArrayLike) -> FloatArray:
        v = np.asarray(voltage)
        count = self.n + 1 + np.arange(len(v))
        self.n += len(v)
        return self.device.current(v) + 1e-3 * count[:, None]


class OhmicPath(Ohmic):
    """The same device with a stream of its own."""

    def stream(self) -> Path:
        return Path(self)


class Bench:
    """A rig that writes down every sample it is sent, and can fail half-way.

    Parameters
    ----------
    fail_at : int, optional
        Number of the sample at which it breaks (once).
    fail_always : bool
        Break at every sample from `fail_at` on.
    """

    rate = 10_000.0
    current_range_na = float("inf")
    fidelity = "simulation"

    def __init__(self, fail_at: int | None = None, *, fail_always: bool = False) -> None:
        self.terminals = tuple(Terminal(n, -1.0, 1.0) for n in ("a", "b", "c"))
        self.outputs = ("x",)
        self.sent = np.zeros((3, 0))
        self.calls = 0
        self.fail_at = fail_at
        self.fail_always = fail_always

    def play(self, voltage: ArrayLike) -> FloatArray:
        v = np.asarray(voltage)
        self.calls += 1
        if self.fail_at is not None and self.sent.shape[1] + v.shape[1] > self.fail_at:
            self.sent = np.hstack([self.sent, v[:, : max(self.fail_at - self.sent.shape[1], 0)]])
            if not self.fail_always:
                self.fail_at = None
            raise OSError("the card was unplugged")
        self.sent = np.hstack([self.sent, v])
        return v[:1].copy()

    def describe(self) -> dict[str, Any]:
        return {"kind": "bench"}

    @property
    def steps_v(self) -> FloatArray:
        """Largest steps, the one from 0 V included, (3,) V."""
        return np.abs(np.diff(self.sent, axis=1, prepend=0.0)).max(axis=1, initial=0)


class HonestBench(Bench):
    """A bench that knows what it holds, whatever happened."""

    @property
    def held_voltage(self) -> FloatArray:
        return self.sent[:, -1] if self.sent.size else np.zeros(3)
