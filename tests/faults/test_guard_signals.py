"""A process that is told to stop while it plays: the rig ends at 0 V.

A first Ctrl-C lets it finish the measurement; a second one, TERM and HUP do not.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
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


@pytest.mark.parametrize(
    ("signals", "cut_short"),
    [
        ([signal.SIGINT], False),
        ([signal.SIGINT, signal.SIGINT], True),
        ([signal.SIGTERM], True),
        ([signal.SIGHUP], True),
    ],
)
def test_it_parks_and_says_why(
    tmp_path: Path, signals: list[signal.Signals], cut_short: bool
) -> None:
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
        for number in signals:
            # Into the call, not before it; and two signals at once would be one.
            time.sleep(0.2)
            child.send_signal(number)
        out, err = child.communicate(timeout=60)
    finally:
        child.kill()
        child.wait()
    report = json.loads(out)
    assert child.returncode == 1
    assert err.strip().splitlines()[-1].startswith("inmateria.errors.StoppedError")
    assert signals[0].name in err
    assert report["held"] == [0, 0, 0]
    # Calls are of 20,000 samples in blocks of 500; the ways from and to 0 V are of 100 at most.
    assert (report["samples"] % 20_000 > 200) == cut_short
    assert -1 <= report["lowest"] < -0.1
    assert 0.1 < report["highest"] <= 1
    assert report["steepest"] <= 200 * (1 + 1e-6)
