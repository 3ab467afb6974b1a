"""Trained layers as a device: normalisation and scaling become amplifiers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

from inmateria.devices.device import Device, FloatArray, Terminal
from inmateria.devices.layered import Connection, Layered
from inmateria.errors import ParameterError, ShapeError
from inmateria.nn.device_layer import DeviceLayer


@dataclass(frozen=True, eq=False)
class WiredLayers:
    """Layers of devices as one device, and the voltages that training found.

    Parameters
    ----------
    network : Layered
        Neuron k of layer l is its device ``"l.k"``.
    inputs : tuple of str
        Terminals that take the features, ``"x0"``, ``"x1"``, ...
    controls : dict of str to float, V
        All other terminals.
    """

    network: Layered
    inputs: tuple[str, ...]
    controls: dict[str, float]

    def voltage(self, inputs: ArrayLike) -> FloatArray:
        """What drives the network at these inputs and the found controls.

        (..., n_inputs) V to (..., n_terminals) V.
        """
        given = np.asarray(inputs, dtype=np.float64)
        if given.ndim == 0 or given.shape[-1] != len(self.inputs):
            raise ShapeError(
                f"inputs have shape {given.shape}; the last axis must hold {len(self.inputs)} "
                f"voltages ({', '.join(self.inputs)})"
            )
        names = [t.name for t in self.network.terminals]
        voltage = np.empty((*given.shape[:-1], len(names)))
        for column, name in enumerate(names):
            if name in self.inputs:
                voltage[..., column] = given[..., self.inputs.index(name)]
            else:
                voltage[..., column] = self.controls[name]
        return voltage


def as_layered(
    layers: Sequence[DeviceLayer], *, devices: Sequence[Sequence[Device]] | None = None
) -> WiredLayers:
    """The layers, each fed by the one before, as a `Layered` device.

    A layer's batch normalisation (as in `eval`) and the next one's scaling and
    clipping are one amplifier per input. The last layer's currents are given as
    they are, in nA, before its normalisation.

    Parameters
    ----------
    layers : sequence of DeviceLayer
        With wiring ``"same"`` or ``"each"`` and limit ``"clip"``.
    devices : sequence of sequences of Device, optional
        To put other devices in the places, layer by layer: the networks that
        surrogates stand for. Terminals must be named alike; outputs are taken in order.

    Returns
    -------
    WiredLayers
        Its inputs take volts: `DeviceLayer.input_voltage` gives them.

    Raises
    ------
    ParameterError, TerminalError
    """
    if not layers:
        raise ParameterError("no layer to wire; give at least one")
    for i, layer in enumerate(layers):
        if layer.wiring == "linear" or layer.limit != "clip":
            raise ParameterError(
                f"layer {i} has wiring {layer.wiring!r} and limit {layer.limit!r}; amplifiers can "
                "do wiring 'same' or 'each' with limit 'clip'"
            )
        if i and layer.n_features != layers[i - 1].out_features:
            raise ParameterError(
                f"layer {i} takes {layer.n_features} features and layer {i - 1} gives "
                f"{layers[i - 1].out_features}; make them equal"
            )
    first = layers[0]
    uneven = (first.input_centre != first.input_centre[0]) | (
        first.input_half != first.input_half[0]
    )
    if first.wiring == "same" and first.feature_range is not None and bool(uneven.any()):
        raise ParameterError(
            "layer 0 maps one feature to different voltages, because its devices' ranges differ, "
            "and one terminal cannot take both; use wiring 'each' or features in volts"
        )
    stages = [list(layer.devices) for layer in layers] if devices is None else list(devices)
    if [len(stage) for stage in stages] != [layer.n_neurons for layer in layers]:
        raise ParameterError(
            f"devices for {[len(stage) for stage in stages]} neurons; the layers have "
            f"{[layer.n_neurons for layer in layers]}"
        )
    for i, (layer, stage) in enumerate(zip(layers, stages, strict=True)):
        for k, device in enumerate(stage):
            if len(device.outputs) != layer.n_outputs:
                raise ParameterError(
                    f"device {k} for layer {i} has {len(device.outputs)} outputs and the layer's "
                    f"own {layer.n_outputs}; give one with as many"
                )
    ties: dict[str, list[str]] = {f"x{f}": [] for f in range(first.n_features)}
    for f, k, terminal in _entries(first):
        ties[f"x{f}"].append(f"0.{k}.{terminal.name}")
    connections = [
        wire
        for i in range(1, len(layers))
        for wire in _amplifiers(i, layers[i - 1], layers[i], stages[i - 1])
    ]
    controls = {
        f"{i}.{k}.{name}": float(value)
        for i, layer in enumerate(layers)
        for k, row in enumerate(layer.controls.detach().cpu().double().tolist())
        for name, value in zip(layer.controls_named, row, strict=True)
    }
    return WiredLayers(Layered(stages, connections, ties=ties), tuple(ties), controls)


def _entries(layer: DeviceLayer) -> list[tuple[int, int, Terminal]]:
    """Which feature goes into which neuron's terminal: (feature, neuron, terminal)."""
    n = len(layer.inputs)
    return [
        (j if layer.wiring == "same" else k * n + j, k, terminal)
        for k, device in enumerate(layer.devices)
        for j, name in enumerate(layer.inputs)
        for terminal in device.terminals
        if terminal.name == name
    ]


@torch.no_grad()
def _amplifiers(
    number: int, before: DeviceLayer, layer: DeviceLayer, sources: Sequence[Device]
) -> list[Connection]:
    slope, shift = np.ones(before.out_features), np.zeros(before.out_features)
    if before.norm is not None:
        norm = before.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        slope = scale.double().cpu().numpy()
        shift = (norm.bias - norm.running_mean * scale).double().cpu().numpy()
    outputs = [f"{k}.{name}" for k, device in enumerate(sources) for name in device.outputs]
    wires = []
    for f, k, terminal in _entries(layer):
        centre = (terminal.low_v + terminal.high_v) / 2
        half = (terminal.high_v - terminal.low_v) / 2 * layer.input_share
        gain, offset = slope[f], shift[f]
        if layer.feature_range is not None:
            low, high = layer.feature_range
            gain = half * 2 / (high - low) * slope[f]
            offset = centre + half * (2 * shift[f] - (high + low)) / (high - low)
        wires.append(
            Connection(
                f"{number - 1}.{outputs[f]}",
                f"{number}.{k}.{terminal.name}",
                float(gain),
                float(offset),
                # Rounding must not carry a limit beyond the terminal's own.
                max(centre - half, terminal.low_v),
                min(centre + half, terminal.high_v),
            )
        )
    return wires
