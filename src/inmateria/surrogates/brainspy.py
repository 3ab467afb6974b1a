"""Models and measurements of brains-py, so that its users move over with one command.

A brains-py model is a ``.pt`` file: the weights of a fully connected network of
plain volts, whose output times an amplification is the current in nA, and an
``info`` dictionary with the voltage ranges. Two layouts exist: that of 2020
(weights at the top, ``info.data_info``) and that of version 1
(``model_state_dict``, ``info.electrode_info``).
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from inmateria.devices.device import Terminal
from inmateria.errors import ModelFileError, ParameterError, ShapeError
from inmateria.surrogates.brainspy_data import BrainspyData, read_brainspy_data
from inmateria.surrogates.network import ACTIVATIONS, ScaledNetwork
from inmateria.surrogates.surrogate import Surrogate
from inmateria.surrogates.torch_files import read_torch_file

__all__ = ["BrainspyData", "read_brainspy_data", "read_brainspy_model"]

Keys = tuple[str, ...]
RANGES: tuple[Keys, ...] = (
    ("electrode_info", "activation_electrodes", "voltage_ranges"),
    ("activation_electrodes", "voltage_ranges"),
    ("voltage_ranges",),
)
SWEEPS: tuple[Keys, ...] = (("data_info", "input_data"), ("sampling_configs", "input_data"), ())
AMPLIFICATIONS: tuple[Keys, ...] = (
    ("electrode_info", "output_electrodes", "amplification"),
    ("output_electrodes", "amplification"),
    ("sampling_configs", "driver", "amplification"),
    ("data_info", "processor", "amplification"),
    ("data_info", "amplification"),
    ("amplification",),
)
STRUCTURES: tuple[Keys, ...] = (
    ("model_structure",),
    ("smg_configs", "processor", "torch_model_dict"),
)
CLIPPING: tuple[Keys, ...] = (
    ("electrode_info", "output_electrodes", "clipping_value"),
    ("data_info", "clipping_value"),
)


def read_brainspy_model(
    path: str | Path,
    *,
    voltage_ranges: ArrayLike | None = None,
    amplification: ArrayLike | None = None,
) -> Surrogate:
    """A model of brains-py as a `Surrogate`, with its own ranges and amplification.

    Its output clipping is kept in the provenance and not applied: clipping is
    of the instruments, not of the device.

    Parameters
    ----------
    path : path
        The ``.pt`` file. It is read without running code from it.
    voltage_ranges : (n_terminals, 2) array, V, optional
        Instead of those in the file.
    amplification : scalar or (n_outputs,) array, nA/V, optional
        Instead of that in the file.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged, would run code, or lacks what a device needs.
    ParameterError, ShapeError
        If a range or amplification given here is wrong.
    """
    raw = read_torch_file(path)
    if not isinstance(raw, Mapping):
        raise ModelFileError(
            f"{path} holds a {type(raw).__name__} and not a brains-py model; "
            "give the training_data.pt or model .pt that brains-py or brainspy-smg wrote"
        )
    info = raw.get("info")
    info = info if isinstance(info, Mapping) else {}
    state = raw.get("model_state_dict", raw)
    weights, biases = _layers(state if isinstance(state, Mapping) else {}, path)
    n_inputs, n_outputs = weights[0].shape[1], weights[-1].shape[0]
    structure = _first(info, STRUCTURES)
    activation = structure.get("activation", "relu") if isinstance(structure, Mapping) else "relu"
    if activation not in ACTIVATIONS:
        raise ModelFileError(
            f"{path} names the activation {activation!r}; known are {', '.join(ACTIVATIONS)}"
        )
    ranges = _ranges(info, n_inputs, voltage_ranges, path)
    gain = _gain(info, n_outputs, amplification, path)
    network = ScaledNetwork(
        n_inputs, n_outputs, hidden=[len(w) for w in weights[:-1]], activation=activation
    )
    with torch.no_grad():
        for layer, weight, bias in zip(network.linear_layers(), weights, biases, strict=True):
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
        network.output_std.copy_(torch.tensor(gain))
    return Surrogate(
        network,
        tuple(Terminal(f"v{i}", *limits) for i, limits in enumerate(ranges)),
        tuple(f"i{k}" for k in range(n_outputs)),
        provenance=_provenance(raw, info, path, gain),
        error=_error(raw, info),
    )


def _layers(state: Mapping[Any, Any], path: str | Path) -> tuple[list[Tensor], list[Tensor]]:
    """Weights and biases from first to last layer, whatever the prefix of their names."""
    found: dict[int, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        match = re.search(r"(?:^|\.)(\d+)\.(weight|bias)$", str(name))
        if match and isinstance(tensor, Tensor):
            found.setdefault(int(match[1]), {})[match[2]] = tensor.detach().float()
    layers = [found[number] for number in sorted(found)]
    if not layers or any(set(layer) != {"weight", "bias"} for layer in layers):
        raise ModelFileError(
            f"{path} holds no complete set of layers ('0.weight', '0.bias', ...); "
            "give the file that brains-py or brainspy-smg wrote after training"
        )
    width = None
    for number, layer in zip(sorted(found), layers, strict=True):
        weight, bias = layer["weight"], layer["bias"]
        fits = weight.ndim == 2 and weight.numel() > 0 and bias.shape == weight.shape[:1]
        if not fits or width not in (None, weight.shape[1]):
            raise ModelFileError(
                f"{path}: layer {number} has weights {list(weight.shape)} and biases "
                f"{list(bias.shape)}, which do not follow a layer of {width}; copy the file again"
            )
        if not (torch.isfinite(weight).all() and torch.isfinite(bias).all()):
            raise ModelFileError(f"{path}: layer {number} holds NaN or infinity; train it again")
        width = weight.shape[0]
    return [layer["weight"] for layer in layers], [layer["bias"] for layer in layers]


def _ranges(
    info: Mapping[Any, Any], n: int, given: ArrayLike | None, path: str | Path
) -> list[tuple[float, float]]:
    """(low, high) in V for each input, from the call, the ranges or the sampled sweeps."""
    if given is not None:
        ranges = _numbers(given)
        if ranges is None or ranges.shape != (n, 2) or not (ranges[:, 0] < ranges[:, 1]).all():
            raise ShapeError(f"voltage_ranges must hold {n} pairs (low, high) in V")
        return [(float(low), float(high)) for low, high in ranges]
    candidates = [_numbers(_first(info, RANGES))]
    for keys in SWEEPS:
        offset = _numbers(_first(info, ((*keys, "offset"),)))
        amplitude = _numbers(_first(info, ((*keys, "amplitude"),)))
        if offset is not None and amplitude is not None and offset.shape == amplitude.shape:
            candidates.append(np.stack([offset - amplitude, offset + amplitude], axis=-1))
    for ranges in candidates:
        if ranges is not None and ranges.shape == (n, 2) and (ranges[:, 0] < ranges[:, 1]).all():
            # ranges are stored in single precision, or as offset and amplitude
            return [(round(float(low), 6), round(float(high), 6)) for low, high in ranges]
    raise ModelFileError(
        f"{path} does not give voltage ranges for its {n} inputs; pass voltage_ranges"
    )


def _gain(
    info: Mapping[Any, Any], n: int, given: ArrayLike | None, path: str | Path
) -> list[float]:
    """nA per unit of the network's output, for each output."""
    gain = _numbers(given if given is not None else _first(info, AMPLIFICATIONS))
    if gain is None:
        raise ModelFileError(f"{path} does not give the amplification (nA/V); pass amplification")
    if gain.size not in (1, n) or not gain.all():
        raise (ModelFileError if given is None else ParameterError)(
            f"amplification {gain.tolist()} nA/V must be one number other than zero "
            f"for each of {n} outputs; pass amplification"
        )
    return [float(g) for g in np.broadcast_to(gain.ravel(), n)]


def _first(info: Mapping[Any, Any], places: Sequence[Keys]) -> Any:
    """The value at the first of several paths of keys that exists."""
    for keys in places:
        value: Any = info
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None:
            return value
    return None


def _numbers(value: Any) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """`value` as finite floats, or None if it is not that."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return array if array.size and np.isfinite(array).all() else None


def _provenance(
    raw: Mapping[Any, Any], info: Mapping[Any, Any], path: str | Path, gain: list[float]
) -> dict[str, Any]:
    clipping = _numbers(_first(info, CLIPPING))
    name = _first(info, (("data_info", "data_name"), ("sampling_configs", "data_name")))
    return {
        "made_by": "brains-py",
        "file": Path(path).name,
        "file_sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest(),
        "layout": "version 1" if "model_state_dict" in raw else "2020",
        "training_data": {"name": name if isinstance(name, str) else None},
        "amplification_na_per_v": gain,
        "clipping_na": None if clipping is None else clipping.tolist(),
    }


def _error(raw: Mapping[Any, Any], info: Mapping[Any, Any]) -> dict[str, Any]:
    """What the file says of its error: brains-py kept nA squared in 2020 and nA later."""
    squared = _numbers(_first(info, (("data_info", "mse"), ("mse",))))
    if squared is not None and squared.size == 1 and squared.item() >= 0:
        return {"validation_rmse_na": math.sqrt(squared.item())}
    later = _numbers(raw.get("min_val_loss"))
    return {} if later is None or later.size != 1 else {"validation_rmse_na": later.item()}
