from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise

import numpy as np
import pytest
import torch

from inmateria.errors import ModelFileError, ParameterError, ShapeError, VoltageLimitError
from inmateria.surrogates.brainspy import read_brainspy_model
from inmateria.surrogates.surrogate import load_surrogate

RANGES = [[-1.2, 0.6], [-0.5, 0.5]]


def layers(*sizes: int, prefix: str = "") -> OrderedDict:
    generator = torch.Generator().manual_seed(0)
    state = OrderedDict()
    for i, (before, after) in enumerate(pairwise(sizes)):
        state[f"{prefix}{2 * i}.weight"] = torch.randn(after, before, generator=generator)
        state[f"{prefix}{2 * i}.bias"] = torch.randn(after, generator=generator)
    return state


def version_1(**changes) -> dict:
    """What brainspy-smg 1.0 keeps after training."""
    raw = {
        "epoch": 3,
        "model_state_dict": layers(2, 5, 4, 1, prefix="raw_model."),
        "optimizer_state_dict": {"state": {}, "param_groups": [{"lr": 1e-3, "params": [0]}]},
        "train_losses": torch.tensor([2.0, 1.0]),
        "val_losses": torch.tensor([2.5, 1.5]),
        "min_val_loss": torch.tensor(1.5),
        "info": {
            "model_structure": {"hidden_sizes": [5, 4], "D_in": 2, "D_out": 1, "activation": "elu"},
            "electrode_info": {
                "electrode_no": 3,
                "activation_electrodes": {"electrode_no": 2, "voltage_ranges": np.array(RANGES)},
                "output_electrodes": {
                    "electrode_no": 1,
                    "amplification": [28.5],
                    "clipping_value": [-114.0, 114.0],
                },
            },
            "sampling_configs": {"data_name": "night run", "rate": np.float64(50.0)},
        },
    }
    return raw | changes


def write(path, raw, *, zipped=True):
    torch.save(raw, path, _use_new_zipfile_serialization=zipped)
    return path


@pytest.fixture(scope="module")
def device_a(reference):
    return reference / "real-devices" / "device-a.pt"


def test_a_real_device_gives_what_its_weights_say(device_a):
    surrogate = read_brainspy_model(device_a)
    arrays = np.load(device_a.with_suffix(".npz"), allow_pickle=False)
    ranges = np.array([(t.low_v, t.high_v) for t in surrogate.terminals])
    # the reference keeps ranges in single precision: 1.2 to 6e-8 relative
    assert np.allclose(ranges, arrays["voltage_ranges"], rtol=0, atol=1e-6)
    assert [t.name for t in surrogate.terminals] == [f"v{i}" for i in range(7)]
    assert surrogate.outputs == ("i0",)
    rng = np.random.default_rng(0)
    voltage = ranges[:, 0] + np.ptp(ranges, axis=1) * rng.random((500, 7))
    x = voltage
    for i in range(6):
        x = x @ arrays[f"W{i}"].astype(float).T + arrays[f"b{i}"]
        x = np.maximum(x, 0) if i < 5 else x
    expected = x * float(arrays["amplification_nA_per_V"])
    # both sides in double precision
    assert np.allclose(surrogate.current(voltage), expected, rtol=0, atol=1e-9)
    single = surrogate.torch_current(torch.tensor(voltage, dtype=torch.float32)).numpy()
    # six layers in single precision at up to some 100 nA
    assert np.allclose(single, expected, rtol=0, atol=1e-3)


def test_a_real_device_keeps_its_own_ranges_error_and_origin(device_a):
    surrogate = read_brainspy_model(device_a)
    with pytest.raises(VoltageLimitError, match=r"-0\.7 V to 0\.3 V"):
        surrogate.current([0, 0, 0, 0, 0, 0, 0.5])
    # the file gives 0.6152 nA^2
    assert surrogate.error["validation_rmse_na"] == pytest.approx(0.6152**0.5)
    assert surrogate.provenance["layout"] == "2020"
    assert surrogate.provenance["amplification_na_per_v"] == [100.0]


def test_a_real_device_moves_over_to_our_own_files(device_a, tmp_path):
    surrogate = read_brainspy_model(device_a)
    surrogate.save(tmp_path / "device")
    again = load_surrogate(tmp_path / "device")
    v = np.full(7, 0.1)
    assert np.array_equal(again.current(v), surrogate.current(v))
    assert again.describe() == surrogate.describe()


@pytest.mark.parametrize("zipped", [True, False])
def test_the_layout_of_version_1(tmp_path, zipped):
    raw = version_1()
    surrogate = read_brainspy_model(write(tmp_path / "training_data.pt", raw, zipped=zipped))
    state = raw["model_state_dict"]
    v = np.array([[0.3, -0.2], [-1.0, 0.4]])
    x = torch.tensor(v, dtype=torch.float64)
    for i in (0, 2, 4):
        weight, bias = (state[f"raw_model.{i}.{k}"].double() for k in ("weight", "bias"))
        x = x @ weight.T + bias
        x = torch.nn.functional.elu(x) if i < 4 else x
    assert np.allclose(surrogate.current(v), 28.5 * x.numpy(), rtol=0, atol=1e-9)
    assert [(t.low_v, t.high_v) for t in surrogate.terminals] == [tuple(r) for r in RANGES]
    assert surrogate.network.activation == "elu"
    assert surrogate.error == {"validation_rmse_na": 1.5}
    assert surrogate.provenance["clipping_na"] == [-114.0, 114.0]
    assert surrogate.provenance["training_data"] == {"name": "night run"}


def test_ranges_from_the_sampled_sweeps_and_a_scalar_amplification(tmp_path):
    raw = dict(layers(2, 5, 1)) | {
        "info": {
            "data_info": {
                "processor": {"amplification": 100},
                "input_data": {"amplitude": [0.9, 0.5], "offset": [-0.3, 0.0]},
                "clipping_value": [-np.inf, np.inf],
            }
        }
    }
    surrogate = read_brainspy_model(write(tmp_path / "old.pt", raw))
    assert [(t.low_v, t.high_v) for t in surrogate.terminals] == [tuple(r) for r in RANGES]
    assert surrogate.provenance["clipping_na"] is None
    assert surrogate.network.activation == "relu"
    assert surrogate.error == {}


def test_what_is_missing_can_be_given(tmp_path):
    path = write(tmp_path / "bare.pt", layers(2, 5, 1))
    with pytest.raises(ModelFileError, match="pass voltage_ranges"):
        read_brainspy_model(path)
    with pytest.raises(ModelFileError, match="pass amplification"):
        read_brainspy_model(path, voltage_ranges=RANGES)
    surrogate = read_brainspy_model(path, voltage_ranges=RANGES, amplification=39.5)
    assert surrogate.terminals[0].low_v == -1.2
    assert surrogate.network.output_std.tolist() == [39.5]
    with pytest.raises(ShapeError, match="2 pairs"):
        read_brainspy_model(path, voltage_ranges=RANGES[:1], amplification=1)
    with pytest.raises(ShapeError, match="2 pairs"):
        read_brainspy_model(path, voltage_ranges=[[1, 0], [0, 1]], amplification=1)
    with pytest.raises(ParameterError, match="amplification"):
        read_brainspy_model(path, voltage_ranges=RANGES, amplification=[1.0, 2.0])


def test_files_that_are_no_brainspy_model(tmp_path):
    cases = {
        "list": ([1, 2], "holds a list"),
        "empty": ({}, "no complete set of layers"),
        "half": ({"0.weight": torch.ones(1, 2)}, "no complete set of layers"),
        "chain": (
            dict(layers(2, 5, 1)) | {"2.weight": torch.ones(1, 4)},
            r"layer 2 has weights \[1, 4\]",
        ),
        "nan": (
            dict(layers(2, 5, 1)) | {"0.bias": torch.full((5,), torch.nan)},
            "layer 0 holds NaN",
        ),
        "activation": (
            version_1(info=version_1()["info"] | {"model_structure": {"activation": "swish"}}),
            "'swish'",
        ),
    }
    for name, (raw, match) in cases.items():
        with pytest.raises(ModelFileError, match=match):
            read_brainspy_model(write(tmp_path / f"{name}.pt", raw))
