"""The solver as PyTorch functions: a potential in, PLDOS or transmission out, gradients exact.

potential = torch.zeros(gas.shape, requires_grad=True)
loss = ((pldos(gas, potential) - measured) ** 2).sum()
loss.backward()
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from inmateria.transport.geometry import GasGeometry
from inmateria.transport.gradient import pldos_gradient, transmission_gradient
from inmateria.transport.samples import LeadName
from inmateria.transport.scattering import DEFAULT_ACCURACY, scatter


def pldos(
    gas: GasGeometry,
    potential_mev: Tensor,
    *,
    accuracy: float = DEFAULT_ACCURACY,
    lead: LeadName = "source",
) -> Tensor:
    """PLDOS (..., n_x, n_y) of a potential (..., n_x, n_y) in meV, differentiable once.

    Parameters
    ----------
    gas : GasGeometry
    potential_mev : Tensor
        On any device; the solver runs on the CPU, in double precision.
    accuracy : float
        Of the PLDOS, and of the states that the gradient is made of.
    lead : ``"source"`` or ``"drain"``
    """
    found: Tensor = Pldos.apply(potential_mev, gas, accuracy, lead)  # type: ignore[no-untyped-call]
    return found


def transmission(
    gas: GasGeometry, potential_mev: Tensor, *, accuracy: float = DEFAULT_ACCURACY
) -> Tensor:
    """Transmission (...) of a potential (..., n_x, n_y) in meV, differentiable once."""
    found: Tensor = Transmission.apply(potential_mev, gas, accuracy)  # type: ignore[no-untyped-call]
    return found


class Pldos(torch.autograd.Function):
    """`pldos`; backward is one adjoint solve per mode."""

    @staticmethod
    def forward(
        ctx: Any, potential: Tensor, gas: GasGeometry, accuracy: float, lead: LeadName
    ) -> Tensor:
        if ctx.needs_input_grad[0]:
            gas.require_hard_walls()
        ctx.save_for_backward(potential)
        ctx.gas, ctx.accuracy, ctx.lead = gas, accuracy, lead
        given = potential.detach().cpu().numpy()
        values = scatter(gas, given, accuracy=accuracy, lead=lead).pldos
        return torch.from_numpy(values).to(potential)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, weight: Tensor) -> tuple[Tensor, None, None, None]:
        (potential,) = ctx.saved_tensors
        found = pldos_gradient(
            ctx.gas,
            potential.detach().cpu().numpy(),
            weight.cpu().numpy(),
            accuracy=ctx.accuracy,
            lead=ctx.lead,
        )
        return torch.from_numpy(found.gradient).to(potential), None, None, None


class Transmission(torch.autograd.Function):
    """`transmission`; its gradient needs nothing beyond the states."""

    @staticmethod
    def forward(ctx: Any, potential: Tensor, gas: GasGeometry, accuracy: float) -> Tensor:
        found = transmission_gradient(gas, potential.detach().cpu().numpy(), accuracy=accuracy)
        ctx.save_for_backward(torch.from_numpy(found.gradient).to(potential))
        return torch.from_numpy(found.transmission).to(potential)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, weight: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return weight[..., None, None] * gradient, None, None
