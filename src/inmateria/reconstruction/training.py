"""Training of a reconstruction network: reproducible, resumable, stopped in time.

Epoch e draws its order and its augmentation from `SeedSequence(seed, spawn_key=(e,))`, so
a training that goes on from its checkpoint after an interruption gives the same network
as one that was left alone.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from inmateria.errors import ParameterError, TrainingError
from inmateria.reconstruction.augment import Augmentation, Rescale
from inmateria.reconstruction.losses import LOSSES, SCORES
from inmateria.reconstruction.sources import Samples, shuffled
from inmateria.surrogates.checkpoint import read_checkpoint, write_checkpoint

Progress = Callable[[dict[str, float]], None]


@dataclass(frozen=True)
class TrainingPlan:
    """How a network is trained.

    Parameters
    ----------
    epochs, batch : int
    learning_rate : float
        The largest; it rises over the first twentieth and falls as a cosine with
        ``schedule="cosine"``.
    schedule : ``"cosine"`` or ``"constant"``
    weight_decay : float
        Of AdamW; 0 gives Adam.
    loss : str
        One of `losses.LOSSES`.
    patience : int
        Epochs without a better validation loss after which training stops.
    augmentation : Augmentation
    seed : int

    Raises
    ------
    ParameterError
    """

    epochs: int = 20
    batch: int = 32
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    weight_decay: float = 1e-4
    loss: str = "likelihood"
    patience: int = 10
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch, self.patience) < 1 or not self.learning_rate > 0:
            raise ParameterError(
                f"epochs {self.epochs}, batch {self.batch}, patience {self.patience}, learning "
                f"rate {self.learning_rate}: give positive numbers"
            )
        if self.loss not in LOSSES or self.schedule not in ("cosine", "constant"):
            raise ParameterError(
                f"loss {self.loss!r}, schedule {self.schedule!r}: give one of "
                f"{', '.join(LOSSES)}, and 'cosine' or 'constant'"
            )


@dataclass
class History:
    """One number per epoch in each list."""

    training_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def best(self) -> int:
        """The epoch of the lowest validation loss, from 0."""
        return int(np.argmin(self.validation_loss))


def train_network(
    network: nn.Module,
    training: Samples,
    validation: Samples,
    plan: TrainingPlan,
    *,
    checkpoint: Path | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
    rescale: Rescale | None = None,
) -> History:
    """Train in place; the network ends with the weights of its best epoch.

    Parameters
    ----------
    network : Module
    training, validation : Samples
    plan : TrainingPlan
    checkpoint : Path, optional
        Written after every epoch; one that is there already is gone on from.
    device : str
        On a graphics card, products are in bfloat16.
    progress : callable, optional
        Told epoch, batches done, batches in all and the losses so far.
    rescale : callable, optional
        What images are to pass through again once they are changed (`augment.signed_rms`).

    Raises
    ------
    TrainingError
        If the loss is no longer a number, or a set is empty.
    ModelFileError
        If the checkpoint is damaged or of another plan.
    """
    if not len(training) or not len(validation):
        raise TrainingError(
            f"{len(training)} samples to train on and {len(validation)} to validate: give both"
        )
    network.to(device)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
    )
    history, best, first = History(), copy.deepcopy(network.state_dict()), 0
    if checkpoint is not None and checkpoint.exists():
        first = _restore(checkpoint, network, optimiser, plan, history, best)
    per_epoch = math.ceil(len(training) / plan.batch)
    for epoch in range(first, plan.epochs):
        if history.validation_loss and epoch - 1 - history.best >= plan.patience:
            break
        began, total, done = time.perf_counter(), 0.0, 0
        network.train()
        order, generator = _epoch(training, plan, epoch)
        for images, targets in _batches(training, order, plan.batch):
            images, targets = plan.augmentation(images, targets, generator, rescale=rescale)
            for group in optimiser.param_groups:
                group["lr"] = plan.learning_rate * _pace(plan, epoch + done / per_epoch)
            optimiser.zero_grad(set_to_none=True)
            loss = _loss(network, images, targets, plan, device)
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"the loss is {loss.item()} in epoch {epoch + 1}: lower the learning rate of "
                    f"{plan.learning_rate:g} or look for outliers in the data"
                )
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            total, done = total + loss.item(), done + 1
            if progress is not None:
                told = {"epoch": epoch, "batch": done, "of": per_epoch, "loss": total / done}
                progress(told)
        history.training_loss.append(total / done)
        history.validation_loss.append(validation_loss(network, validation, plan, device=device))
        history.seconds.append(time.perf_counter() - began)
        if history.best == epoch:
            best = copy.deepcopy(network.state_dict())
        if checkpoint is not None:
            _save(checkpoint, network, optimiser, plan, history, best)
    network.load_state_dict(best)
    network.eval()
    return history


@torch.no_grad()
def validation_loss(
    network: nn.Module, samples: Samples, plan: TrainingPlan, *, device: str = "cpu"
) -> float:
    """Score of the plan's loss (`SCORES`) over samples that are not changed."""
    network.eval()
    total = 0.0
    for images, targets in _batches(samples, np.arange(len(samples)), plan.batch):
        found = _found(network, images, device)
        total += SCORES[plan.loss](found, targets.to(device)).item() * len(images)
    return total / len(samples)


@torch.no_grad()
def predict(
    network: nn.Module, images: np.ndarray[Any, Any], *, batch: int = 64, device: str = "cpu"
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Outputs for scaled images (n, channels, n_x, n_y)."""
    network.eval()
    parts = [
        network(torch.as_tensor(images[i : i + batch]).to(device)).float().cpu().numpy()
        for i in range(0, len(images), batch)
    ]
    return np.concatenate(parts)


def _loss(
    network: nn.Module, images: Tensor, targets: Tensor, plan: TrainingPlan, device: str
) -> Tensor:
    return LOSSES[plan.loss](_found(network, images, device), targets.to(device))


def _found(network: nn.Module, images: Tensor, device: str) -> Tensor:
    kind = torch.device(device).type
    with torch.autocast(kind, dtype=torch.bfloat16, enabled=kind != "cpu"):
        outputs: Tensor = network(images.to(device)).float()
    return outputs


def _epoch(
    samples: Samples, plan: TrainingPlan, epoch: int
) -> tuple[np.ndarray[Any, np.dtype[np.int64]], torch.Generator]:
    sequence = np.random.SeedSequence(plan.seed, spawn_key=(epoch,))
    order = shuffled(len(samples), samples.chunk, np.random.default_rng(sequence))
    generator = torch.Generator().manual_seed(int(sequence.generate_state(1)[0]))
    return order, generator


def _batches(
    samples: Samples, order: np.ndarray[Any, np.dtype[np.int64]], size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    # A store is read in large pieces; batches are cut from them.
    piece = size * max(1, 2048 // size)
    for start in range(0, len(order), piece):
        images, targets = samples.read(order[start : start + piece])
        for i in range(0, len(images), size):
            yield (
                torch.as_tensor(images[i : i + size]),
                torch.as_tensor(targets[i : i + size]),
            )


def _pace(plan: TrainingPlan, epoch: float) -> float:
    if plan.schedule == "constant":
        return 1.0
    done, rise = epoch / plan.epochs, 0.05
    if done < rise:
        return max(done / rise, 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (done - rise) / (1 - rise))) + 1e-3


def _record(plan: TrainingPlan, history: History) -> dict[str, Any]:
    return {"plan": asdict(plan), "history": asdict(history)}


def _save(
    path: Path,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    plan: TrainingPlan,
    history: History,
    best: dict[str, Tensor],
) -> None:
    tensors = {f"network.{k}": v for k, v in network.state_dict().items()}
    tensors |= {f"best.{k}": v for k, v in best.items()}
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{k}": torch.as_tensor(v) for k, v in state.items()}
    whole = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    write_checkpoint(path, whole, _record(plan, history))


def _restore(
    path: Path,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    plan: TrainingPlan,
    history: History,
    best: dict[str, Tensor],
) -> int:
    """Take up a checkpoint; gives the number of epochs that are done."""
    tensors, record = read_checkpoint(path)
    if record["plan"] != asdict(plan):
        raise TrainingError(
            f"{path} is the checkpoint of another training; delete it to start this one, or take "
            "the settings that it was made with"
        )

    def part(name: str) -> dict[str, Tensor]:
        start = name + "."
        return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}

    network.load_state_dict(part("network"))
    best.update(part("best"))
    states: dict[int, dict[str, Tensor]] = {}
    for key, value in part("optimiser").items():
        number, name = key.split(".")
        states.setdefault(int(number), {})[name] = value
    whole = optimiser.state_dict()
    whole["state"] = states
    optimiser.load_state_dict(whole)
    for name, values in record["history"].items():
        getattr(history, name).extend(values)
    return len(history.validation_loss)
