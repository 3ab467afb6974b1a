"""Scanning-gate maps of one sample: a weak tip to first order, a strong one exactly.

    python examples/scanning_gate.py [FOLDER]

The first row has a tip of 0.04 E_F, where both ways agree, the second a depleting one of
1.5 E_F, where first order is of no use.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from inmateria import ElectronGas, RemoteDopants
from inmateria.transport.tip import Tip

STRIDE = 8


def draw(figure: Figure, gas: ElectronGas, potential: np.ndarray) -> None:
    """Both ways for both tips, on one colour scale a row."""
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    for row, strength in zip(panels, (0.04, 1.5), strict=True):
        tip = Tip(height_mev=strength * gas.fermi_mev, width_nm=25.0)
        ways = (("first-order", 1), ("exact", STRIDE))
        maps = [gas.sgm(potential, tip, method=way, stride=every) for way, every in ways]
        top = np.quantile(np.abs(maps[1].change), 0.99)
        for axes, (way, _), found in zip(row, ways, maps, strict=True):
            image = axes.pcolormesh(
                found.x_nm, found.y_nm, found.change.T, cmap="RdBu_r", vmin=-top, vmax=top,
                shading="nearest", rasterized=True,
            )  # fmt: skip
            axes.set(title=f"tip of {strength:g} E_F, {way}", aspect="equal")
        figure.colorbar(image, ax=row, label="change of T", shrink=0.85)
        both = np.corrcoef(maps[0].change[::STRIDE, ::STRIDE].ravel(), maps[1].change.ravel())[0, 1]
        print(f"tip of {strength:g} E_F: the maps correlate by {both:.3f}")
        largest = np.abs(maps[1].change).max()
        print(f"  largest change {largest:.3f} of T = {maps[1].unperturbed:.3f}")
    for axes in panels[1]:
        axes.set_xlabel("x (nm)")
    for axes in panels[:, 0]:
        axes.set_ylabel("y (nm)")


def main(folder: Path) -> None:
    """Compute and draw."""
    gas = ElectronGas()
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    draw(figure, gas, RemoteDopants().sample(gas, seed=0).potential)
    figure.savefig(folder / "scanning_gate.png", dpi=110)
    print(folder / "scanning_gate.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path())
