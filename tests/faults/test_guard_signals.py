"""A process that is told to stop while it plays: the rig ends at 0 V."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = """
import json, signal, sys, time
import numpy as np
from inmateria.devices.device import Terminal
from inmateria.rigs.guard import Guard
from inmateria.rigs.simulated import SimulatedRig
from inmateria.signals.sweeps import sweep

signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)

class Slow:
    terminals = tuple(Terminal(n, -1.0, 1.0) for n in "abc")
    outputs = ("x",)
    def current(self, voltage):
        time.sleep(0.02)
        return np.asarray(voltage)[..., :1]
    def describe(self):
        return {}

rig = SimulatedRig(Slow())
tones = sweep(rig.terminals, kind="sinusoid", base_hz=5.0, seed=0)
try:
    with Guard(rig, block_s=0.05) as guard:
        guard.ramp_to(tones.at(0, 1, guard.rate)[:, 0])
        print("playing", flush=True)
        first = 0
        while True:
            guard.play(tones.at(first, 20_000, guard.rate))
            first += 20_000
finally:
    seen = rig.transcript
    print(json.dumps({
        "held": rig.held_voltage.tolist(),
        "lowest": seen.lowest_v.min(),
        "highest": seen.highest_v.max(),
        "steepest": seen.steepest_v_per_s.max(),
        "samples": seen.n_samples,
    }), flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_parks_and_says_why(tmp_path: Path, number: signal.Signals) -> None:
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    child = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "playing\n"
        child.send_signal(number)
        out, err = child.communicate(timeout=60)
    finally:
        child.kill()
        child.wait()
    report = json.loads(out)
    assert child.returncode == 1
    assert err.strip().splitlines()[-1].startswith("inmateria.errors.StoppedError")
    assert number.name in err
    assert report["held"] == [0, 0, 0]
    # A whole call is 2 s of samples in blocks of 0.05 s: the signal cut one short.
    assert report["samples"] % 20_000 > 0
    assert -1 <= report["lowest"] < -0.1
    assert 0.1 < report["highest"] <= 1
    assert report["steepest"] <= 200 * (1 + 1e-6)
