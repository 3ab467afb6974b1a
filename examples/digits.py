"""Ten devices read handwritten digits: a linear map of 64 pixels, then a device per class.

    python examples/digits.py

Trains on a surrogate of the embedded device, puts the same weights and control
voltages on the device itself, and compares with logistic regression on the same
held-out pictures. Some two minutes on one core.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from torch import nn

from inmateria import (
    DopantNetwork,
    Guard,
    SimulatedRig,
    Triangles,
    fit_surrogate,
    open_measurement,
    sample,
)
from inmateria.nn import DeviceLayer


def sampled_surrogate(device):
    """What an experiment would train on."""
    with tempfile.TemporaryDirectory() as folder:
        with Guard(SimulatedRig(device, rate=1_000.0)) as rig:
            file = sample(rig, Triangles(duration_s=100.0), path=Path(folder) / "device.nc")
        return fit_surrogate(open_measurement(file)).surrogate


def ten_devices(device):
    """Four inputs and three control voltages each; outputs normalised over the batch."""
    return DeviceLayer(
        device, ("e2", "e3", "e5", "e6"), n_neurons=10, wiring="linear", n_features=64,
        feature_range=(0.0, 1.0), limit="tanh", batch_norm=True, noise_na=0.5,
    )  # fmt: skip


def train(model, pixels, labels, *, epochs=100, batch=64):
    """AdamW with one cycle of its rate; the linear map's weights decay."""
    weight = model.linear.weight
    rest = [p for p in model.parameters() if p is not weight]
    optimiser = torch.optim.AdamW([{"params": [weight], "weight_decay": 1.0},
                                   {"params": rest, "weight_decay": 0.0}], lr=0.01)  # fmt: skip
    steps = epochs * (len(pixels) // batch)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.01, total_steps=steps)
    order = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        shuffled = torch.randperm(len(pixels), generator=order)
        for rows in shuffled[: len(pixels) // batch * batch].split(batch):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(pixels[rows]), labels[rows]).backward()
            optimiser.step()
            cycle.step()
    return model.eval()


@torch.no_grad()
def accuracy(model, pixels, labels) -> float:
    """Share of pictures whose largest output is their class."""
    return (model(pixels).argmax(dim=1) == labels).double().mean().item()


if __name__ == "__main__":
    torch.set_num_threads(1)
    images, digit = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32)
    split = train_test_split(images, digit, test_size=0.2, stratify=digit, random_state=0)
    seen, held_out, seen_digit, held_out_digit = map(torch.tensor, split)

    linear = LogisticRegression(max_iter=3000).fit(split[0], split[2])
    print(f"logistic regression: {linear.score(split[1], split[3]):.4f}")

    network = DopantNetwork(engine="meanfield")  # many of them are solved in one compiled loop
    model = train(ten_devices(sampled_surrogate(network)), seen, seen_digit)
    print(f"ten devices, surrogate: {accuracy(model, held_out, held_out_digit):.4f}")

    physics = ten_devices(network)
    physics.load_state_dict(model.state_dict())
    print(
        f"ten devices, the network itself: {accuracy(physics.eval(), held_out, held_out_digit):.4f}"
    )
