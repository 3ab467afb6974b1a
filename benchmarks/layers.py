"""Devices in layers: a ring with one device and with five, digits with ten.

    python -m benchmarks.layers [ring] [digits] [speed] [--draws 5] [--splits 10]

Ring: two classes that nearly touch (disc up to 0.5, ring from 0.55 to 1). Each draw has 400
points to train, 400 to choose among restarts, and 2,000 to judge, which only the last count
sees. Training starts on a surrogate of the default device and ends on the network itself;
every accuracy is the network's.

Speed: forward and backward pass of a layer of 32 devices, computed together and one by one.

Digits: the 8 x 8 digits of scikit-learn, random stratified splits of 80 % and 20 %. Ten
neurons on a surrogate, one per class, behind a linear map of the pixels; judged on the
surrogate, with the same weights and voltages on the network itself, and there after three
more epochs. Settings were chosen on splits 100 to 104, which are not reported. Logistic
regression chooses its penalty by cross-validation on the training part of each split.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.surrogate_fit import as_measurement, uniform_points
from inmateria.devices.device import Device
from inmateria.devices.dopant.network import DopantNetwork
from inmateria.nn import DeviceLayer
from inmateria.signals.tour import tour
from inmateria.surrogates.fit import fit_surrogate
from inmateria.surrogates.network import ScaledNetwork
from inmateria.surrogates.surrogate import Surrogate, load_surrogate
from inmateria.tasks import judge
from inmateria.tasks.ring import Ring
from inmateria.training.in_silico import in_silico
from inmateria.training.losses import binary_logistic

INPUTS = ("e2", "e6")
# About the surrogate's error; what a trained network must bear on every current.
NOISE_NA = 0.5

SCALE_NA = 2.0
SCREENED, RESTARTS, STEPS, RATE = 100, 4, 300, 0.1
REFINE_STEPS, REFINE_RATE = 60, 0.03

DIGIT_INPUTS = ("e2", "e3", "e5", "e6")
EPOCHS, BATCH, DIGIT_RATE, DECAY = 100, 64, 0.01, 1.0
REFINE_EPOCHS, REFINE_DIGIT_RATE = 3, 0.002


def surrogate_of(
    network: DopantNetwork, *, rows: int = 60_000, keep: Path | None = None
) -> Surrogate:
    """A surrogate from uniformly drawn noiseless points; kept in `keep` for the next run."""
    if keep is not None and keep.with_suffix(".json").exists():
        return load_surrogate(keep)
    voltage = uniform_points(network.terminals, rows, np.random.default_rng(0))
    measured = as_measurement(voltage, network.current(voltage), network.terminals)
    fit = fit_surrogate(measured, drift=False)
    print(f"surrogate: error {fit.error.rmse_na:.2f} nA, {100 * fit.error.relative:.1f} %")
    if keep is not None:
        fit.surrogate.save(keep)
    return fit.surrogate


@dataclass(frozen=True)
class RingPoints:
    """Points (V) and classes: to train, to choose, and to judge."""

    task: Ring
    train: tuple[Tensor, Tensor]
    choose: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]

    @classmethod
    def draw(cls, seed: int, *, inner: float, gap: float) -> RingPoints:
        """400, 400 and 2,000 points."""
        radii = {"inner_radius": inner, "gap": gap}
        task = Ring(INPUTS, **radii, n_train=400, n_test=400, seed=seed)
        fresh = Ring(INPUTS, **radii, n_train=2, n_test=2000, seed=10_000 + seed)
        return cls(
            task,
            in_order(task.points[:400], task.target[:400]),
            in_order(task.points[400:], task.target[400:]),
            in_order(fresh.points[2:], fresh.target[2:]),
        )


def in_order(points: np.ndarray, target: np.ndarray) -> tuple[Tensor, Tensor]:
    """The same points along a short tour: a network's solve then starts from a neighbour's."""
    order = tour(points)
    return (
        torch.tensor(points[order], dtype=torch.float32),
        torch.tensor(target[order], dtype=torch.float32),
    )


def one_device(device: Device) -> nn.Sequential:
    """The baseline: two inputs and five controls."""
    return nn.Sequential(DeviceLayer(device, INPUTS, noise_na=NOISE_NA))


def five_devices(device: Device, *, seed: int = 0) -> nn.Sequential:
    """Two devices, two devices, one device, each fed by all of the layer before it."""

    def layer(number: int, **options: Any) -> DeviceLayer:
        return DeviceLayer(device, INPUTS, noise_na=NOISE_NA, seed=3 * seed + number, **options)

    scaled = {"feature_range": (-2.0, 2.0)}
    return nn.Sequential(
        layer(0, n_neurons=2, batch_norm=True),
        layer(1, n_neurons=2, batch_norm=True, **scaled),
        layer(2, **scaled),
    )


def ring_loss(model: nn.Sequential, points: RingPoints) -> Tensor:
    """Logistic loss of the training points at its best threshold."""
    x, target = points.train
    return binary_logistic(model(x)[:, 0], target, scale_na=SCALE_NA)


def descend(model: nn.Sequential, points: RingPoints, *, steps: int, rate: float) -> None:
    """Adam on all training points, its rate falling to zero as a half cosine."""
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    model.train()
    for _ in range(steps):
        optimiser.zero_grad()
        ring_loss(model, points).backward()
        optimiser.step()
        fall.step()
    model.eval()


@torch.no_grad()
def accuracy(model: nn.Sequential, points: RingPoints, part: str) -> float:
    """Share told right at the threshold that is best for the training points."""
    threshold, _ = judge.best_threshold(model(points.train[0])[:, 0].numpy(), points.train[1])
    x, target = getattr(points, part)
    return float(judge.accuracy_at(model(x)[:, 0].numpy(), target, threshold))


def train_one(network: DopantNetwork, surrogate: Surrogate, points: RingPoints) -> nn.Sequential:
    """4,096 settings and 64 restarts on the surrogate; the best is refined on the network."""
    solution = in_silico([points.task], surrogate)[0]
    model = one_device(network)
    names = model[0].controls_named
    model[0].set_controls([[solution.controls[name] for name in names]])
    return refine(model, points)


def train_five(network: DopantNetwork, surrogate: Surrogate, points: RingPoints) -> nn.Sequential:
    """100 settings and 4 restarts on the surrogate; what the network does best is refined."""
    with torch.no_grad():
        losses = [
            float(ring_loss(five_devices(surrogate, seed=s), points)) for s in range(SCREENED)
        ]
    candidates = []
    for seed in np.argsort(losses)[:RESTARTS]:
        model = five_devices(surrogate, seed=int(seed))
        descend(model, points, steps=STEPS, rate=RATE)
        on_network = five_devices(network)
        on_network.load_state_dict(model.state_dict())
        candidates.append((accuracy(on_network.eval(), points, "choose"), int(seed), on_network))
    return refine(max(candidates)[2], points)


def refine(model: nn.Sequential, points: RingPoints) -> nn.Sequential:
    """A short descent on the network itself; kept where the choosing points agree."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    start = accuracy(model.eval(), points, "choose")
    descend(model, points, steps=REFINE_STEPS, rate=REFINE_RATE)
    if accuracy(model, points, "choose") < start:
        model.load_state_dict(before)
    return model


def ring(
    points_of: Sequence[RingPoints], *, network: DopantNetwork, surrogate: Surrogate
) -> dict[str, list[float]]:
    """Test accuracy of every draw, one device and five."""
    found: dict[str, list[float]] = {"one device": [], "five devices": []}
    for draw, points in enumerate(points_of):
        for name, train in (("one device", train_one), ("five devices", train_five)):
            began = time.perf_counter()
            found[name].append(accuracy(train(network, surrogate, points), points, "test"))
            took = time.perf_counter() - began
            print(f"  draw {draw}, {name}: {found[name][-1]:.4f} ({took:.0f} s)", flush=True)
    return found


def digit_layer(device: Device, *, seed: int = 0) -> DeviceLayer:
    """64 pixels through a linear map into ten devices, a class each."""
    return DeviceLayer(
        device,
        DIGIT_INPUTS,
        n_neurons=10,
        wiring="linear",
        n_features=64,
        feature_range=(0.0, 1.0),
        limit="tanh",
        batch_norm=True,
        noise_na=NOISE_NA,
        seed=seed,
    )


def train_digits(
    model: nn.Module, x: Tensor, y: Tensor, *, epochs: int, rate: float, seed: int
) -> None:
    """AdamW with one cycle of its rate; only weights of linear maps decay."""
    generator = torch.Generator().manual_seed(seed)
    decays = [p for name, p in model.named_parameters() if name.endswith("linear.weight")]
    rest = [p for name, p in model.named_parameters() if not name.endswith("linear.weight")]
    optimiser = torch.optim.AdamW(
        [{"params": decays, "weight_decay": DECAY}, {"params": rest, "weight_decay": 0.0}],
        lr=rate,
    )
    batches = len(x) // BATCH
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=epochs * batches)
    model.train()
    for _ in range(epochs):
        order = torch.randperm(len(x), generator=generator)
        for rows in order[: batches * BATCH].split(BATCH):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimiser.step()
            cycle.step()
    model.eval()


@torch.no_grad()
def share_right(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Share of pictures whose largest output is their class."""
    return float((model(x).argmax(dim=1) == y).double().mean())


def digits(
    *, splits: Sequence[int], network: DopantNetwork, surrogate: Surrogate
) -> dict[str, list[float]]:
    """Test accuracy on every split."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, train_test_split

    pixels, label = load_digits(return_X_y=True)
    names = (
        "logistic regression",
        "ten devices, on the surrogate",
        "the same on the network",
        "refined on the network",
    )
    found: dict[str, list[float]] = {name: [] for name in names}
    for split in splits:
        parts = train_test_split(
            pixels / 16, label, test_size=0.2, stratify=label, random_state=split
        )
        linear = GridSearchCV(LogisticRegression(max_iter=3000), {"C": np.logspace(-2, 3, 8)}, cv=5)
        linear.fit(parts[0], parts[2])
        x, u = (torch.tensor(a, dtype=torch.float32) for a in parts[:2])
        y, v = (torch.tensor(a) for a in parts[2:])
        model, on_network = digit_layer(surrogate, seed=split), digit_layer(network)
        began = time.perf_counter()
        train_digits(model, x, y, epochs=EPOCHS, rate=DIGIT_RATE, seed=split)
        on_network.load_state_dict(model.state_dict())
        as_they_are = share_right(on_network.eval(), u, v)
        train_digits(on_network, x, y, epochs=REFINE_EPOCHS, rate=REFINE_DIGIT_RATE, seed=split)
        took = time.perf_counter() - began
        scores = (
            float(linear.score(parts[1], parts[3])),
            share_right(model, u, v),
            as_they_are,
            share_right(on_network, u, v),
        )
        for name, score in zip(names, scores, strict=True):
            found[name].append(score)
        print(
            f"  split {split}: {', '.join(f'{s:.4f}' for s in scores)} ({took:.0f} s)", flush=True
        )
    linear_scores, refined = found[names[0]], found[names[3]]
    better = sum(b > a for a, b in zip(linear_scores, refined, strict=True))
    print(f"  refined, it is better than logistic regression on {better} of {len(splits)} splits")
    return found


def speed(*, n: int = 32, points: int = 16, rounds: int = 7) -> None:
    """Shortest time of a forward and backward pass, together against one by one."""
    networks = [DopantNetwork(seed=seed, engine="meanfield") for seed in range(n)]
    surrogates = []
    for seed, network in enumerate(networks):
        net = ScaledNetwork(7, 1)
        net.initialise(torch.Generator().manual_seed(seed))
        surrogates.append(Surrogate(net, network.terminals, network.outputs))
    x = 1.4 * torch.rand(points, 2, generator=torch.Generator().manual_seed(0)) - 0.7
    for name, devices in (("surrogates", surrogates), ("dopant networks", networks)):
        together = [DeviceLayer(devices, INPUTS)]
        alone = [DeviceLayer(device, INPUTS, seed=k) for k, device in enumerate(devices)]
        with torch.no_grad():
            for k, layer in enumerate(alone):
                layer.free_controls.copy_(together[0].free_controls[k : k + 1])
        took = {"together": [], "one by one": []}
        for _ in range(rounds):
            for how, layers in (("together", together), ("one by one", alone)):
                began = time.perf_counter()
                sum(layer(x).sum() for layer in layers).backward()
                took[how].append(time.perf_counter() - began)
        best = {how: 1e3 * min(times) for how, times in took.items()}
        print(
            f"  {n} {name}, {points} points: {best['together']:.1f} ms together, "
            f"{best['one by one']:.1f} ms one by one"
        )


def report(title: str, found: dict[str, list[float]]) -> None:
    """Mean, spread and worst of each row."""
    print(f"\n{title}\n\n| | mean | standard deviation | worst |\n| --- | ---: | ---: | ---: |")
    for name, values in found.items():
        v = 100 * np.array(values)
        spread = f"{v.std(ddof=1):.1f} %" if len(v) > 1 else ""
        print(f"| {name} | {v.mean():.1f} % | {spread} | {v.min():.1f} % |")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="devices in layers: ring and digits")
    parser.add_argument("parts", nargs="*", help="ring, digits, speed; all by default")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--inner", type=float, default=0.5, help="radius of the disc")
    parser.add_argument("--gap", type=float, default=0.05, help="between disc and ring")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--keep", type=Path, help="stem of a file that keeps the surrogate")
    given = parser.parse_args(arguments)
    parts = given.parts or ["ring", "digits", "speed"]
    torch.set_num_threads(1)
    if "speed" in parts:
        speed()
    if parts == ["speed"]:
        return
    network = DopantNetwork(engine="meanfield")
    surrogate = surrogate_of(network, keep=given.keep)
    if "ring" in parts:
        drawn = [RingPoints.draw(s, inner=given.inner, gap=given.gap) for s in range(given.draws)]
        found = ring(drawn, network=network, surrogate=surrogate)
        report(f"Ring: accuracy on 2,000 test points, {given.draws} draws", found)
    if "digits" in parts:
        found = digits(splits=range(given.splits), network=network, surrogate=surrogate)
        report(f"Digits: accuracy on 360 test pictures, {given.splits} splits", found)


if __name__ == "__main__":
    main()
