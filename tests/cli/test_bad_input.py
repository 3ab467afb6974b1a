"""A person's mistakes end in one line with the fix and exit status 2."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from inmateria.data.measurement import write_measurement
from inmateria.data.schema import measurement
from inmateria.devices.device import Terminal
from inmateria.surrogates.network import ScaledNetwork
from inmateria.surrogates.surrogate import Surrogate

from .conftest import Outcome, assert_one_line

Run = Callable[..., Outcome]
TERMINALS = tuple(Terminal(f"e{i}") for i in range(1, 8))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    voltage = rng.uniform(-1, 1, (500, 7))
    dataset = measurement(
        voltage,
        voltage.sum(axis=1, keepdims=True),
        terminals=TERMINALS,
        outputs=("e0",),
        rate_hz=1e4,
        fidelity="simulation",
        segment=np.arange(500) // 10,
    )
    return write_measurement(tmp_path / "data.nc", dataset)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    network = ScaledNetwork(7, 1, hidden=(8,))
    network.initialise(torch.Generator().manual_seed(0))
    return Surrogate(network, TERMINALS, ("e0",)).save(tmp_path / "model")


def test_misspelt_key_names_the_nearest(inmateria: Run, tmp_path: Path) -> None:
    file = tmp_path / "sample.toml"
    file.write_text("duraton_s = 1.0\n")
    outcome = inmateria("sample", "--config", file, "-o", tmp_path / "out.nc")
    assert_one_line(outcome, "duraton_s", "duration_s")
    assert not (tmp_path / "out.nc").exists()


def test_misspelt_key_in_a_table(inmateria: Run, tmp_path: Path) -> None:
    file = tmp_path / "demo.toml"
    file.write_text("[fit]\nepoch = 3\n")
    assert_one_line(inmateria("demo", "--config", file, "--out", tmp_path), "epoch", "epochs")


def test_file_that_is_not_toml(inmateria: Run, tmp_path: Path) -> None:
    file = tmp_path / "sample.toml"
    file.write_text("duration_s: 1.0\n")
    assert_one_line(inmateria("sample", "--config", file), "sample.toml", "TOML")


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--duration", "-1"), ("--rate", "0"), ("--points", "0"), ("--base-hz", "nan")],
)
def test_numbers_out_of_range(inmateria: Run, tmp_path: Path, flag: str, value: str) -> None:
    assert_one_line(inmateria("sample", flag, value, "-o", tmp_path / "out.nc"), "key")


def test_drive_faster_than_the_slew_limit(inmateria: Run, tmp_path: Path) -> None:
    outcome = inmateria("sample", "--base-hz", "500", "-o", tmp_path / "out.nc")
    assert_one_line(outcome, "V/s", "base_hz of at most")
    assert list(tmp_path.iterdir()) == []


def test_missing_file(inmateria: Run, tmp_path: Path) -> None:
    for command in ("show", "fit"):
        assert_one_line(inmateria(command, tmp_path / "none.nc"), "none.nc", "does not exist")


def test_truncated_file(inmateria: Run, data: Path) -> None:
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    for command in ("show", "fit"):
        assert_one_line(inmateria(command, data), "data.nc")


def test_flipped_bit_names_the_variable(inmateria: Run, data: Path) -> None:
    with h5py.File(data, "r+") as file:
        file["voltage"][3, 2] += 1e-9
    assert_one_line(inmateria("show", data), "voltage", "SHA-256")
    assert_one_line(inmateria("fit", data), "voltage", "SHA-256")


def test_newer_schema(inmateria: Run, data: Path) -> None:
    with h5py.File(data, "r+") as file:
        file.attrs["schema_version"] = 99
    assert_one_line(inmateria("show", data), "version 99", "update inmateria")


def test_terminal_that_does_not_exist(inmateria: Run, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "solutions"
    outcome = inmateria("train", "AND", "--model", model, "--inputs", "e2,e9", "-o", out)
    assert_one_line(outcome, "'e9'", "e1, e2, e3")


def test_task_that_does_not_exist(inmateria: Run, model: Path) -> None:
    assert_one_line(inmateria("train", "XRO", "--model", model), "XRO", "XOR")


def test_model_with_a_flipped_bit(inmateria: Run, model: Path) -> None:
    weights = model.with_suffix(".safetensors")
    content = bytearray(weights.read_bytes())
    content[-3] ^= 1
    weights.write_bytes(bytes(content))
    assert_one_line(inmateria("show", model), "model.safetensors")
    assert_one_line(inmateria("train", "AND", "--model", model), "model.safetensors")


class Malicious:
    """Runs a command when it is unpickled by a careless reader."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        import os

        return os.system, ("touch OWNED",)


@pytest.mark.parametrize("command", ["import", "show", "demo"])
def test_model_that_would_run_code(
    inmateria: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "evil.pt"
    for content in (pickle.dumps({"info": Malicious()}), None):
        if content is None:
            torch.save({"info": Malicious()}, file)
        else:
            file.write_bytes(content)
        arguments = ("--device", file) if command == "demo" else (file,)
        assert_one_line(inmateria(command, *arguments), "evil.pt", "nothing was run")
    assert not (tmp_path / "OWNED").exists()


def test_import_of_something_else(inmateria: Run, data: Path) -> None:
    assert_one_line(inmateria("import", data), "neither a model", "IO.dat")


def test_folder_that_cannot_be_written(inmateria: Run, model: Path, data: Path) -> None:
    # A file where the folder should be: refused for root too.
    blocked = data / "inside"
    outcomes = (
        inmateria("sample", "--duration", "0.01", "-o", blocked / "out.nc"),
        inmateria("train", "AND", "--model", model, "-o", blocked),
        inmateria("demo", "--out", blocked),
    )
    for outcome in outcomes:
        assert_one_line(outcome, "data.nc")


def test_other_recording_is_not_overwritten(inmateria: Run, data: Path) -> None:
    before = data.read_bytes()
    assert_one_line(inmateria("sample", "--duration", "0.01", "-o", data), "data.nc")
    assert data.read_bytes() == before


def test_seed_of_a_model_makes_no_sense(inmateria: Run, model: Path, tmp_path: Path) -> None:
    outcome = inmateria("sample", "--device", model, "--device-seed", "3", "-o", tmp_path / "x.nc")
    assert_one_line(outcome, "device seed 3", "--device default")
