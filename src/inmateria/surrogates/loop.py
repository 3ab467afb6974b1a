"""The training loop: mini-batches, one learning-rate cycle, the best weights kept.

Rows live in memory as scaled tensors; an epoch is one random permutation, cut
into slices. Nothing is read back from PyTorch inside an epoch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from inmateria.devices.device import FloatArray
from inmateria.errors import ParameterError, TrainingError
from inmateria.surrogates.drift import Drift
from inmateria.surrogates.network import ScaledNetwork

OPTIMISERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
WARM_UP = 0.2  # share of the cycle in which the learning rate rises
FORGETTING = (0.9, 0.99)  # Adam's averages; 0.999 is too slow for some ten thousand steps
EVALUATION_ROWS = 16_384


@dataclass(frozen=True)
class Settings:
    """Everything that decides the result of a fit, besides the data.

    Parameters
    ----------
    hidden, activation
        The network.
    optimiser : str
        ``"adam"`` or ``"adamw"``.
    epochs, batch_size : int
    learning_rate : float
        Highest learning rate of the cycle.
    weight_decay : float
        Per unit of learning rate, decoupled from the gradient; ``"adamw"`` only.
    patience : int
        Epochs without a better validation error after which to stop.
    validation : float
        Share of the recording that is held out.
    seed : int
    drift : bool
        Take slow noise out of the training rows, segment by segment.

    Raises
    ------
    ParameterError
    """

    hidden: tuple[int, ...]
    activation: str
    optimiser: str
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    patience: int
    validation: float
    seed: int
    drift: bool = True

    def __post_init__(self) -> None:
        if self.optimiser not in OPTIMISERS:
            raise ParameterError(
                f"optimiser {self.optimiser!r} is unknown; use {' or '.join(OPTIMISERS)}"
            )
        for name in ("epochs", "batch_size", "patience"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ParameterError(f"{name} {value!r} must be a whole number of at least 1")
        if not (0 < self.learning_rate < math.inf and 0 <= self.weight_decay < math.inf):
            raise ParameterError(
                f"learning_rate {self.learning_rate} must be above 0 and weight_decay "
                f"{self.weight_decay} at least 0, both finite"
            )


def cycle(share: float, highest: float) -> float:
    """Learning rate after a share of the fit: a linear rise, then half a cosine down to zero.

    One cycle with warm-up (Smith and Topin 2018).
    """
    if share < WARM_UP:
        return highest * max(share / WARM_UP, 1e-3)
    return highest * max(0.5 * (1 + math.cos(math.pi * (share - WARM_UP) / (1 - WARM_UP))), 1e-4)


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """PyTorch on `count` threads inside the block, as before outside.

    PyTorch takes all cores by default, and a network this small is slower on many than on one.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Loop:
    """A network in training and all that it takes to go on later.

    Parameters
    ----------
    network : ScaledNetwork
        Initialised, with its scaling set; trained in place.
    training, validation : pair of tensors
        (n_rows, n_terminals) V and (n_rows, n_outputs) nA.
    settings : Settings
    segment : (n_training_rows,) tensor
        Which segment a training row belongs to, as numbers from 0.
    generator : torch.Generator
        Shuffles; the global generator is not used.
    max_seconds : float, optional
        The cycle of the learning rate is shortened so that it ends by then.
    """

    def __init__(
        self,
        network: ScaledNetwork,
        *,
        training: tuple[Tensor, Tensor],
        validation: tuple[Tensor, Tensor],
        segment: Tensor,
        settings: Settings,
        generator: torch.Generator,
        max_seconds: float | None = None,
    ) -> None:
        self.network = network
        self.settings = settings
        self.generator = generator
        self.max_seconds = max_seconds
        voltage, current = training
        self._x = (voltage - network.input_centre) / network.input_half_width
        self._y = (current - network.output_mean) / network.output_std
        self._validation = validation
        self._drift = Drift(segment, self._y) if settings.drift else None
        self._batch = min(settings.batch_size, len(voltage))
        self._steps = len(voltage) // self._batch
        self._optimiser = OPTIMISERS[settings.optimiser](
            network.parameters(),
            lr=settings.learning_rate,
            betas=FORGETTING,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self._best = _copy(network)
        self._best_error = math.inf
        self._best_epoch = 0
        self._seconds = 0.0
        self.history: list[dict[str, float]] = []

    @property
    def finished(self) -> bool:
        """Whether the cycle is over, or the validation error has stopped falling."""
        done = len(self.history)
        out_of_time = self.max_seconds is not None and self._seconds >= self.max_seconds
        stalled = done - self._best_epoch >= self.settings.patience
        return done > 0 and (done >= self.settings.epochs or out_of_time or stalled)

    def run_epoch(self) -> dict[str, float]:
        """Train on every row once, validate, and give the new line of the history.

        Raises
        ------
        TrainingError
            If the error is no longer a number.
        """
        start = time.perf_counter()
        epoch = len(self.history)
        total = self.settings.epochs * self._steps
        order = torch.randperm(len(self._x), generator=self.generator)
        x, y = self._x[order], self._y[order]
        if self._drift is not None:
            y = y - self._drift.of_rows(order)
        losses: list[Tensor] = []
        rate = 0.0
        for i in range(self._steps):
            share = (epoch * self._steps + i) / total
            if self.max_seconds is not None:
                elapsed = self._seconds + time.perf_counter() - start
                share = max(share, elapsed / self.max_seconds)
                if share >= 1 and losses:
                    break
            rate = cycle(share, self.settings.learning_rate)
            for group in self._optimiser.param_groups:
                group["lr"] = rate
            rows = slice(i * self._batch, (i + 1) * self._batch)
            self._optimiser.zero_grad()
            output = self.network.layers(x[rows])
            loss = mse_loss(output, y[rows])
            if self._drift is not None:
                self._drift.see(order[rows], y[rows] - output.detach())
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimiser.step()
            losses.append(loss.detach())
        if self._drift is not None:
            self._drift.update()
        scale = float(self.network.output_std.square().mean().sqrt())
        trained = float(torch.stack(losses).mean().sqrt()) * scale
        error = rmse(self.network, *self._validation)
        if not (math.isfinite(trained) and math.isfinite(error)):
            raise TrainingError(
                f"the error is {trained:g} nA in epoch {epoch + 1} with a learning rate of "
                f"{rate:.3g}; lower learning_rate (now {self.settings.learning_rate:g})"
            )
        self._seconds += time.perf_counter() - start
        line = {
            "epoch": epoch + 1,
            "train_na": trained,
            "validation_na": error,
            "learning_rate": rate,
            "seconds": self._seconds,
        }
        self.history.append(line)
        if error < self._best_error:
            self._best, self._best_error = _copy(self.network), error
            self._best_epoch = epoch + 1
        return line

    def restore_best(self) -> None:
        """Put the weights of the best epoch back into the network."""
        self.network.load_state_dict(self._best)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Copies of all tensors and numbers that a later `load_state` needs."""
        tensors = {f"network.{k}": v for k, v in _copy(self.network).items()}
        tensors |= {f"best.{k}": v.clone() for k, v in self._best.items()}
        for i, slots in self._optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{i}.{k}": v.clone() for k, v in slots.items()}
        tensors["generator"] = self.generator.get_state()
        if self._drift is not None:
            tensors["drift"] = self._drift.offset.clone()
        return tensors, {
            "best_error_na": self._best_error,
            "best_epoch": self._best_epoch,
            "history": list(self.history),
        }

    def load_state(self, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
        """Go back to what `state` gave."""
        groups: dict[str, dict[str, Tensor]] = {"network": {}, "best": {}, "optimiser": {}}
        for name, tensor in tensors.items():
            group, _, rest = name.partition(".")
            if rest:
                groups[group][rest] = tensor
        self.network.load_state_dict(groups["network"])
        self._best = groups["best"]
        slots: dict[int, dict[str, Tensor]] = {}
        for name, tensor in groups["optimiser"].items():
            index, _, key = name.partition(".")
            slots.setdefault(int(index), {})[key] = tensor
        optimiser = self._optimiser.state_dict()
        self._optimiser.load_state_dict({**optimiser, "state": slots})
        self.generator.set_state(tensors["generator"])
        if self._drift is not None:
            self._drift.offset = tensors["drift"].clone()
        self._best_error = record["best_error_na"]
        self._best_epoch = record["best_epoch"]
        self.history = [dict(line) for line in record["history"]]
        self._seconds = self.history[-1]["seconds"] if self.history else 0.0


@torch.no_grad()
def rmse(network: ScaledNetwork, voltage: Tensor, current: Tensor) -> float:
    """Root mean square of the network's error over all rows and outputs, nA."""
    total = 0.0
    for start in range(0, len(voltage), EVALUATION_ROWS):
        rows = slice(start, start + EVALUATION_ROWS)
        total += float((network(voltage[rows]) - current[rows]).square().double().sum())
    return math.sqrt(total / current.numel())


@torch.no_grad()
def currents(network: ScaledNetwork, voltage: FloatArray) -> FloatArray:
    """(n_rows, n_terminals) V to (n_rows, n_outputs) nA, in single precision, piece by piece."""
    rows = range(0, len(voltage), EVALUATION_ROWS)
    pieces = [torch.tensor(voltage[k : k + EVALUATION_ROWS], dtype=torch.float32) for k in rows]
    return np.concatenate([network(piece).double().numpy() for piece in pieces])


def _copy(network: ScaledNetwork) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
