"""Training on a device from the command line: what is found, kept, resumed, shown and refused."""

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

from inmateria.cli.settings import SearchSettings
from inmateria.cli.tasks import task_names
from inmateria.devices.device import Terminal
from inmateria.surrogates.network import ScaledNetwork
from inmateria.surrogates.surrogate import Surrogate
from inmateria.training.search_log import read_search_log
from inmateria.training.solution import load_solution
from inmateria.training.task_on_rig import TaskOnRig

from .conftest import Outcome, assert_one_line

Run = Callable[..., Outcome]

SCALE_NA = 20.0
SLOPES = np.array([3.0, 2.0, 0.0, 0.0, 0.0, 2.0, 0.0])
"""Of the test device: I = 20 nA tanh(3 V1 + 2 V2 + 2 V6), inputs at e2 and e6."""

QUICK = ("--optimiser", "adam", "--learning-rate", "0.05")


@pytest.fixture
def device(tmp_path: Path) -> Path:
    network = ScaledNetwork(7, 1, hidden=(1,), activation="tanh")
    first, last = network.linear_layers()
    with torch.no_grad():
        first.weight.copy_(torch.tensor(SLOPES[None]))
        last.weight.fill_(1.0)
    network.output_std.fill_(SCALE_NA)
    terminals = tuple(Terminal(f"e{i}") for i in range(1, 8))
    return Surrogate(network, terminals, ("e0",)).save(tmp_path / "device").with_suffix("")


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """Settings with which the first iteration already is a gradient, at a random point."""
    config = tmp_path / "plain.toml"
    config.write_text("[options]\nscreening = 1\n")
    return config


def test_gates_are_found_on_the_device(
    inmateria: Run, device: Path, plain: Path, tmp_path: Path
) -> None:
    # Inputs at -+0.7 V: with b = 3 V1 the levels are 20 nA tanh(b - 2.8), tanh(b) twice, and
    # tanh(b + 2.8). OR's margin is 20 nA (tanh b - tanh(b - 2.8)), at best 35.4 nA at b = 1.4;
    # it is 2 x 15 nA or more for b from 0.8 to 2, V1 from 0.26 V to 0.67 V. AND mirrors it.
    out = tmp_path / "out"
    demanded = ("--method", "homodyne", "--device", device, "--min-margin", "15")
    outcome = inmateria("train", "OR", "and", *demanded, *QUICK, "--config", plain, "-o", out)
    assert outcome.status == 0, outcome.err
    result, path = outcome.out.splitlines()[-2:]
    assert result == "2 of 2 tasks verified"
    assert path == str(out / "report.html")
    shown = [line.split(":")[0] for line in outcome.err.splitlines()]
    assert shown == ["training OR", "verifying", "training AND", "verifying"]

    found = {name: load_solution(out / f"{name}.json") for name in ("OR", "AND")}
    # A tenth beyond the window: the margin that stopped the search was read with noise on.
    assert 0.23 < found["OR"].controls["e1"] < 0.74
    assert -0.74 < found["AND"].controls["e1"] < -0.23
    for name, solution in found.items():
        assert solution.method == "homodyne"
        assert solution.task_description["min_margin_na"] == 15
        assert solution.cost.device_s > 0
        verification = json.loads((out / f"{name}.verification.json").read_text())
        assert verification["passed"]
        assert verification["device_s"] > 0

    _check_gradients(out / "OR.search.jsonl")
    page = (out / "report.html").read_text()
    for expected in (
        "s of training on the device",
        "Search for OR",
        "dI/dV (nA/V)",
        "signal / noise",
        "Spectrum of the output",
        "Measured output of AND",
        "method = &quot;homodyne&quot;",
    ):
        assert expected in page

    # What `train` wrote, `verify` takes.
    again = inmateria("verify", out, "--device", device, "-o", tmp_path / "again")
    assert "2 of 2 tasks verified" in again.out, again.err


def _check_gradients(log: Path) -> None:
    """Logged derivatives against the device's own, 20 nA slope / cosh^2."""
    _, entries = read_search_log(log)
    extracted = [entry for entry in entries if entry["kind"] == "extract"]
    assert extracted
    states = 0.7 * np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
    for entry in extracted:
        e1 = entry["asked"][0]
        x = 3 * e1 + 2 * states.sum(axis=1)
        exact = SCALE_NA / np.cosh(x)[:, None] ** 2 * np.array([3.0, 0.0, 0.0, 0.0, 0.0])
        off = np.array(entry["value"]) - exact
        # The third derivative biases a tone of 8 mV by less than (0.024)^2 / 4 of the slope; the
        # calibration knows the gain to a few parts in a thousand. Standard errors from 16 numbers
        # scatter by 18 %, so that 6 of them are 5 true ones.
        allowed = 6 * np.array(entry["standard_error"]) + 0.01 * np.abs(exact)
        assert (np.abs(off) < allowed).all()


def test_stopped_search_is_kept_and_goes_on(
    inmateria: Run, device: Path, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    log = out / "XOR.search.jsonl"
    # The device has no XOR: a search lasts until its budget is spent, some twenty iterations.
    command = ("train", "XOR", "--method", "homodyne", "--device", device, "--budget-s", "12",
               "--config", plain, "-o", out)  # fmt: skip
    extract = TaskOnRig.extract
    asked = 0

    def interrupted(self: TaskOnRig, *given: object, **named: object) -> object:
        nonlocal asked
        asked += 1
        if asked > 2:
            raise KeyboardInterrupt
        return extract(self, *given, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(TaskOnRig, "extract", interrupted)
        outcome = inmateria(*command)
    assert outcome.status == 2
    last = outcome.err.splitlines()[-1]
    assert last.startswith("stopped: Ctrl-C; 2 iterations of XOR are kept in")
    assert "--resume" in last
    kept = log.read_bytes()

    assert_one_line(inmateria(*command), "XOR.search.jsonl", "--resume")
    assert log.read_bytes() == kept
    # --seed of another search: nothing is played, nothing is lost.
    assert_one_line(inmateria(*command, "--resume", "--seed", "5"), "another search", "seed")
    assert log.read_bytes() == kept

    outcome = inmateria(*command, "--resume")
    assert outcome.status == 0, outcome.err
    assert log.read_bytes().startswith(kept)
    solution = load_solution(out / "XOR.json")
    assert len(solution.history) > 2
    _, entries = read_search_log(log)
    logged = [e["asked"] for e in entries if e["kind"] == "extract"]
    assert len(logged) == len(solution.history)


@pytest.mark.slow
def test_signal_stops_a_search_between_two_iterations(device: Path, tmp_path: Path) -> None:
    log = tmp_path / "out" / "XOR.search.jsonl"
    # The device has no XOR: the search lasts until its budget is spent.
    command = ("train", "XOR", "--method", "homodyne", "--device", device, "--budget-s", "100000",
               "-o", tmp_path / "out")  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "inmateria", *map(str, command)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (log.exists() and log.stat().st_size > 20_000):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2
    said = re.search(r"stopped: by SIGTERM; (\d+) iterations of XOR are kept", stderr)
    assert said, stderr
    _, entries = read_search_log(log)
    assert sum(e["kind"] in ("measure", "extract") for e in entries) == int(said[1]) > 0


def test_ring_and_sphere_by_other_methods(inmateria: Run, device: Path, tmp_path: Path) -> None:
    config = tmp_path / "small.toml"
    config.write_text(
        'method = "genetic"\nbudget_s = 8.0\nring_training_points = 8\nring_test_points = 12\n'
        "sphere_training_points = 10\nsphere_test_points = 20\n[options]\npopulation = 5\n"
    )
    out = tmp_path / "out"
    outcome = inmateria(
        "train", "ring", "sphere", "--config", config, "--device", device, "-o", out
    )
    assert outcome.status == 0, outcome.err
    assert load_solution(out / "sphere.json").inputs == ("e2", "e4", "e6")
    page = (out / "report.html").read_text()
    for expected in ("Search for ring", "Search for sphere", "Ball against shell", "Ring task"):
        assert expected in page
    # Nothing was differentiated, and no tone was played.
    for absent in ("signal / noise", "Spectrum of the output"):
        assert absent not in page


def test_names_of_tasks() -> None:
    assert task_names(["ring", "ring"]) == ["RING"]
    assert len(task_names(["all"])) == 17
    assert "SPHERE" not in task_names(["all"])
    # The inputs of a run are those of its first task, and gates have two.
    assert task_names(["sphere", "and"]) == ["AND", "SPHERE"]


def test_search_is_stricter_than_what_is_demanded() -> None:
    settings = SearchSettings(min_margin_na=2.0, min_accuracy=0.9, reserve=2.0).stricter()
    assert settings.min_margin_na == 4.0
    assert settings.min_accuracy == pytest.approx(0.95)
    # TRUE and FALSE may spread by the margin that is demanded of the others, or half of it.
    assert settings.tolerance_na == 1.0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("AND", "--method", "homodine"), ("'homodine'", "did you mean homodyne")),
        (("AND", "--method", "homodyne", "--model", "m"), ("--model", "homodyne", "--device")),
        (("AND", "--method", "homodyne", "--steps", "3"), ("--steps", "homodyne", "in-silico")),
        (("AND", "--device", "default"), ("--device", "in-silico", "--method homodyne")),
        (("AND", "--model", "m", "--resume"), ("--resume", "in-silico")),
        (("AND",), ("--model", "--method homodyne")),
        (("spere", "--method", "homodyne"), ("'spere'", "SPHERE")),
        (("AND", "--method", "homodyne", "--budget-s", "0"), ("budget_s", "0.0", "seconds")),
        (("AND", "--method", "homodyne", "--budget-s", "1e-3"), ("0.001 s", "or more")),
        (("AND", "--method", "homodyne", "--amplitude-v", "1.5"), ("1.5 V", "200 V/s", "0.0")),
        (("AND", "--method", "homodyne", "--rate-hz", "100"), ("5 tones", "0.9 s")),
        (("AND", "--method", "homodyne", "--optimiser", "sgd"), ("optimiser", "sgd")),
        (("AND", "--method", "homodyne", "--inputs", "auto"), ("--inputs", "e1, e2")),
        (("AND", "--method", "homodyne", "--inputs", "e2,e9"), ("'e9'", "e1, e2")),
        (("AND", "--method", "genetic", "--amplitude-v", "0.1"), ("amplitude_v", "population")),
    ],
)
def test_what_makes_no_sense_is_refused(
    inmateria: Run,
    device: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    words: tuple[str, ...],
) -> None:
    out = tmp_path / "out"
    if "--method" in arguments:
        arguments = (*arguments, "--device", str(device))
    outcome = inmateria("train", *arguments, "-o", out)
    lines = outcome.err.splitlines()
    # A search that was refused when it began has shown its line of progress.
    outcome = Outcome(outcome.status, outcome.out, "\n".join(x for x in lines if "error" in x))
    assert_one_line(outcome, *words)
    assert not list(out.glob("*.jsonl"))
