"""The server as a process: it can be killed, and what its outputs did stays on the disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from inmateria.errors import InstrumentError
from inmateria.rigs.ni import NIRig

pytest.importorskip("nidaqmx")
pytest.importorskip("grpc")

from .chassis import read_record
from .wiring import RATE, inputs, outputs, some_waveform


def test_a_server_in_a_process_dies_at_the_sample_it_is_told(tmp_path):
    record = tmp_path / "voltages.bin"
    faults = json.dumps({"kill_at_sample": 3_000})
    command = [sys.executable, "-m", "tests.wire.ni_server", "--record", str(record)]
    server = subprocess.Popen(
        [*command, "--faults", faults],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert server.stdout is not None
    address = f"127.0.0.1:{int(server.stdout.readline())}"
    voltage = some_waveform(10_000)
    settings = {"buffer_s": 0.2, "timeout_s": 5.0, "reconnect_s": 0.0}
    with NIRig(outputs(), inputs(), rate=RATE, server=address, **settings) as rig:
        with pytest.raises(InstrumentError, match=r"the connection to .* is lost"):
            rig.play(voltage)
        assert server.wait() == -signal.SIGKILL
        server.stdout.close()
        np.testing.assert_array_equal(read_record(record)[:7], voltage[:, :3_000])
