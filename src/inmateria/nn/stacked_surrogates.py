"""Surrogates of one architecture as one network: a batched product per layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from inmateria.surrogates.network import ACTIVATIONS, ScaledNetwork


def architecture(network: ScaledNetwork) -> tuple[object, ...]:
    """What networks must have in common to be computed together."""
    return (network.n_inputs, network.n_outputs, network.hidden, network.activation)


class StackedSurrogates(nn.Module):
    """Frozen copies of several networks, computed together.

    Weights are buffers that no state dict holds: they move and change precision
    with the module, and the surrogates that they come from stay as they are.

    Parameters
    ----------
    networks : sequence of ScaledNetwork
        All of one architecture. A single one serves any number of devices.
    """

    input_centre: Tensor
    input_half_width: Tensor
    output_mean: Tensor
    output_std: Tensor

    def __init__(self, networks: Sequence[ScaledNetwork]) -> None:
        super().__init__()
        first = networks[0]
        self.n_networks = len(networks)
        self.depth = len(first.linear_layers())
        self.activation = ACTIVATIONS[first.activation]()
        n = len(networks)
        self.way = "one surrogate, one batch" if n == 1 else f"{n} surrogates, weights stacked"
        with torch.no_grad():
            for i in range(self.depth):
                layers = [network.linear_layers()[i] for network in networks]
                self._keep(f"weight_{i}", torch.stack([layer.weight.T for layer in layers]))
                self._keep(f"bias_{i}", torch.stack([layer.bias[None] for layer in layers]))
            for name in ("input_centre", "input_half_width", "output_mean", "output_std"):
                self._keep(name, torch.stack([getattr(net, name)[None] for net in networks]))

    def _keep(self, name: str, tensor: Tensor) -> None:
        self.register_buffer(name, tensor.contiguous().clone(), persistent=False)

    def forward(self, voltage: Tensor) -> Tensor:
        """(n_devices, n_points, n_terminals) V to (n_devices, n_points, n_outputs) nA."""
        shape = voltage.shape
        if self.n_networks == 1:
            voltage = voltage.reshape(1, shape[0] * shape[1], shape[-1])
        x = (voltage - self.input_centre) / self.input_half_width
        for i in range(self.depth):
            if i:
                x = self.activation(x)
            x = torch.baddbmm(getattr(self, f"bias_{i}"), x, getattr(self, f"weight_{i}"))
        current = x * self.output_std + self.output_mean
        return current.reshape(*shape[:-1], current.shape[-1])
