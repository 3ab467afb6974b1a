"""Damaged, foreign and hostile model files: one line that says what to do, and no code run."""

from __future__ import annotations

import errno
import json
import os
import pathlib
import pickle
import shutil
import zipfile

import numpy as np
import pytest
import torch

from inmateria.devices.device import Terminal
from inmateria.errors import InMateriaError, ModelFileError, StorageError
from inmateria.surrogates import files
from inmateria.surrogates.brainspy import read_brainspy_model
from inmateria.surrogates.checkpoint import read_checkpoint, write_checkpoint
from inmateria.surrogates.network import ScaledNetwork
from inmateria.surrogates.surrogate import Surrogate, load_surrogate


def make(seed: int = 0, hidden=(4,)) -> Surrogate:
    network = ScaledNetwork(2, 1, hidden=hidden)
    network.initialise(torch.Generator().manual_seed(seed))
    return Surrogate(network, (Terminal("a"), Terminal("b")), ("x",))


def refused(path) -> str:
    with pytest.raises(ModelFileError) as caught:
        load_surrogate(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture
def model(tmp_path):
    make().save(tmp_path / "model")
    return tmp_path / "model"


def test_missing_files(model):
    assert "cannot read" in refused(model.with_name("other"))
    model.with_suffix(".safetensors").unlink()
    assert "keep them together" in refused(model)


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_truncation_anywhere_is_found(model, suffix):
    path = model.with_suffix(suffix)
    data = path.read_bytes()
    for length in range(0, len(data) - 1, 37):
        path.write_bytes(data[:length])
        refused(model)


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_a_flipped_bit_is_found(model, suffix):
    path = model.with_suffix(suffix)
    data, whole = path.read_bytes(), load_surrogate(model)
    rng = np.random.default_rng(0)
    found = 0
    for position in rng.choice(len(data), size=150, replace=False):
        altered = bytearray(data)
        altered[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(altered)
        try:
            again = load_surrogate(model)
        except ModelFileError:
            found += 1
        else:
            # a blank between two JSON tokens may turn into another blank
            assert suffix == ".json"
            assert again.describe() == whole.describe()
    assert found > 100


def test_two_halves_of_different_models(model, tmp_path):
    make(seed=1).save(tmp_path / "other")
    shutil.copy(tmp_path / "other.safetensors", model.with_suffix(".safetensors"))
    assert "is not the file that model.json describes" in refused(model)


def resealed(model, **changes):
    """Change the JSON file and its checksum with it."""
    path = model.with_suffix(".json")
    record = json.loads(path.read_text()) | changes
    del record["record_sha256"]
    record["record_sha256"] = files._record_sha256(record)
    path.write_text(json.dumps(record))


def test_a_newer_schema(model):
    resealed(model, schema_version=2)
    assert "update inmateria" in refused(model)


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": {"hidden": [5], "activation": "relu"}},
        {"architecture": {"hidden": [4], "activation": "swish"}},
        {"architecture": {}},
        {"architecture": None},
        {"terminals": [{"name": "a", "low_v": 1, "high_v": -1}, {"name": "b"}]},
        {"terminals": [{"name": "a"}]},
        {"outputs": 3},
    ],
)
def test_a_record_that_does_not_fit_its_weights(model, changes):
    resealed(model, **changes)
    assert "do not make a network" in refused(model)


def test_other_json_is_not_a_surrogate(model):
    for text in ("[]", "{}", '{"schema": "inmateria.measurement"}'):
        model.with_suffix(".json").write_text(text)
        assert "does not describe a surrogate" in refused(model)


def test_weights_that_are_no_numbers(tmp_path):
    surrogate = make()
    with torch.no_grad():
        surrogate.network.linear_layers()[0].bias.fill_(float("nan"))
    surrogate.save(tmp_path / "model")
    assert "NaN" in refused(tmp_path / "model")


def test_a_full_disk_keeps_the_old_model(model, monkeypatch):
    before = load_surrogate(model).describe()

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left on device; free space"):
        make(seed=1).save(model)
    assert load_surrogate(model).describe() == before
    assert len(list(model.parent.iterdir())) == 2


def test_a_damaged_checkpoint(tmp_path):
    path = tmp_path / "fit"
    write_checkpoint(path, {"a": torch.arange(50.0)}, {"n": 1})
    tensors, record = read_checkpoint(path)
    assert torch.equal(tensors["a"], torch.arange(50.0))
    assert record == {"n": 1}
    data = path.read_bytes()
    altered = bytearray(data)
    altered[-3] ^= 4
    for bad in (bytes(altered), data[:-1], data[:9], b""):
        path.write_bytes(bad)
        with pytest.raises(ModelFileError, match="delete it"):
            read_checkpoint(path)
    make().save(tmp_path / "model")
    with pytest.raises(ModelFileError, match="not the checkpoint of a fit"):
        read_checkpoint(tmp_path / "model.safetensors")


class Touch:
    """Unpickled by an open-hearted reader, this creates a file."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("layout", ["zip", "legacy", "bare"])
def test_a_pt_file_that_runs_code_is_refused_by_name(tmp_path, layout):
    trap, path = tmp_path / "trap", tmp_path / "model.pt"
    raw = {"0.weight": torch.ones(1, 2), "0.bias": torch.ones(1), "info": {"x": Touch(trap)}}
    if layout == "bare":
        path.write_bytes(pickle.dumps(raw["info"], protocol=2))
    else:
        torch.save(raw, path, _use_new_zipfile_serialization=layout == "zip")
    with pytest.raises(ModelFileError, match=r"import (posix|nt)\.mkdir, which is code") as caught:
        read_brainspy_model(path)
    assert "\n" not in str(caught.value)
    assert not trap.exists()
    # the trap is real: a reader that trusts the file falls into it
    if layout == "bare":
        pickle.loads(path.read_bytes())
    else:
        torch.load(path, weights_only=False)
    assert trap.is_dir()


def test_an_import_hidden_behind_the_stack_is_refused(tmp_path):
    trap, path = tmp_path / "trap", tmp_path / "model.pt"
    torch.save({"0.weight": torch.ones(1)}, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            hidden = pickle.dumps(Touch(trap), protocol=4)
            archive.writestr(name, hidden if name.endswith("data.pkl") else data)
    with pytest.raises(ModelFileError, match="STACK_GLOBAL"):
        read_brainspy_model(path)
    assert not trap.exists()


def test_a_whole_module_is_refused_with_the_way_out(tmp_path):
    path = tmp_path / "model.pt"
    torch.save(torch.nn.Linear(2, 1), path)
    with pytest.raises(ModelFileError, match=r"torch\.nn\.modules\.linear\.Linear.*state_dict"):
        read_brainspy_model(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_damaged_pt_files_never_surface_as_a_traceback(tmp_path, zipped):
    path, rng = tmp_path / "model.pt", np.random.default_rng(1)
    raw = {"0.weight": torch.ones(1, 2), "0.bias": torch.ones(1), "info": {"a": np.arange(3.0)}}
    torch.save(raw, path, _use_new_zipfile_serialization=zipped)
    data = path.read_bytes()
    for k in range(300):
        altered = bytearray(data)
        altered[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(altered if k % 3 else data[: int(rng.integers(len(data)))])
        with pytest.raises(InMateriaError) as caught:
            read_brainspy_model(path, amplification=1)
        assert "\n" not in str(caught.value)


def test_a_missing_pt_file(tmp_path):
    with pytest.raises(ModelFileError, match="check the path"):
        read_brainspy_model(tmp_path / "none.pt")
