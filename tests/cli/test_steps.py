"""The steps one by one and the whole job, on a small device, and what a stop leaves behind."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from inmateria.cli import steps
from inmateria.data.measurement import open_measurement
from inmateria.devices.device import Terminal
from inmateria.surrogates.network import ScaledNetwork
from inmateria.surrogates.surrogate import Surrogate, load_surrogate

from .conftest import Outcome, assert_one_line

Run = Callable[..., Outcome]

SMALL = """
tasks = ["OR", "AND", "TRUE", "ring"]
[sample]
duration_s = 5.0
[fit]
hidden = [32, 32]
epochs = 8
[train]
inputs = ["e2", "e6"]
restarts = 16
steps = 60
min_accuracy = 0.6
ring_training_points = 20
ring_test_points = 40
[verify]
repetitions = 2
hold_s = 0.01
settle_s = 0.005
"""


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """A random network of seven terminals, some 20 nA strong: a device that costs nothing."""
    network = ScaledNetwork(7, 1, hidden=(12, 12), activation="tanh")
    network.initialise(torch.Generator().manual_seed(4))
    network.output_std.fill_(60.0)
    terminals = tuple(Terminal(f"e{i}") for i in range(1, 8))
    return Surrogate(network, terminals, ("e0",)).save(tmp_path / "device").with_suffix("")


@pytest.fixture
def config(tmp_path: Path, device: Path) -> Path:
    file = tmp_path / "small.toml"
    file.write_text(f'device = "{device}"\nattempts = 1\n{SMALL}')
    return file


def test_one_by_one(inmateria: Run, device: Path, tmp_path: Path) -> None:
    data, model = tmp_path / "data.nc", tmp_path / "model"
    outcome = inmateria("sample", "--device", device, "--duration", "5", "-o", data)
    assert (outcome.status, outcome.out.strip()) == (0, str(data))
    shown = inmateria("show", data).out
    for expected in ("5000, 0 clipped", "1000 Hz", "voltage e1", "current e0", "nA", "match"):
        assert expected in shown

    fit = ("--hidden", "32,32", "--epochs", "8", "-o", model)
    assert inmateria("fit", data, *fit).status == 0
    assert load_surrogate(model).network.hidden == (32, 32)
    assert not (tmp_path / "model.checkpoint").exists()
    assert "validation_rmse_na" in inmateria("show", f"{model}.json").out

    solutions = tmp_path / "solutions"
    short = ("--restarts", "16", "--steps", "60")
    outcome = inmateria("train", "or", "TRUE", "--model", model, *short, "-o", solutions)
    assert outcome.status == 0
    assert sorted(f.name for f in solutions.iterdir()) == ["OR.json", "TRUE.json"]
    assert "e2, e6" in inmateria("show", solutions / "OR.json").out

    out = tmp_path / "verification"
    outcome = inmateria("verify", solutions, "--device", device, "--model", model, "-o", out)
    assert outcome.status == 0
    assert re.search(r"\d of 2 tasks verified", outcome.out)
    assert json.loads((out / "OR.json").read_text())["task"] == "OR"
    assert "<svg" in (out / "report.html").read_text()


def test_demo_is_stopped_goes_on_and_reports(
    inmateria: Run, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    runs = tmp_path / "runs"
    with monkeypatch.context() as patch:
        patch.setattr(steps, "search", stopped)
        outcome = inmateria("demo", "--config", config, "--out", runs)
    assert outcome.status == 2
    assert outcome.err.splitlines()[-1].startswith("stopped: Ctrl-C; all steps so far are kept in")
    (run,) = runs.iterdir()
    kept = [run / "data" / "measurement.nc", run / "model" / "surrogate.safetensors"]
    before = [(file.read_bytes(), file.stat().st_mtime_ns) for file in kept]

    outcome = inmateria("demo", "--config", config, "--out", runs)
    assert outcome.status == 0, outcome.err
    assert list(runs.iterdir()) == [run]
    assert [(file.read_bytes(), file.stat().st_mtime_ns) for file in kept] == before
    # In a log: one plain line per step, and none for the fit, which was there.
    shown = [line.split(":")[0] for line in outcome.err.splitlines()]
    assert shown == ["sampling", "training", "verifying"]

    count, path = outcome.out.splitlines()[-2:]
    assert re.fullmatch(r"\d of 3 gates verified", count)
    assert Path(path) == run / "report.html"
    text = Path(path).read_text()
    for expected in (count, "Measured output of OR", "Measured output of TRUE", "Ring task"):
        assert expected in text
    for name in ("OR", "AND", "TRUE", "RING"):
        solution = json.loads((run / "solutions" / f"{name}.json").read_text())
        assert np.abs(list(solution["controls_v"].values())).max() <= 1.0


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_sampling_stops_cleanly_and_goes_on(
    inmateria: Run, device: Path, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "data.nc"
    part = tmp_path / "data.nc.part"
    command = ("sample", "--device", device, "--duration", "150", "-o", out)
    process = subprocess.Popen(
        [sys.executable, "-m", "inmateria", *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (part.exists() and part.stat().st_size > 500_000):
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=120)
    assert_one_line(Outcome(process.returncode, stdout, stderr), number.name, "same command",
                    kind="stopped")  # fmt: skip
    assert not out.exists()
    kept = open_measurement(part)
    n_kept = kept.sizes["sample"]
    assert 0 < n_kept < 150_000

    assert inmateria(*command).status == 0
    whole = open_measurement(out)
    assert whole.sizes["sample"] == 150_000
    np.testing.assert_array_equal(whole["voltage"][:n_kept], kept["voltage"])
    np.testing.assert_array_equal(whole["current"][:n_kept], kept["current"])
    assert not part.exists()


def test_what_fails_on_the_device_is_searched_again(
    inmateria: Run, config: Path, tmp_path: Path
) -> None:
    # Margins that no noise allows: every search fails, and each is made.
    config.write_text(
        config.read_text()
        .replace("attempts = 1", "attempts = 3")
        .replace("[verify]", "[verify]\nn_sigma = 1e6")
    )
    outcome = inmateria("demo", "--config", config, "--out", tmp_path / "runs")
    assert outcome.status == 0, outcome.err
    shown = [line.split(":")[0] for line in outcome.err.splitlines()]
    assert shown[-4:] == ["training", "verifying", "training", "verifying"]
    (run,) = (tmp_path / "runs").iterdir()
    assert "Searched again because they failed" in (run / "report.html").read_text()
    events = [
        json.loads(line)["event"] for line in (run / "history.jsonl").read_text().splitlines()
    ]
    assert events.count("searched again") == 2
