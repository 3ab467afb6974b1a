"""A run in a process of its own, to be killed: a guard plays a ramp, with a record of voltages."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from inmateria.devices.device import FloatArray
from inmateria.rigs.guard import Guard
from inmateria.rigs.ni import NIRig
from inmateria.rigs.voltage_record import VoltageRecord

from .wiring import RATE, inputs, outputs

SLEW, N = 20.0, 100_000


def waveform() -> FloatArray:
    """(7, n) V that differs at every sample."""
    return np.linspace(1e-5, 2e-5, 7)[:, None] * np.arange(1, N + 1)


def main(address: str, path: Path, watchdog_s: float) -> None:
    """Play until the end comes."""
    rig = NIRig(outputs(), inputs(), rate=RATE, server=address, watchdog_s=watchdog_s)
    record = VoltageRecord(path, [t.name for t in rig.terminals], RATE, SLEW)
    with Guard(rig, slew_v_per_s=SLEW, block_s=0.1, record=record) as guard:
        guard.play(waveform())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]))
