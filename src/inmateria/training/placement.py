"""Where inputs and controls go among a device's terminals, in tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from inmateria.devices.device import Device, Terminal
from inmateria.tasks.task import Task, control_terminals, output_index
from inmateria.training.differentiable import as_differentiable

_CHUNK = 8192
"""Operating points per forward pass without gradient: stays in the cache."""


@dataclass(frozen=True)
class Placement:
    """A device seen from a task's inputs: controls in, currents at the points out.

    Parameters
    ----------
    terminals : control terminals
    input_voltage : (n_points, n_terminals) tensor, V
        Zero on controls.
    spread : (n_controls, n_terminals) tensor
        One where a control meets its terminal.
    device_current : callable
    output : int
    """

    terminals: tuple[Terminal, ...]
    input_voltage: Tensor
    spread: Tensor
    device_current: Callable[[Tensor], Tensor]
    output: int

    @classmethod
    def of(cls, task: Task, device: Device, *, output: str | int = 0) -> Placement:
        """Placement of the task's training points, in float32.

        Raises
        ------
        TaskError, TrainingError
        """
        terminals = control_terminals(task, device)
        names = [t.name for t in device.terminals]
        points = task.points[task.train]
        input_voltage = np.zeros((len(points), len(names)))
        input_voltage[:, [names.index(name) for name in task.inputs]] = points
        spread = np.zeros((len(terminals), len(names)))
        spread[np.arange(len(terminals)), [names.index(t.name) for t in terminals]] = 1.0
        return cls(
            terminals,
            torch.tensor(input_voltage, dtype=torch.float32),
            torch.tensor(spread, dtype=torch.float32),
            as_differentiable(device),
            output_index(device, output),
        )

    def current(self, controls: Tensor) -> Tensor:
        """(..., n_controls) V to (..., n_points) nA, differentiable."""
        voltage = (controls @ self.spread)[..., None, :] + self.input_voltage
        return self.device_current(voltage)[..., self.output]

    def screen(self, controls: Tensor) -> Tensor:
        """(n, n_controls) V to (n, n_points) nA, in chunks and without gradient."""
        rows = max(1, _CHUNK // len(self.input_voltage))
        with torch.no_grad():
            return torch.cat([self.current(part) for part in torch.split(controls, rows)])
