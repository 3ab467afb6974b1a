"""Training throughput of brainspy-smg, for `surrogate_fit`: a script for any environment.

    python brainspy_smg_loop.py ROWS.npz THREADS EPOCHS

Prints one line of JSON: which loop ran, and samples per second in each epoch
but the first. Where brainspy-smg can be imported, its own training step runs
on its own network; elsewhere a stand-in does what it is documented to do
(a DataLoader of single rows, batches of 256, Adam, the loss read back after
every batch).
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

BATCH = 256
Step = Callable[..., tuple[nn.Module, float]]


def stand_in_step(
    model: nn.Module,
    loader: DataLoader[Any],
    criterion: nn.Module,
    optimiser: torch.optim.Optimizer,
) -> tuple[nn.Module, float]:
    """One epoch as a plain PyTorch tutorial writes it."""
    total = 0.0
    for inputs, targets in loader:
        optimiser.zero_grad()
        loss = criterion(model(inputs), targets)
        loss.backward()
        optimiser.step()
        total += loss.item() * len(inputs)
    return model, total / len(loader.dataset)  # type: ignore[arg-type]


def stand_in_network(sizes: Iterable[int]) -> nn.Module:
    """The network of the paper, without anything around it."""
    widths = list(sizes)
    layers: list[nn.Module] = []
    for i in range(1, len(widths)):
        layers += [nn.Linear(widths[i - 1], widths[i]), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def peer(n_inputs: int) -> tuple[str, nn.Module, Step]:
    """Name, network and training step of the peer, or of its stand-in."""
    hidden = [90] * 5
    try:
        from importlib.metadata import version

        import matplotlib

        matplotlib.use("Agg")
        from brainspy.processors.simulation.model import NeuralNetworkModel
        from bspysmg.model.training import default_train_step
    except ImportError:
        return "stand-in for brainspy-smg", stand_in_network([n_inputs, *hidden, 1]), stand_in_step
    structure = {"D_in": n_inputs, "D_out": 1, "activation": "relu", "hidden_sizes": hidden}
    name = f"brainspy-smg {version('brainspy-smg')}"
    return name, NeuralNetworkModel(structure), default_train_step


def main(rows: str, threads: int, epochs: int) -> None:
    """Time `epochs` epochs after one that warms up."""
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    with np.load(rows) as arrays:
        x, y = (torch.tensor(arrays[k], dtype=torch.float32) for k in ("x", "y"))
    name, network, step = peer(x.shape[1])
    loader = DataLoader(TensorDataset(x, y), batch_size=BATCH, shuffle=True)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    rates = []
    for _ in range(epochs + 1):
        start = time.perf_counter()
        with contextlib.redirect_stderr(io.StringIO()):
            network, _ = step(network, loader, nn.MSELoss(), optimiser)
        rates.append(len(x) / (time.perf_counter() - start))
    result = {"name": name, "torch": torch.__version__, "rates": rates[1:]}
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
