"""Two classes that one device cannot tell apart, and five can.

    python examples/ring_with_five_devices.py [FIGURE.png]

Samples the embedded device through a guarded rig, fits a surrogate, trains one
device and a network of 2 + 2 + 1 devices on it, refines both on the device's
own physics, and draws their decision maps. Some five minutes on one core; the
figures of docs/layers.md, over several draws, come from `benchmarks.layers`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from inmateria import (
    DopantNetwork,
    Guard,
    Ring,
    SimulatedRig,
    Triangles,
    fit_surrogate,
    open_measurement,
    sample,
)
from inmateria.nn import DeviceLayer, as_layered
from inmateria.report.ring_map import paint_ring_map, ring_legend
from inmateria.tasks import judge
from inmateria.training.losses import binary_logistic

INPUTS = ("e2", "e6")
TASK = Ring(INPUTS, inner_radius=0.5, gap=0.05, n_train=400, n_test=2000)
POINTS = torch.tensor(TASK.points, dtype=torch.float32)
CLASSES = torch.tensor(TASK.target, dtype=torch.float32)


def sampled_surrogate(device):
    """What an experiment would train on."""
    with tempfile.TemporaryDirectory() as folder:
        with Guard(SimulatedRig(device, rate=1_000.0)) as rig:
            file = sample(rig, Triangles(duration_s=100.0), path=Path(folder) / "device.nc")
        return fit_surrogate(open_measurement(file)).surrogate


def one_device(device, seed=0):
    """Two inputs, five controls."""
    return nn.Sequential(DeviceLayer(device, INPUTS, noise_na=0.5, seed=seed))


def five_devices(device, seed=0):
    """Currents are normalised, mapped to the next devices' range and clipped there."""
    first, then = {"batch_norm": True, "noise_na": 0.5}, {"feature_range": (-2.0, 2.0)}
    return nn.Sequential(
        DeviceLayer(device, INPUTS, n_neurons=2, seed=3 * seed, **first),
        DeviceLayer(device, INPUTS, n_neurons=2, seed=3 * seed + 1, **first, **then),
        DeviceLayer(device, INPUTS, noise_na=0.5, seed=3 * seed + 2, **then),
    )


def loss(model):
    """Of the 400 training points; the others only judge."""
    current = model(POINTS[TASK.train])[:, 0]
    return binary_logistic(current, CLASSES[TASK.train], scale_na=2.0)


def descend(model, *, steps, rate):
    """Adam; control voltages cannot leave their ranges."""
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        optimiser.zero_grad()
        loss(model).backward()
        optimiser.step()
        fall.step()
    return model.eval()


def train(build, surrogate, device):
    """The best of 100 random settings, descended on the surrogate and then on the device."""
    with torch.no_grad():
        screened = [loss(build(surrogate, seed)).item() for seed in range(100)]
    model = descend(build(surrogate, int(np.argmin(screened))), steps=300, rate=0.1)
    physics = build(device)
    physics.load_state_dict(model.state_dict())
    return as_layered(descend(physics, steps=60, rate=0.03))


def currents(wired, points):
    """Output of the wired devices, (..., 2) V to (...) nA."""
    return wired.network.current(wired.voltage(points))[..., 0]


def draw(axes, name, wired) -> float:
    """Decision map of a wired network; gives its accuracy on the test points."""
    axis = np.linspace(-0.75, 0.75, 61)
    plane = np.stack(np.meshgrid(axis, axis), axis=-1)
    current = currents(wired, TASK.points)
    threshold, _ = judge.best_threshold(current[TASK.train], TASK.target[TASK.train])
    right, test = (current > threshold) == (TASK.target > 0.5), ~TASK.train
    shown = np.flatnonzero(test)[:300]
    paint_ring_map(
        axes,
        TASK.points[shown],
        TASK.target[shown],
        right[shown],
        grid_v=(axis, axis),
        response_na=currents(wired, plane),
        threshold_na=float(threshold),
    )
    accuracy = float(right[test].mean())
    axes.set_title(f"{name}: {100 * accuracy:.1f} % of {test.sum()} test points")
    axes.set(xlabel="input 1 (V)", ylabel="input 2 (V)")
    axes.legend(handles=ring_legend(float(threshold), wrong=True), loc="upper center", ncols=2,
                bbox_to_anchor=(0.5, -0.14), frameon=False)  # fmt: skip
    return accuracy


if __name__ == "__main__":
    torch.set_num_threads(1)
    network = DopantNetwork(engine="meanfield")  # many of them are solved in one compiled loop
    model_of_it = sampled_surrogate(network)
    figure = Figure(figsize=(9.0, 5.4), layout="constrained")
    with mpl.rc_context({"axes.spines.top": False, "axes.spines.right": False, "font.size": 9}):
        panels = figure.subplots(1, 2)
        for panel, (label, build) in zip(
            panels, (("one device", one_device), ("five devices", five_devices)), strict=True
        ):
            print(f"{label}: {draw(panel, label, train(build, model_of_it, network)):.3f}")
        figure_file = Path(sys.argv[1] if len(sys.argv) > 1 else "ring_five_devices.png")
        figure.savefig(figure_file, dpi=150)
    print(f"figure in {figure_file}")
