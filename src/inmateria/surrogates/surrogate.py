"""A surrogate: a trained network that answers as the device would.

It is a `Device`, so that every task, rig and training method takes it in the
device's place, and it is differentiable, exactly and in one call.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from inmateria.devices.device import FloatArray, Terminal, check_voltage
from inmateria.errors import InMateriaError, ShapeError
from inmateria.surrogates.files import no_network, read_model, write_model
from inmateria.surrogates.network import ScaledNetwork

# a network outside the voltages it has seen says nothing about the device
RANGE_TOLERANCE = 1e-3
CHUNK_ROWS = 16_384


@dataclass(frozen=True, eq=False)
class Surrogate:
    """A neural network in place of a device.

    `current` and `gradient` compute in double precision, so that a finite
    difference and the gradient agree; `torch_current` keeps the single
    precision of the training.

    Parameters
    ----------
    network : ScaledNetwork
        Is frozen: parameters no longer take gradients.
    terminals : tuple of Terminal
        Voltages outside their ranges are refused: there the network extrapolates.
    outputs : tuple of str
    provenance : mapping
        Where the model comes from, as plain JSON values.
    error : mapping
        What is known of its error, such as ``validation_rmse_na``.

    Raises
    ------
    ShapeError
        If the network does not have these terminals and outputs.
    """

    network: ScaledNetwork
    terminals: tuple[Terminal, ...]
    outputs: tuple[str, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        found = (self.network.n_inputs, self.network.n_outputs)
        if found != (len(self.terminals), len(self.outputs)):
            raise ShapeError(
                f"the network has {found[0]} inputs and {found[1]} outputs, the device "
                f"{len(self.terminals)} terminals and {len(self.outputs)} outputs; make them equal"
            )
        self.network.eval()
        self.network.requires_grad_(False)

    @cached_property
    def _double(self) -> ScaledNetwork:
        # made once and kept: a copy born in inference mode could not give gradients later
        with torch.inference_mode(False):
            return copy.deepcopy(self.network).double()

    def current(self, voltage: ArrayLike) -> FloatArray:
        """Current, (..., n_terminals) V to (..., n_outputs) nA.

        Raises
        ------
        ShapeError, NotFiniteError, VoltageLimitError
        """
        array = check_voltage(self.terminals, voltage, tolerance=RANGE_TOLERANCE)
        current = np.empty((array[..., 0].size, len(self.outputs)))
        with torch.inference_mode():
            for rows, chunk in _chunks(array):
                current[rows] = self._double(chunk).numpy()
        return current.reshape(*array.shape[:-1], len(self.outputs))

    def gradient(self, voltage: ArrayLike) -> FloatArray:
        """dI/dV by automatic differentiation, (..., n_terminals) V to
        (..., n_outputs, n_terminals) nA/V.

        Raises
        ------
        ShapeError, NotFiniteError, VoltageLimitError
        """
        array = check_voltage(self.terminals, voltage, tolerance=RANGE_TOLERANCE)
        shape = (len(self.outputs), len(self.terminals))
        gradient = np.empty((array[..., 0].size, *shape))
        with torch.inference_mode(False), torch.enable_grad():
            for rows, chunk in _chunks(array):
                chunk.requires_grad_(True)
                current = self._double(chunk)
                for k in range(len(self.outputs)):
                    # rows do not mix, so the gradient of the sum holds every row's own
                    (slope,) = torch.autograd.grad(current[:, k].sum(), chunk, retain_graph=True)
                    gradient[rows, k] = slope.numpy()
        return gradient.reshape(*array.shape[:-1], *shape)

    def torch_current(self, voltage: Tensor) -> Tensor:
        """Current as a differentiable tensor, (..., n_terminals) V to (..., n_outputs) nA.

        For training in silico: single precision, no range check (a search keeps
        its voltages inside by construction).
        """
        current: Tensor = self.network(voltage)
        return current

    def describe(self) -> dict[str, Any]:
        """What it takes to know this surrogate again, as plain JSON values."""
        return {
            "kind": "surrogate",
            "terminals": [
                {"name": t.name, "low_v": t.low_v, "high_v": t.high_v} for t in self.terminals
            ],
            "outputs": list(self.outputs),
            "architecture": {
                "hidden": list(self.network.hidden),
                "activation": self.network.activation,
            },
            "provenance": dict(self.provenance),
            "error": dict(self.error),
        }

    def save(self, path: str | Path) -> Path:
        """Write ``path.safetensors`` and ``path.json``; gives the path of the JSON file.

        Raises
        ------
        StorageError
        """
        described = self.describe()
        del described["kind"]
        return write_model(path, self.network, described)


def load_surrogate(path: str | Path) -> Surrogate:
    """Read a surrogate back; `path` is either of its two files or their common stem.

    Raises
    ------
    ModelFileError
        If a file is missing, truncated, altered, of a newer schema, or the two
        do not belong together.
    """
    network, terminals, record = read_model(path)
    try:
        outputs = tuple(record["outputs"])
        return Surrogate(network, terminals, outputs, record["provenance"], record["error"])
    except (KeyError, TypeError, InMateriaError) as error:
        raise no_network(path, error) from error


def _chunks(array: FloatArray) -> Iterator[tuple[slice, Tensor]]:
    """Rows of a batch in pieces that stay in cache, so that memory does not grow with it."""
    flat = array.reshape(-1, array.shape[-1])
    for start in range(0, len(flat), CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        # PyTorch takes no arrays that run backwards
        yield rows, torch.tensor(np.ascontiguousarray(flat[rows]), dtype=torch.float64)
