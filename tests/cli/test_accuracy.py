"""Accuracy and device files from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from inmateria.cli import accuracy, pages
from inmateria.data import accuracy_cache
from inmateria.data.device_file import load_device, save_device
from inmateria.devices.dopant.network import DopantNetwork
from inmateria.devices.dopant.parameters import DopantParameters
from inmateria.errors import ConvergenceError
from inmateria.surrogates.surrogate import Surrogate
from inmateria.tasks.gates import Gate
from inmateria.training.in_silico import Descent
from inmateria.training.train import train

from .conftest import Outcome, assert_one_line

Run = Callable[..., Outcome]
SMALL = DopantParameters(
    n_acceptors=5, n_donors=1, radius_nm=40.0, electrode_width_nm=12.0, localisation_nm=10.0
)


@pytest.fixture
def network() -> DopantNetwork:
    return DopantNetwork(seed=3, parameters=SMALL, engine="meanfield")


@pytest.fixture
def device(network: DopantNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INMATERIA_CACHE", str(tmp_path / "cache"))
    return save_device(network, tmp_path / "device.json")


def test_measured_shown_and_kept(inmateria: Run, device: Path, tmp_path: Path) -> None:
    shown = " ".join(inmateria("show", device).out.split())
    assert "dopant network, seed 3: 5 acceptors" in shown
    # Narrow terminals fold: white space is not the matter here.
    assert f"notmeasuredyet:inmateriaaccuracy--device{device}" in shown.replace(" ", "")
    outcome = inmateria("accuracy", "--device", device)
    assert outcome.status == 0, outcome.err
    (line,) = outcome.out.splitlines()
    assert line.startswith("meanfield: ")
    assert "off Monte Carlo (32 points)" in line
    assert outcome.err.startswith("checking accuracy: ")
    assert line.split(" of the")[0] in " ".join(inmateria("show", device).out.split())

    # The file itself remembers: a second run has no step to show, even without the cache.
    (tmp_path / "cache").rename(tmp_path / "gone")
    outcome = inmateria("accuracy", "--device", device)
    assert (outcome.out.splitlines(), outcome.err) == ([line], "")
    outcome = inmateria("accuracy", "--device", device, "--engine", "exact")
    assert outcome.out.startswith("exact: ")
    assert len(json.loads(device.read_text())["accuracies"]) == 2


def test_reports_say_it_and_runs_keep_the_device(
    inmateria: Run,
    device: Path,
    network: DopantNetwork,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The figures are tested elsewhere and take most of the time.
    monkeypatch.setattr(pages, "_inside", lambda *_: [])
    short = Descent(restarts=2, steps=5)
    train(Gate("OR"), network, descent=short).save(tmp_path / "OR.json")
    out = tmp_path / "verification"
    command = ("verify", tmp_path / "OR.json", "--device", device, "-o", out)
    outcome = inmateria(*command, "--repetitions", "1")
    assert outcome.status == 0, outcome.err
    kept = load_device(out / "device.json")
    assert kept.describe() == network.describe()
    (found,) = kept.accuracies.values()
    text = (out / "report.html").read_text()
    assert "accuracy" in text
    assert found.sentence() in text
    # With another engine: another line.
    outcome = inmateria(*command, "--repetitions", "1", "--engine", "exact")
    assert outcome.status == 0, outcome.err
    assert "exact: " in (out / "report.html").read_text()


def test_a_stop_says_what_is_kept(
    inmateria: Run, device: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(accuracy_cache, "measure_accuracy", stopped)
    outcome = inmateria("accuracy", "--device", device)
    assert outcome.status == 2
    assert outcome.err.splitlines()[-1].startswith("stopped: Ctrl-C; nothing was measured")


def test_a_device_that_cannot_be_judged_still_gets_its_report(
    network: DopantNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ConvergenceError("engine 'meanfield' converged at 0 of 32 points")

    monkeypatch.setattr(accuracy_cache, "measure_accuracy", fails)
    monkeypatch.setattr(accuracy_cache, "cached_accuracy", lambda _: None)
    assert accuracy.accuracy_line(network) == (
        "not known: engine 'meanfield' converged at 0 of 32 points"
    )
    facts = pages.device_facts(network, started_utc="now", accuracy="exact: fine")
    assert facts["accuracy"] == "exact: fine"


def test_mistakes_are_one_line(inmateria: Run, device: Path, tmp_path: Path) -> None:
    out = tmp_path / "data.nc"
    sample = ("sample", "-o", out, "--duration", "1")
    assert_one_line(
        inmateria(*sample, "--device", device, "--device-seed", "2"), "device seed 2", "one device"
    )
    assert_one_line(inmateria(*sample, "--engine", "nix"), "'nix'", "meanfield")
    assert_one_line(inmateria(*sample, "--device", tmp_path / "none.json"), "does not exist")
    assert_one_line(inmateria("accuracy", "--device", tmp_path / "none"), "none")
    device.write_bytes(device.read_bytes().replace(b'"n_acceptors": 5', b'"n_acceptors": 4'))
    assert_one_line(inmateria(*sample, "--device", device), "device.json", "checksum")
    assert_one_line(inmateria("show", device), "device.json", "checksum")
    assert not out.exists()


def test_a_model_has_no_engine(inmateria: Run, tmp_path: Path) -> None:
    import torch

    from inmateria.devices.device import Terminal
    from inmateria.surrogates.network import ScaledNetwork

    net = ScaledNetwork(7, 1, hidden=(4,))
    net.initialise(torch.Generator().manual_seed(0))
    model = Surrogate(net, tuple(Terminal(f"e{i}") for i in range(1, 8)), ("e0",))
    model.save(tmp_path / "model")
    assert_one_line(
        inmateria("accuracy", "--device", tmp_path / "model"), "is a model", "no engine to check"
    )
    assert_one_line(
        inmateria("sample", "--device", tmp_path / "model.json", "--engine", "exact"),
        "engine 'exact' does not go with",
    )
    assert accuracy.accuracy_line(model) is None
    accuracy.keep_device(model, tmp_path)
    assert not (tmp_path / "device.json").exists()


def test_a_saved_device_is_sampled(inmateria: Run, device: Path, tmp_path: Path) -> None:
    out = tmp_path / "data.nc"
    assert inmateria("sample", "--device", device, "--duration", "0.2", "-o", out).status == 0
    shown = " ".join(inmateria("show", out).out.split())
    assert "engine: meanfield" in shown
    assert "n_acceptors: 5" in shown
