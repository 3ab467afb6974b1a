"""Transmission over energy, with the modes that are open."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from inmateria.report.canvas import INK, LOW, MUTED, TRACE, draw


def draw_transmission_curve(
    energy_mev: ArrayLike, transmission: ArrayLike, n_open: ArrayLike, *, fermi_mev: float
) -> str:
    """T(E) below the number of open modes, inline SVG.

    Parameters
    ----------
    energy_mev : (n_energies,) array, rising
    transmission : (n_energies,) array
    n_open : (n_energies,) integer array
        Modes of the source that are open at each energy: T is at most as large.
    fermi_mev : float
        Marked where it is in the range.
    """
    energy, value, modes = (np.asarray(a, dtype=np.float64) for a in (energy_mev, transmission,
                                                                      n_open))  # fmt: skip

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.plot(
            energy, modes, color=TRACE, drawstyle="steps-mid", linewidth=1.2,
            label="open modes of the source",
        )  # fmt: skip
        few = energy.size <= 60
        axes.plot(
            energy, value, color=LOW, marker="o" if few else "", markersize=3, label="transmission"
        )
        if energy[0] <= fermi_mev <= energy[-1]:
            axes.axvline(fermi_mev, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
            axes.text(
                fermi_mev, 1.01, f"Fermi energy {fermi_mev:g} meV",
                transform=axes.get_xaxis_transform(), ha="center", va="bottom",
                fontsize=8, color=INK,
            )  # fmt: skip
        axes.set(xlabel="energy (meV)", ylabel="transmission")
        axes.set_ylim(0, 1.08 * max(float(modes.max()), 1.0))
        axes.margins(x=0.02)
        figure.legend(loc="outside lower center", ncols=2)

    return draw(
        paint,
        size=(6.2, 3.5),
        name="transmission-curve",
        alt=f"Transmission from {energy[0]:g} to {energy[-1]:g} meV: {value.min():.3g} to "
        f"{value.max():.3g}, with up to {int(modes.max())} open modes of the source",
    )
