"""The network behind a surrogate: volts in, nanoamperes out, scaling included.

    I(V) = mean + std * net((V - centre) / half_width)

with a fully connected net, five hidden layers of 90 ReLU by default (Ruiz Euler
et al. 2020). The four scaling vectors are buffers of the module, so that a
saved network needs nothing else to be evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from inmateria.errors import ParameterError

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "hard-tanh": nn.Hardtanh,
    "sigmoid": nn.Sigmoid,
}
DEFAULT_HIDDEN = (90,) * 5


class ScaledNetwork(nn.Module):
    """A fully connected network with its input and output scaling inside.

    Weights start at zero: draw them with `initialise` or load them. Nothing
    here touches PyTorch's global random generator.

    Parameters
    ----------
    n_inputs, n_outputs : int
    hidden : sequence of int
        Width of each hidden layer.
    activation : str
        One of `ACTIVATIONS`.

    Raises
    ------
    ParameterError
    """

    input_centre: Tensor
    input_half_width: Tensor
    output_mean: Tensor
    output_std: Tensor

    def __init__(
        self,
        n_inputs: int,
        n_outputs: int,
        *,
        hidden: Sequence[int] = DEFAULT_HIDDEN,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ParameterError(
                f"activation {activation!r} is unknown; use one of {', '.join(ACTIVATIONS)}"
            )
        sizes = [n_inputs, *hidden, n_outputs]
        if not all(isinstance(n, int) and n > 0 for n in sizes):
            raise ParameterError(
                f"layer sizes {sizes} must be whole numbers above zero; give hidden=(90, 90, ...)"
            )
        self.hidden = tuple(hidden)
        self.activation = activation
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise(sizes)):
            if i:
                layers.append(ACTIVATIONS[activation]())
            # skip_init: the usual constructor would draw from the global generator
            linear = nn.utils.skip_init(nn.Linear, before, after)  # type: ignore[no-untyped-call]
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)
            layers.append(linear)
        self.layers = nn.Sequential(*layers)
        self.register_buffer("input_centre", torch.zeros(n_inputs))
        self.register_buffer("input_half_width", torch.ones(n_inputs))
        self.register_buffer("output_mean", torch.zeros(n_outputs))
        self.register_buffer("output_std", torch.ones(n_outputs))

    @property
    def n_inputs(self) -> int:
        """Number of driven terminals."""
        return self.input_centre.numel()

    @property
    def n_outputs(self) -> int:
        """Number of outputs."""
        return self.output_mean.numel()

    def forward(self, voltage: Tensor) -> Tensor:
        """Current, (..., n_inputs) V to (..., n_outputs) nA."""
        scaled: Tensor = self.layers((voltage - self.input_centre) / self.input_half_width)
        return scaled * self.output_std + self.output_mean

    def linear_layers(self) -> list[nn.Linear]:
        """The layers with weights, first to last."""
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw the weights: normal with variance 2 / fan-in (He et al. 2015), zero biases.

        Activations that saturate get variance 1 / fan-in, and so does the last layer.
        """
        linear = self.linear_layers()
        rectifying = self.activation in ("relu", "elu", "gelu", "silu")
        for layer in linear:
            gain = 2.0 if rectifying and layer is not linear[-1] else 1.0
            std = (gain / layer.in_features) ** 0.5
            layer.weight.normal_(0.0, std, generator=generator)
            layer.bias.zero_()

    @torch.no_grad()
    def set_scaling(
        self,
        *,
        input_centre: Tensor,
        input_half_width: Tensor,
        output_mean: Tensor,
        output_std: Tensor,
    ) -> None:
        """Fill the scaling buffers: V, V, nA and nA."""
        self.input_centre.copy_(input_centre)
        self.input_half_width.copy_(input_half_width)
        self.output_mean.copy_(output_mean)
        self.output_std.copy_(output_std)
