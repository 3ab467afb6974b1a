"""Dopant networks of one size as one function of tensors, with the exact gradient.

The forward pass solves for the steady state of all devices at all points in one
compiled loop; the backward pass is one adjoint solve per point and output at
the state that the forward pass found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from inmateria.devices.device import FloatArray
from inmateria.devices.dopant.network import DopantNetwork
from inmateria.devices.dopant.stack import EngineStack, stack_engines


@dataclass(frozen=True, eq=False)
class DopantStack:
    """Engines as one, and which electrodes are driven and read.

    Parameters
    ----------
    engines : EngineStack
    n_networks, n_electrodes : int
    driven, read : electrode numbers
    nanoampere : (n_networks, 1, 1) array
        nA per hole per 1 / nu0.
    """

    engines: EngineStack
    n_networks: int
    n_electrodes: int
    driven: NDArray[np.int64]
    read: tuple[int, ...]
    nanoampere: FloatArray

    def solve(self, voltage: FloatArray) -> tuple[FloatArray, FloatArray, Any]:
        """(n_networks, n_points, n_terminals) V to currents in nA, electrode voltages and state."""
        full = np.zeros((*voltage.shape[:-1], self.n_electrodes))
        full[..., self.driven] = voltage
        current, state = self.engines.current(full)
        return self.nanoampere * current[..., list(self.read)], full, state

    def gradient(self, full: FloatArray, state: Any) -> FloatArray:
        """(n_networks, n_points, n_outputs, n_terminals) nA/V."""
        gradient = self.engines.gradient(full, state, self.read)[..., self.driven]
        return np.asarray(self.nanoampere[..., None] * gradient)


def stack_of(devices: Sequence[DopantNetwork]) -> DopantStack | None:
    """The networks as one; None where their engine or sizes do not allow it.

    Terminals and outputs are equal on all of them.
    """
    engines = stack_engines([device.engine for device in devices])
    if engines is None:
        return None
    first = devices[0]
    names = [f"e{i}" for i in range(first.model.n_electrodes)]
    return DopantStack(
        engines,
        len(devices),
        len(names),
        np.array([names.index(t.name) for t in first.terminals], dtype=np.int64),
        tuple(names.index(name) for name in first.outputs),
        np.array([device.nanoampere for device in devices])[:, None, None],
    )


class StackedDopants(nn.Module):
    """Dopant networks computed together.

    Parameters
    ----------
    stack : DopantStack
        Of one network for any number of devices, or of one per device.
    """

    def __init__(self, stack: DopantStack) -> None:
        super().__init__()
        self._stack = stack
        n = stack.n_networks
        self.way = "one network, one batch" if n == 1 else f"{n} networks, one compiled loop"

    def forward(self, voltage: Tensor) -> Tensor:
        """(n_devices, n_points, n_terminals) V to (n_devices, n_points, n_outputs) nA."""
        current: Tensor = _SteadyState.apply(voltage, self._stack)  # type: ignore[no-untyped-call]
        return current


class _SteadyState(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, voltage: Tensor, stack: DopantStack) -> Tensor:
        array = voltage.detach().cpu().double().numpy()
        shape = array.shape
        if stack.n_networks == 1:
            array = array.reshape(1, shape[0] * shape[1], shape[-1])
        current, full, state = stack.solve(array)
        ctx.found = (stack, full, state)
        flat = current.reshape(*shape[:-1], len(stack.read))
        return torch.as_tensor(flat, dtype=voltage.dtype, device=voltage.device)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, weight: Tensor) -> tuple[Tensor, None]:
        stack, full, state = ctx.found
        slope = stack.gradient(full, state)
        slope = slope.reshape(*weight.shape, slope.shape[-1])
        gradient = torch.as_tensor(slope, dtype=weight.dtype, device=weight.device)
        return (weight[..., None] * gradient).sum(-2), None
