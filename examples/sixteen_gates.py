"""From an unknown device to sixteen logic gates, in plain Python.

    python examples/sixteen_gates.py [FIGURE.png]

Samples the embedded device through a guarded rig, fits a surrogate, finds
control voltages for every two-input gate on it, applies them to the device with
noise on, and draws what the device gave. One to two minutes on two cores.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Circle

from inmateria import (
    DopantNetwork,
    Guard,
    SimulatedRig,
    Triangles,
    fit_surrogate,
    gates,
    open_measurement,
    sample,
    train_all,
    verify,
)

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#8d97a3"


def find_gates():
    """The device, and one verification per gate."""
    device = DopantNetwork()
    with tempfile.TemporaryDirectory() as folder:
        with Guard(SimulatedRig(device, rate=1_000.0)) as rig:
            file = sample(rig, Triangles(duration_s=100.0), path=Path(folder) / "device.nc")
        data = open_measurement(file)
    surrogate = fit_surrogate(data).surrogate
    tasks = gates(inputs=("e2", "e6"), device=device)
    solutions = train_all(tasks, surrogate)
    with Guard(SimulatedRig(device, seed=1)) as rig:
        return device, [
            verify(solution, task, rig, repetitions=3, surrogate=surrogate)
            for solution, task in zip(solutions, tasks, strict=True)
        ]


def draw(device, verified) -> Figure:
    """The device on the left, the measured output of every gate on the right."""
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.75))
    draw_device(left.subplots(), device)
    right.suptitle("measured output for inputs 00, 01, 10, 11 (nA, noise on)", fontsize=10)
    for axes, result in zip(right.subplots(4, 4, sharex=True).flat, verified, strict=True):
        draw_gate(axes, result)
    return figure


def draw_device(axes, device) -> None:
    """Electrodes on the rim, acceptors and donors inside."""
    plan = device.geometry
    radius, half = plan.radius_nm, np.rad2deg(plan.electrode_width_nm / plan.radius_nm / 2)
    axes.add_patch(Circle((0, 0), radius, facecolor="#f3f5f7", edgecolor=GREY, linewidth=0.8))
    for i, angle in enumerate(plan.electrode_angle):
        name = f"e{i}"
        role, colour = "control", GREY
        if name in device.outputs:
            role, colour = "output", ORANGE
        elif name in ("e2", "e6"):
            role, colour = "input", BLUE
        degrees = np.rad2deg(angle)
        axes.add_patch(
            Arc((0, 0), 2 * radius, 2 * radius, theta1=degrees - half, theta2=degrees + half,
                color=colour, linewidth=7)
        )  # fmt: skip
        x, y = 1.2 * radius * np.cos(angle), 1.2 * radius * np.sin(angle)
        axes.text(x, y, f"{name}\n{role}", ha="center", va="center", color=colour, fontsize=9)
    axes.plot(*plan.acceptor_xy_nm.T, "o", color="#1b1f24", markersize=5, label="acceptor")
    axes.plot(*plan.donor_xy_nm.T, "P", color=GREEN, markersize=7, label="donor")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=2, frameon=False)
    axes.set(xlim=(-215, 215), ylim=(-215, 215), aspect="equal")
    axes.set_axis_off()
    axes.set_title("dopant network, 300 nm across", fontsize=10)


def draw_gate(axes, result) -> None:
    """One strip: the trace in grey, each state's level in the colour of what it should be."""
    strip = result.strip
    axes.plot(strip.time_s, strip.current_na, color=GREY, linewidth=0.5)
    for plateau in sorted(strip.plateaus, key=lambda p: p.start_s):
        high = result.target[plateau.point] > 0.5
        axes.plot(
            [plateau.start_s, plateau.stop_s], [plateau.level_na] * 2,
            color=ORANGE if high else BLUE, linewidth=2.5, solid_capstyle="butt",
        )  # fmt: skip
    if np.isfinite(result.threshold_na):
        axes.axhline(result.threshold_na, color="#1b1f24", linewidth=0.7, linestyle=":")
    mark = "" if result.passed else "  (not verified)"
    axes.set_title(f"{result.task}{mark}", fontsize=8.5, pad=2)
    axes.set_xticks([])
    axes.tick_params(labelsize=7, length=2)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    low, high = axes.get_ylim()
    if high - low < 10:  # a flat gate should look flat
        axes.set_ylim((low + high) / 2 - 5, (low + high) / 2 + 5)


if __name__ == "__main__":
    network, results = find_gates()
    figure_file = Path(sys.argv[1] if len(sys.argv) > 1 else "sixteen_gates.png")
    draw(network, results).savefig(figure_file, dpi=150)
    print(f"{sum(r.passed for r in results)} of 16 gates verified; figure in {figure_file}")
