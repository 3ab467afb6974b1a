"""Any device with a gradient, as a function that PyTorch can differentiate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from inmateria.devices.device import Device, DifferentiableDevice
from inmateria.errors import TrainingError


@runtime_checkable
class TorchDevice(Protocol):
    """A device whose current is a PyTorch expression, as a surrogate's is."""

    def torch_current(self, voltage: Tensor) -> Tensor:
        """(..., n_terminals) V to (..., n_outputs) nA, differentiable."""


class _DeviceCurrent(torch.autograd.Function):
    """Forward by `device.current`, backward by `device.gradient`."""

    @staticmethod
    def forward(ctx: Any, voltage: Tensor, device: DifferentiableDevice) -> Tensor:
        ctx.save_for_backward(voltage)
        ctx.device = device
        current = device.current(voltage.detach().numpy())
        return torch.as_tensor(current, dtype=voltage.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, weight: Tensor) -> tuple[Tensor, None]:
        (voltage,) = ctx.saved_tensors
        gradient = torch.as_tensor(ctx.device.gradient(voltage.numpy()), dtype=weight.dtype)
        return (weight[..., None] * gradient).sum(-2), None


def as_differentiable(device: Device) -> Callable[[Tensor], Tensor]:
    """`device.current` as a function of tensors, with its gradient.

    A device with `torch_current` is taken as it is; one with `gradient` is
    wrapped, and pays one gradient call per backward pass.

    Returns
    -------
    callable
        (..., n_terminals) V to (..., n_outputs) nA.

    Raises
    ------
    TrainingError
        If the device has neither.
    """
    if isinstance(device, TorchDevice):
        return device.torch_current
    if isinstance(device, DifferentiableDevice):
        differentiable = device

        def current(voltage: Tensor) -> Tensor:
            result: Tensor = _DeviceCurrent.apply(voltage, differentiable)  # type: ignore[no-untyped-call]
            return result

        return current
    raise TrainingError(
        f"{type(device).__name__} has no gradient, so nothing can be descended in silico; "
        "sample it and train on a surrogate"
    )
