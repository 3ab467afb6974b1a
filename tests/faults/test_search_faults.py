"""A search on a rig that is killed or stopped, and resumed: nothing is lost but an iteration."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from inmateria.training.search_log import read_search_log

CHILD = """
import json, sys
import numpy as np
from inmateria.devices.device import Terminal
from inmateria.rigs.simulated import SimulatedRig
from inmateria.tasks import Gate
from inmateria.training.task_on_rig import Stop
from inmateria.training.train import train

class Bumps:
    terminals = tuple(Terminal(f"e{i}", -1.0, 1.0) for i in range(1, 6))
    outputs = ("x",)
    def current(self, voltage):
        v = np.asarray(voltage)
        return (10 * np.tanh(2 * v[..., 0] * v[..., 3] + v[..., 1] - v[..., 4])
                + 3 * v[..., 2] * v[..., 1])[..., None]
    def describe(self):
        return {"kind": "bumps"}

def told(done, total, note):
    print(done, flush=True)

log, resume = sys.argv[1], sys.argv[2] == "resume"
rig = SimulatedRig(Bumps(), noise=None)
try:
    found = train(Gate("XOR", ("e1", "e2"), min_margin_na=2.0), rig, method=sys.argv[3], seed=7,
                  log=log, resume=resume, progress=told, stop=Stop(iterations=12))
    print(json.dumps({"controls": dict(found.controls), "current": list(found.current_na),
                      "losses": [row["loss"] for row in found.history],
                      "measurements": found.cost.measurements}))
finally:
    print(json.dumps({"held": rig.held_voltage.tolist(), "samples": rig.transcript.n_samples}),
          flush=True)
"""


def start(folder: Path, log: str, how: str, method: str) -> subprocess.Popen[str]:
    script = folder / "child.py"
    script.write_text(CHILD)
    return subprocess.Popen(
        [sys.executable, str(script), str(folder / log), how, method],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(folder: Path, log: str, how: str, method: str) -> tuple[dict, dict]:
    """What the search found, and what its rig did."""
    child = start(folder, log, how, method)
    out, err = child.communicate(timeout=300)
    assert child.returncode == 0, err
    found, rig = out.strip().splitlines()[-2:]
    return json.loads(found), json.loads(rig)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["homodyne", "genetic"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_search_goes_on_where_it_was_ended(
    tmp_path: Path, method: str, number: signal.Signals
) -> None:
    whole, _ = finish(tmp_path, "whole.jsonl", "new", method)

    child = start(tmp_path, "cut.jsonl", "new", method)
    try:
        assert child.stdout is not None
        seen = 0
        while seen < 4:
            seen = int(child.stdout.readline())
        child.send_signal(number)
        out, err = child.communicate(timeout=60)
    finally:
        child.kill()
        child.wait()
    assert child.returncode != 0
    _, entries = read_search_log(tmp_path / "cut.jsonl")
    kept = sum(entry["kind"] in ("measure", "extract") for entry in entries)
    # What was told was on the disk before; the signal may have come some iterations later.
    assert 4 <= kept < 12
    if number != signal.SIGKILL:
        said = err.strip().splitlines()[-1]
        assert said.startswith("inmateria.errors.StoppedError")
        assert number.name in said
        assert "cut.jsonl, run the same command with resume again to go on" in said
        assert json.loads(out.strip().splitlines()[-1])["held"] == [0] * 5

    resumed, rig = finish(tmp_path, "cut.jsonl", "resume", method)
    assert resumed == whole
    assert rig["held"] == [0] * 5

    # A third run has nothing left to play.
    again, rig = finish(tmp_path, "cut.jsonl", "resume", method)
    assert again == whole
    assert rig["samples"] == 0
