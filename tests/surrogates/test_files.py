from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from inmateria.devices.device import Terminal
from inmateria.errors import ParameterError
from inmateria.surrogates.network import ScaledNetwork
from inmateria.surrogates.surrogate import Surrogate, load_surrogate


def make(**more) -> Surrogate:
    network = ScaledNetwork(2, 1, hidden=(6, 5), activation="silu")
    network.initialise(torch.Generator().manual_seed(2))
    network.set_scaling(
        input_centre=torch.tensor([0.1, 0.0]),
        input_half_width=torch.tensor([0.3, 1.0]),
        output_mean=torch.tensor([-2.0]),
        output_std=torch.tensor([17.0]),
    )
    terminals = (Terminal("e1", -0.2, 0.4), Terminal("e2", -1, 1))
    return Surrogate(network, terminals, ("e0",), **more)


@pytest.mark.parametrize("name", ["model", "model.json", "model.safetensors", "model.v2"])
def test_what_is_read_is_what_was_written(tmp_path, name):
    surrogate = make(provenance={"seed": 3}, error={"validation_rmse_na": 0.5})
    written = surrogate.save(tmp_path / "deep" / name)
    for path in (tmp_path / "deep" / name, written, written.with_suffix(".safetensors")):
        again = load_surrogate(path)
        assert again.describe() == surrogate.describe()
        assert again.terminals == surrogate.terminals
        for key, tensor in surrogate.network.state_dict().items():
            assert torch.equal(again.network.state_dict()[key], tensor)
        v = np.array([[0.3, 0.9], [-0.1, 0.0]])
        assert np.array_equal(again.current(v), surrogate.current(v))
    assert sorted(p.suffix for p in (tmp_path / "deep").iterdir()) == [".json", ".safetensors"]


def test_the_json_file_tells_a_reader_everything(tmp_path):
    record = json.loads(make().save(tmp_path / "model").read_text())
    assert record["schema"] == "inmateria.surrogate"
    assert record["schema_version"] == 1
    assert record["terminals"][0] == {"name": "e1", "low_v": -0.2, "high_v": 0.4}
    assert record["outputs"] == ["e0"]
    assert record["architecture"] == {"hidden": [6, 5], "activation": "silu"}
    assert record["scaling"]["output_std"] == [17.0]
    assert len(record["weights_sha256"]) == 64


def test_saving_again_replaces(tmp_path):
    make().save(tmp_path / "model")
    make(error={"validation_rmse_na": 1.0}).save(tmp_path / "model")
    assert load_surrogate(tmp_path / "model").error == {"validation_rmse_na": 1.0}


@pytest.mark.parametrize("value", [np.inf, np.array([1.0]), object()])
def test_provenance_without_a_json_form_is_refused(tmp_path, value):
    with pytest.raises(ParameterError, match="no JSON form"):
        make(provenance={"x": value}).save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
