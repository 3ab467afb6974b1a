"""`inmateria refit` and `inmateria verify --points` on small devices."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from inmateria.data.provenance import sha256_file
from inmateria.devices.device import Terminal
from inmateria.surrogates import refit as refit_module
from inmateria.surrogates.network import ScaledNetwork
from inmateria.surrogates.surrogate import Surrogate, load_surrogate

from .conftest import Outcome, assert_one_line

Run = Callable[..., Outcome]
TERMINALS = tuple(Terminal(f"e{i}") for i in range(1, 5))
SHORT = """
duration_s = 3.0
epochs = 3
[random_points]
n_points = 80
hold_s = 0.004
settle_s = 0.002
"""


def network_model(*, gain: float = 1.0) -> Surrogate:
    """A random network of four terminals, some 20 nA strong."""
    network = ScaledNetwork(4, 1, hidden=(12, 12), activation="tanh")
    network.initialise(torch.Generator().manual_seed(4))
    network.output_std.fill_(40.0 * gain)
    return Surrogate(
        network, TERMINALS, ("e0",), provenance={"made_by": "hand"},
        error={"validation_rmse_na": 0.3},
    )  # fmt: skip


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return network_model().save(tmp_path / "old")


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """The same device behind a converter of 8 % more gain."""
    return network_model(gain=1.08).save(tmp_path / "device")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "short.toml"
    file.write_text(SHORT)
    return file


def test_verify_says_whether_a_surrogate_still_stands_for_its_device(
    inmateria: Run, model: Path, device: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    same = inmateria("verify", "--model", model, "--device", model, "--points", "100", "-o", out)
    assert same.status == 0, same.err
    assert same.out.startswith("the surrogate agrees with the device: ")
    assert [line.split(":")[0] for line in same.err.splitlines()] == ["random points"]

    other = inmateria("verify", "--model", model, "--device", device, "--points", "100", "-o", out)
    assert other.out.startswith("surrogate and device have parted at e0: ")
    assert f"inmateria refit {model} --device {device} -o NEW" in other.out
    record = json.loads((out / "agreement.json").read_text())
    assert record["verdict"] == "parted"
    # 80 points and noise that is some tenth of the currents: the gain to a per cent or two
    assert record["differences"][0]["gain"] == pytest.approx(1.08, abs=0.03)
    page = (out / "report.html").read_text()
    assert "Surrogate and device at random points" in page
    assert page.count("<svg") == 1


def test_points_go_with_solutions(inmateria: Run, model: Path, tmp_path: Path) -> None:
    solutions, out = tmp_path / "solutions", tmp_path / "out"
    config = tmp_path / "train.toml"
    config.write_text('inputs = ["e1", "e2"]\nrestarts = 8\nsteps = 30\n')
    assert (
        inmateria("train", "OR", "--model", model, "--config", config, "-o", solutions).status == 0
    )
    outcome = inmateria(
        "verify", solutions, "--model", model, "--device", model, "--points", "80", "-o", out
    )
    assert outcome.status == 0, outcome.err
    assert "of 1 tasks verified" in outcome.out
    assert "the surrogate agrees with the device" in outcome.out
    page = (out / "report.html").read_text()
    assert "Measured output of OR" in page
    assert "Surrogate and device at random points" in page


def test_verify_needs_something_to_verify(inmateria: Run, model: Path, tmp_path: Path) -> None:
    assert_one_line(inmateria("verify"), "give SOLUTIONS, or --model and --points N")
    assert_one_line(inmateria("verify", "--points", "100"), "name it by --model")
    few = inmateria("verify", "--model", model, "--points", "5", "-o", tmp_path / "out")
    assert_one_line(few, "--points", "5", "80")
    assert not (tmp_path / "out").exists()


def test_refit_to_a_device_that_is_at_hand(
    inmateria: Run, model: Path, device: Path, config: Path, tmp_path: Path
) -> None:
    before = [f.read_bytes() for f in (model, model.with_suffix(".safetensors"))]
    new = tmp_path / "new"
    arguments = ("refit", model, "--device", device, "--config", config, "-o", new)
    outcome = inmateria(*arguments)
    assert outcome.status == 0, outcome.err
    first, second, path = outcome.out.splitlines()
    assert "refitted: " in first
    assert "error at random points" in first
    assert second.startswith(("the surrogate agrees", "the device has drifted"))
    assert path == f"{new}.json"
    shown = [line.split(":")[0] for line in outcome.err.splitlines()]
    assert shown == ["sampling", "refitting", "random points"]
    assert [f.read_bytes() for f in (model, model.with_suffix(".safetensors"))] == before

    provenance = load_surrogate(new).provenance
    digest = json.loads(model.read_text())["weights_sha256"]
    assert provenance["parents"][0]["weights_sha256"] == digest
    assert [f["sha256"] for f in provenance["files"]] == [
        sha256_file(model), sha256_file(tmp_path / "new.nc")
    ]  # fmt: skip
    assert provenance["refit"]["correction"]["gain"][0] == pytest.approx(1.08, abs=0.02)
    page = (tmp_path / "new.html").read_text()
    for expected in ("Refit of a surrogate", "held-out rows", "random points", "gain 1.08"):
        assert expected in page
    assert not (tmp_path / "new.checkpoint").exists()
    # neither the new model nor the old one is ever written over
    for taken in (new, model):
        again = inmateria("refit", model, "--device", device, "-o", taken)
        assert_one_line(again, "exists and is not overwritten")


def test_refit_to_a_measurement_is_stopped_and_goes_on(
    inmateria: Run, model: Path, device: Path, config: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    data, new = tmp_path / "data.nc", tmp_path / "new"
    assert inmateria("sample", "--device", device, "--duration", "3", "-o", data).status == 0
    arguments = ("refit", model, data, "--config", config, "-o", new)

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(refit_module, "run_to_end", stopped)
        outcome = inmateria(*arguments)
    assert outcome.status == 2
    assert "run the same command again to go on" in outcome.err.splitlines()[-1]
    assert not new.with_suffix(".json").exists()
    outcome = inmateria(*arguments)
    assert outcome.status == 0, outcome.err
    assert "random points" not in outcome.out
    assert load_surrogate(new).provenance["files"][1]["path"] == str(data)


def test_another_device_is_refused_before_it_is_touched(
    inmateria: Run, model: Path, tmp_path: Path
) -> None:
    other = replace(network_model(), terminals=tuple(Terminal(f"g{i}") for i in range(4)))
    path = other.save(tmp_path / "other")
    outcome = inmateria("refit", model, "--device", path, "-o", tmp_path / "new")
    assert_one_line(outcome, "terminals e1, e2, e3, e4", "g0, g1, g2, g3", "another device")
    outcome = inmateria("verify", "--model", model, "--device", path, "--points", "80")
    assert outcome.status == 2
    assert "another device" in outcome.err
    assert_one_line(inmateria("refit", model, "-o", tmp_path / "new"), "give DATA, or --device")
    assert not list(tmp_path.glob("new*"))


def test_only_what_the_surrogate_knows_is_sampled(
    inmateria: Run, device: Path, config: Path, tmp_path: Path
) -> None:
    from inmateria.data.measurement import open_measurement

    narrow = replace(network_model(), terminals=(Terminal("e1", -0.5, 0.7), *TERMINALS[1:]))
    path = narrow.save(tmp_path / "narrow")
    new = tmp_path / "new"
    outcome = inmateria("refit", path, "--device", device, "--config", config, "-o", new)
    assert outcome.status == 0, outcome.err
    voltage = open_measurement(tmp_path / "new.nc")["voltage"].values
    assert voltage[:, 0].min() >= -0.5
    assert voltage[:, 0].max() <= 0.7
    assert load_surrogate(new).terminals == narrow.terminals
