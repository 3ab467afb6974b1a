"""A run in a process of its own, to be killed: plays a ramp and writes down what it hands over."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from inmateria.rigs.ni import NIRig

from .wiring import RATE, inputs, outputs

BLOCK, N_BLOCKS = 1_000, 100


def waveform() -> np.ndarray:
    """(7, n) V that differs at every sample."""
    n = BLOCK * N_BLOCKS
    return np.linspace(0.01, 0.02, 7)[:, None] * np.arange(1, n + 1) / BLOCK


def main(address: str, record: Path) -> None:
    """Before a block is handed over, its number and that of the first in flight are on disk."""
    voltage = waveform()
    done = 0

    def blocks():
        for k, block in enumerate(np.split(voltage, N_BLOCKS, axis=1)):
            record.write_text(f"{done} {k + 1}")
            yield block

    rig = NIRig(outputs(), inputs(), rate=RATE, server=address, watchdog_s=float(sys.argv[3]))
    for reading in rig.stream(blocks(), voltage.shape[1]):
        done += 1
        print(done, reading.shape[1], flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
