"""How electrons flow through disorder, and why the conductance of a constriction has steps.

    python examples/electron_flow.py [FOLDER]

Draws the current of a source's three modes through the potential of remote dopants, and
the transmission of a clean constriction against energy, beside closed forms: the subbands
that are open at its narrowest, and tunnelling through the top of each.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from inmateria import ElectronGas, RemoteDopants
from inmateria.transport.energies import energy_sweep

N_X, N_Y, NARROWEST = 101, 36, 16


def draw_flow(figure, gas, current) -> None:
    """Modulus of the current, and its streamlines; thick where much flows."""
    flow = current.at_sites
    modulus = np.hypot(flow[..., 0], flow[..., 1])
    top = np.quantile(modulus, 0.998)
    a = gas.spacing_nm
    x, y = (np.arange(gas.n_x) + 0.5) * a, (np.arange(gas.n_y) + 0.5) * a
    extent = (0, gas.n_x * a, 0, gas.n_y * a)
    axes = figure.subplots()
    image = axes.imshow(
        modulus.T, origin="lower", extent=extent, cmap="inferno", norm=PowerNorm(0.5, 0, top)
    )
    width = np.clip(2.2 * np.sqrt(modulus / top), 0.1, 2.2)
    axes.streamplot(
        x, y, flow[..., 0].T, flow[..., 1].T, density=2.2, color="white", linewidth=width.T,
        arrowsize=0.7,
    )  # fmt: skip
    for lead, at in ((gas.source, 0), (gas.drain, gas.n_x * a)):
        rows = [lead.rows.start * a, lead.rows.stop * a]
        axes.plot([at, at], rows, color="tab:cyan", lw=6, solid_capstyle="butt", clip_on=False)
    axes.set(xlim=extent[:2], ylim=extent[2:], xlabel="x (nm)", ylabel="y (nm)")
    n_modes = gas.count_open("source")
    axes.set_title(f"Transmission {float(current.transmission):.3f} of {n_modes} source modes")
    figure.colorbar(image, ax=axes, label="|J| per site (flux of one mode = 1)")


def constriction() -> np.ndarray:
    """Walls that recede smoothly, between rows too, (n_x, n_y) in t."""
    column, row = np.arange(N_X) - (N_X - 1) / 2, np.arange(N_Y) - (N_Y - 1) / 2
    width = NARROWEST + (N_Y - NARROWEST) * np.sin(np.pi * column / (N_X - 1)) ** 2
    free = np.clip(width[:, None] / 2 + 0.5 - np.abs(row), 1e-3, 1)
    return (1 - free) / free


def closed_form(energies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Subband bottoms at the narrowest column, (6,), and tunnelling past each, summed, in t."""
    angle = np.pi * np.arange(1, 7) / (NARROWEST + 1)
    bottom = 2 - 2 * np.cos(angle)
    second = 2 * (N_Y - NARROWEST) * (np.pi / (N_X - 1)) ** 2
    step = np.sqrt(4 * np.sin(angle) * angle / (NARROWEST + 1) * second)
    past = 1 / (1 + np.exp(-2 * np.pi * (energies[:, None] - bottom) / step))
    return bottom, past.sum(axis=1)


def draw_steps(figure, energies, transmission) -> None:
    """The walls, and transmission against energy."""
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.6))
    left.imshow(
        np.log10(constriction().T + 1e-2), origin="lower", cmap="Greys", vmin=-3, aspect="auto"
    )
    left.set(xlabel="column", ylabel="row", title="walls")
    bottom, tunnelling = closed_form(energies)
    right.step(
        [0, *bottom], range(7), where="post", color="0.7", label="subbands open at the narrowest"
    )
    right.plot(energies, tunnelling, color="tab:orange", label="with tunnelling, closed form")
    right.plot(energies, transmission, ".", color="tab:blue", ms=4, label="energy_sweep")
    right.set(xlim=(0, energies[-1]), ylim=(0, 4.3), xlabel="energy (t)", ylabel="transmission")
    right.legend(loc="upper left")


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    sample = ElectronGas()
    found = sample.current_density(RemoteDopants().sample(sample, seed=4).potential)
    picture = Figure(figsize=(9, 6.2), layout="constrained")
    draw_flow(picture, sample, found)
    picture.savefig(folder / "electron_flow.png", dpi=90)
    columns = found.through_columns
    print(f"T = {float(found.transmission):.6f}; through columns {columns.min():.6f} "
          f"to {columns.max():.6f}")  # fmt: skip

    narrow = ElectronGas.generic(N_X, N_Y, energy_t=0.3)
    grid = np.linspace(0.01, 0.7, 140)
    swept = energy_sweep(narrow, constriction(), grid, accuracy=1e-4).transmission
    picture = Figure(figsize=(11, 4.2), layout="constrained")
    draw_steps(picture, grid, swept)
    picture.savefig(folder / "conductance_steps.png", dpi=110)
    apart = np.abs(swept - closed_form(grid)[1]).max()
    print(f"largest distance from the closed form: {apart:.3f}")
