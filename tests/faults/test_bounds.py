"""The compiled loops never index outside their arrays: run once with every index checked."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

SCRIPT = """
    import numpy as np
    from inmateria.devices.dopant.network import DopantNetwork
    from inmateria.rigs.guard import Guard
    from inmateria.rigs.simulated import SimulatedRig
    from inmateria.signals.waveforms import plateaus

    device = DopantNetwork(seed=55)
    points = np.random.default_rng(0).uniform(-1, 1, (60, 7))
    waveform = plateaus(points, rate=1e4, hold_s=2e-3, slew_v_per_s=200.0, start=np.zeros(7))
    with Guard(SimulatedRig(device)) as rig:
        for part in np.array_split(waveform.voltage, 25, axis=1):
            rig.play(part)
    device.gradient(points)
    print("all inside")
"""


@pytest.mark.slow
def test_every_index_of_the_mean_field_is_inside(tmp_path):
    # Checking is compiled in, so this compiles everything again: a minute.
    checked = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)],
        env=os.environ | checked,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "all inside" in done.stdout
