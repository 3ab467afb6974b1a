"""Devices as neurons of a PyTorch network, control voltages as their weights.

    features --(scaling, wiring, limit)--> input voltages
    control voltages, trained and always in range  --+--> currents --(batch norm)--> features

In the manner of Ruiz Euler et al. (2021), Neuromorph. Comput. Eng. 1, 024002:
currents are normalised over the batch, mapped to the next devices' voltages and
clipped there. With `as_layered` the trained layers become a `Layered` device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from inmateria.devices.device import Device
from inmateria.errors import NotFiniteError, ShapeError, VoltageLimitError
from inmateria.nn.assignment import (
    check_options,
    count_features,
    input_positions,
    one_per_neuron,
)
from inmateria.nn.stacked import stack_devices
from inmateria.training.bounds import Bounds


class DeviceLayer(nn.Module):
    """A layer of devices: (..., n_features) to (..., n_neurons * n_outputs).

    Parameters
    ----------
    devices : Device or sequence of Device
        One per neuron, or one for all (with `n_neurons`). Surrogates and dopant
        networks of one kind are computed together; see `nn.stacked`.
    inputs : sequence of str or int
        Terminals that take features; all others are controls.
    n_neurons : int, optional
        How many neurons share a single device.
    wiring : str
        ``"same"``: every neuron sees the same features, one per input.
        ``"each"``: every input of every neuron has a feature of its own, neuron
        by neuron. ``"linear"``: a trained linear map from `n_features` to all
        inputs; 1 and -1 are the ends of an input's swing.
    n_features : int, optional
        For ``"linear"`` only; the others follow from inputs and neurons.
    feature_range : (float, float), optional
        Features at these values put an input at the ends of its swing. Without
        it features are volts (or go to the linear map as they are).
    input_share : float
        The swing as a share of the terminal's range, centred.
    limit : str
        What happens beyond the swing: ``"clip"`` (slope 0 outside) or ``"tanh"``
        (smooth, and the ends are never reached).
    batch_norm : bool
        Normalise each output over the batch, with trained scale and offset.
        Without it the layer gives nA.
    noise_na : float
        Standard deviation of white noise on every current while training, nA. A
        rig has noise and a surrogate its error; normalisation amplifies both,
        and what is trained without noise may live on currents far below them.
    seed : int
        Draws control voltages, uniform in their ranges, the linear map, and the noise.

    Raises
    ------
    ParameterError, TerminalError, TrainingError
    """

    control_low: Tensor
    control_high: Tensor
    input_centre: Tensor
    input_half: Tensor
    order: Tensor

    def __init__(
        self,
        devices: Device | Sequence[Device],
        inputs: Sequence[str | int],
        *,
        n_neurons: int | None = None,
        wiring: str = "same",
        n_features: int | None = None,
        feature_range: tuple[float, float] | None = None,
        input_share: float = 1.0,
        limit: str = "clip",
        batch_norm: bool = False,
        noise_na: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.devices = one_per_neuron(devices, n_neurons)
        first = self.devices[0]
        self._input_index = input_positions(first, inputs)
        names = [t.name for t in first.terminals]
        self.inputs = tuple(names[i] for i in self._input_index)
        self._control_index = [i for i in range(len(names)) if i not in self._input_index]
        self.controls_named = tuple(names[i] for i in self._control_index)
        check_options(wiring, limit, feature_range, input_share, noise_na)
        self.wiring, self.limit, self.input_share = wiring, limit, float(input_share)
        self.feature_range = None if feature_range is None else tuple(map(float, feature_range))
        self.n_neurons, self.n_outputs = len(self.devices), len(first.outputs)
        self.n_features = count_features(wiring, n_features, len(self.inputs), self.n_neurons)
        self._stack = stack_devices(self.devices)
        self._set_ranges()
        generator = torch.Generator().manual_seed(seed)
        low, high = self.control_low, self.control_high
        start = low + (high - low) * torch.rand(low.shape, generator=generator)
        self.free_controls = nn.Parameter(self._bounds().free(start))
        self.linear = None
        if wiring == "linear":
            self.linear = nn.utils.skip_init(  # type: ignore[no-untyped-call]
                nn.Linear, self.n_features, self.n_neurons * len(self.inputs)
            )
            with torch.no_grad():
                std = 1 / math.sqrt(self.n_features)
                self.linear.weight.normal_(0.0, std, generator=generator)
                self.linear.bias.zero_()
        self.noise_na, self._noise = float(noise_na), generator
        self.norm = nn.BatchNorm1d(self.out_features) if batch_norm else None

    @property
    def out_features(self) -> int:
        """n_neurons * n_outputs; the outputs of a neuron stand together."""
        return self.n_neurons * self.n_outputs

    @property
    def way(self) -> str:
        """How the devices are computed, in words."""
        return str(self._stack.way)

    @property
    def controls(self) -> Tensor:
        """Control voltages, (n_neurons, n_controls) V, in the order of `controls_named`."""
        return self._bounds().voltage(self.free_controls)

    @torch.no_grad()
    def set_controls(self, voltage: ArrayLike) -> None:
        """Put the controls at (n_neurons, n_controls) V.

        Raises
        ------
        ShapeError, NotFiniteError, VoltageLimitError
        """
        array = np.asarray(voltage, dtype=np.float64)
        if array.shape != tuple(self.free_controls.shape):
            raise ShapeError(
                f"controls have shape {array.shape}; {self.n_neurons} neurons with controls "
                f"{', '.join(self.controls_named)} need {tuple(self.free_controls.shape)}"
            )
        if not np.isfinite(array).all():
            raise NotFiniteError("controls hold NaN or infinity; give voltages")
        for k, device in enumerate(self.devices):
            for value, i in zip(array[k], self._control_index, strict=True):
                terminal = device.terminals[i]
                if not terminal.low_v <= value <= terminal.high_v:
                    raise VoltageLimitError(
                        f"neuron {k}: control {terminal.name} at {value:.4g} V leaves its range "
                        f"{terminal.low_v:g} V to {terminal.high_v:g} V; keep it inside"
                    )
        self.free_controls.copy_(self._bounds().free(torch.as_tensor(array).to(self.control_low)))

    def forward(self, features: Tensor) -> Tensor:
        """(..., n_features) to (..., n_neurons * n_outputs), nA or normalised.

        Raises
        ------
        ShapeError, NotFiniteError, and what the devices raise
        """
        flat = self._check(features)
        inputs = self._input_voltage(flat).transpose(0, 1)
        controls = self.controls[:, None, :].expand(-1, len(flat), -1)
        voltage = torch.cat([inputs, controls], dim=-1)[..., self.order]
        current = self._stack(voltage).transpose(0, 1).reshape(len(flat), self.out_features)
        if self.training and self.noise_na:
            white = torch.randn(current.shape, generator=self._noise, dtype=current.dtype)
            current = current + self.noise_na * white.to(current.device)
        if self.norm is not None:
            if self.training and len(flat) < 2:
                raise ShapeError(
                    "batch normalisation needs at least 2 rows in training; give more, or call "
                    "eval() first"
                )
            current = self.norm(current)
        shaped: Tensor = current.reshape(*features.shape[:-1], self.out_features)
        return shaped

    def input_voltage(self, features: Tensor) -> Tensor:
        """What the inputs see, (..., n_features) to (..., n_neurons, n_inputs) V."""
        flat = self._check(features)
        voltage = self._input_voltage(flat)
        return voltage.reshape(*features.shape[:-1], self.n_neurons, len(self.inputs))

    def describe(self) -> dict[str, Any]:
        """Options, devices and control voltages as plain JSON values."""
        distinct = {id(device): device for device in self.devices}
        number = {key: i for i, key in enumerate(distinct)}
        return {
            "kind": "device layer",
            "inputs": list(self.inputs),
            "wiring": self.wiring,
            "n_features": self.n_features,
            "feature_range": None if self.feature_range is None else list(self.feature_range),
            "input_share": self.input_share,
            "limit": self.limit,
            "batch_norm": self.norm is not None,
            "noise_na": self.noise_na,
            "devices": [device.describe() for device in distinct.values()],
            "device_of_neuron": [number[id(device)] for device in self.devices],
            "controls_v": [
                dict(zip(self.controls_named, row, strict=True))
                for row in self.controls.detach().tolist()
            ],
        }

    def extra_repr(self) -> str:
        """What print shows of this layer."""
        return (
            f"{self.n_features} -> {self.out_features}, inputs={self.inputs}, "
            f"wiring={self.wiring!r}; {self.way}"
        )

    def _bounds(self) -> Bounds:
        return Bounds(self.control_low, self.control_high)

    def _set_ranges(self) -> None:
        """Ranges as buffers that no state dict holds, (n_neurons, n_controls or n_inputs) V."""
        of = [Bounds.of(device.terminals) for device in self.devices]
        low, high = torch.stack([b.low for b in of]), torch.stack([b.high for b in of])
        at, control = self._input_index, self._control_index
        order = torch.argsort(torch.tensor(at + control))
        for name, tensor in (
            ("control_low", low[:, control]),
            ("control_high", high[:, control]),
            ("input_centre", (low[:, at] + high[:, at]) / 2),
            ("input_half", (high[:, at] - low[:, at]) / 2 * self.input_share),
            ("order", order),
        ):
            self.register_buffer(name, tensor, persistent=False)

    def _input_voltage(self, flat: Tensor) -> Tensor:
        """(n_points, n_features) to (n_points, n_neurons, n_inputs) V."""
        x = flat
        if self.feature_range is not None:
            low, high = self.feature_range
            x = (2 * x - (high + low)) / (high - low)
        if self.linear is not None:
            x = self.linear(x)
        wide = (len(flat), self.n_neurons, len(self.inputs))
        x = x[:, None, :].expand(wide) if self.wiring == "same" else x.reshape(wide)
        if self.feature_range is None and self.linear is None:
            x = (x - self.input_centre) / self.input_half
        bounded = torch.tanh(x) if self.limit == "tanh" else torch.clamp(x, -1.0, 1.0)
        return self.input_centre + self.input_half * bounded

    def _check(self, features: Tensor) -> Tensor:
        if not isinstance(features, Tensor) or not features.is_floating_point():
            raise ShapeError(
                f"features are {type(features).__name__}; give a tensor of floating-point numbers"
            )
        if features.ndim == 0 or features.shape[-1] != self.n_features:
            raise ShapeError(
                f"features have shape {tuple(features.shape)}; the last axis must hold "
                f"{self.n_features} features (wiring {self.wiring!r})"
            )
        if features.dtype != self.free_controls.dtype:
            raise ShapeError(
                f"features are {features.dtype} and the layer {self.free_controls.dtype}; "
                "convert one of them, for example by layer.double()"
            )
        if not torch.isfinite(features).all():
            raise NotFiniteError("features hold NaN or infinity; replace them first")
        return features.reshape(-1, self.n_features)
