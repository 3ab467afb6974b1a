"""The seven terminals of `Ohmic7` on the simulated chassis, and a rig on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from inmateria.devices.device import FloatArray
from inmateria.rigs.ni import AnalogInput, AnalogOutput, NIRig

from .ohmic7 import Ohmic7

if TYPE_CHECKING:
    from .ni_server import Server

RATE = 10_000.0
CHANNELS = [f"cDAQ1Mod{1 + i // 4}/ao{i % 4}" for i in range(7)]


def outputs(*, readback: bool = False) -> list[AnalogOutput]:
    """Seven terminals on two modules."""
    return [
        AnalogOutput(
            t.name,
            channel,
            t.low_v,
            t.high_v,
            readback=channel.replace("/ao", "/_ao") + "_vs_aognd" if readback else None,
        )
        for t, channel in zip(Ohmic7().terminals, CHANNELS, strict=True)
    ]


def inputs(gain: float = 100.0, *, inverted: bool = False) -> list[AnalogInput]:
    """Two outputs on a third module."""
    return [
        AnalogInput(name, f"cDAQ1Mod4/ai{i}", gain, inverted=inverted)
        for i, name in enumerate(Ohmic7().outputs)
    ]


def rig_on(server: Server, *, readback: bool = False, **settings: Any) -> NIRig:
    """A rig with buffers that a busy computer can fill."""
    given = {"rate": RATE, "buffer_s": 0.2, "timeout_s": 2.0, "watchdog_s": 0.0, **settings}
    return NIRig(outputs(readback=readback), inputs(), server=server.address, **given)


def some_waveform(n: int, seed: int = 0) -> FloatArray:
    """(7, n) V from near 0 V, different on every terminal and at every sample."""
    steps = np.random.default_rng(seed).uniform(-0.01, 0.01, (7, n))
    return np.cumsum(steps, axis=1).clip(-1.9, 1.9)


def held(server: Server) -> FloatArray:
    """What the seven terminals hold in truth, (7,) V."""
    server.chassis.advance()
    return server.chassis.held[:7].copy()
