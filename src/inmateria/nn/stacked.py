"""Many devices in one call: which way is taken for which.

- One object with many control settings: a batch that many times as large, one call.
- Surrogates of one architecture: weights stacked, one batched product per layer.
- Dopant networks of one size whose engine is in `STACKS`: one compiled loop over
  devices and points, shared out over all cores.
- Anything else with a gradient: one call per distinct object, in turn.

A mixture is sorted into such groups, one call each. Only for the last kind does
Python loop over devices; each of its calls still has all points, and a dopant
network shares them out over all cores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from inmateria.devices.device import Device
from inmateria.devices.dopant.network import DopantNetwork
from inmateria.devices.dopant.stack import STACKS
from inmateria.nn.stacked_dopants import StackedDopants, stack_of
from inmateria.nn.stacked_surrogates import StackedSurrogates, architecture
from inmateria.surrogates.surrogate import Surrogate
from inmateria.training.differentiable import as_differentiable


def stack_devices(devices: Sequence[Device]) -> nn.Module:
    """A module from (n_devices, n_points, n_terminals) V to (n_devices, n_points, n_outputs) nA.

    All devices have equal terminals and outputs. The module's `way` says in
    words how it computes.

    Raises
    ------
    TrainingError
        If a device has no gradient.
    """
    groups: dict[Any, list[int]] = {}
    for i, device in enumerate(devices):
        groups.setdefault(_kind(device), []).append(i)
    parts = [_together([devices[i] for i in at]) for at in groups.values()]
    return parts[0] if len(parts) == 1 else Grouped(parts, list(groups.values()))


class Grouped(nn.Module):
    """Groups of devices, one call each."""

    def __init__(self, parts: Sequence[nn.Module], places: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self._places = [list(at) for at in places]
        order = [i for at in places for i in at]
        self._back = [order.index(i) for i in range(len(order))]
        count = Counter(str(part.way) for part in parts)
        self.way = "; ".join(way if n == 1 else f"{n} x {way}" for way, n in count.items())

    def forward(self, voltage: Tensor) -> Tensor:
        """(n_devices, n_points, n_terminals) V to (n_devices, n_points, n_outputs) nA."""
        pairs = zip(self.parts, self._places, strict=True)
        return torch.cat([part(voltage[at]) for part, at in pairs])[self._back]


class OneDevice(nn.Module):
    """A device of any kind with a gradient, at the voltages of all its neurons."""

    def __init__(self, device: Device) -> None:
        super().__init__()
        self._current = as_differentiable(device)
        self.way = "one device, one batch"

    def forward(self, voltage: Tensor) -> Tensor:
        """(n_devices, n_points, n_terminals) V to (n_devices, n_points, n_outputs) nA."""
        return self._current(voltage.cpu()).to(voltage.device)


def _kind(device: Device) -> Any:
    """Devices of equal kind are computed together."""
    if isinstance(device, Surrogate):
        return architecture(device.network)
    if isinstance(device, DopantNetwork) and device.engine.name in STACKS:
        return (device.engine.name, device.model.n_sites, device.model.n_electrodes)
    return id(device)


def _together(devices: Sequence[Device]) -> nn.Module:
    distinct = list({id(device): device for device in devices}.values())
    chosen = distinct if len(distinct) == 1 else list(devices)
    surrogates = [device for device in chosen if isinstance(device, Surrogate)]
    if surrogates:
        return StackedSurrogates([surrogate.network for surrogate in surrogates])
    networks = [device for device in chosen if isinstance(device, DopantNetwork)]
    stack = stack_of(networks) if networks else None
    return OneDevice(chosen[0]) if stack is None else StackedDopants(stack)
