"""Where the acceptors, donors and electrodes of a device are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Circle
from numpy.typing import ArrayLike

from inmateria.report.canvas import HIGH, INK, LOW, MUTED, SURFACE, THIRD, draw


def draw_device_map(
    acceptor_xy_nm: ArrayLike,
    electrode_xy_nm: ArrayLike,
    *,
    electrode_names: Sequence[str],
    radius_nm: float,
    donor_xy_nm: ArrayLike = (),
    arc_length_nm: float = 60.0,
    outputs: Sequence[str] = (),
    inputs: Sequence[str] = (),
) -> str:
    """Plan of the device, inline SVG.

    Parameters
    ----------
    acceptor_xy_nm, electrode_xy_nm, donor_xy_nm : (n, 2) arrays, nm
    electrode_names : sequence of str
        In the order of `electrode_xy_nm`.
    radius_nm, arc_length_nm : float
        Of the disc and of each electrode along the rim, nm.
    outputs, inputs : sequence of str
        Electrodes drawn as current output and as logic input; the others are controls.
    """
    acceptors = np.asarray(acceptor_xy_nm, dtype=np.float64).reshape(-1, 2)
    donors = np.asarray(donor_xy_nm, dtype=np.float64).reshape(-1, 2)
    electrodes = np.asarray(electrode_xy_nm, dtype=np.float64).reshape(-1, 2)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.grid(visible=False)
        axes.add_patch(Circle((0, 0), radius_nm, facecolor=MUTED, alpha=0.07, linewidth=0))
        axes.add_patch(Circle((0, 0), radius_nm, fill=False, edgecolor=MUTED, linewidth=0.8))
        half = np.degrees(arc_length_nm / radius_nm) / 2
        for (x, y), name in zip(electrodes, electrode_names, strict=True):
            angle = float(np.degrees(np.arctan2(y, x)))
            colour = HIGH if name in outputs else LOW if name in inputs else MUTED
            role = "output" if name in outputs else "input" if name in inputs else ""
            axes.add_patch(
                Arc(
                    (0, 0),
                    2.03 * radius_nm,
                    2.03 * radius_nm,
                    theta1=angle - half,
                    theta2=angle + half,
                    edgecolor=colour,
                    linewidth=5.0,
                )
            )
            cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
            axes.text(
                1.13 * radius_nm * cos,
                1.13 * radius_nm * sin,
                f"{name} {role}".strip(),
                ha="center" if abs(cos) < 0.3 else "left" if cos > 0 else "right",
                va="center" if abs(sin) < 0.3 else "bottom" if sin > 0 else "top",
                color=colour if role else INK,
                fontweight="bold" if role else "normal",
            )
        axes.scatter(
            acceptors[:, 0],
            acceptors[:, 1],
            s=26,
            color=THIRD,
            edgecolors=SURFACE,
            linewidths=0.6,
            label=f"{len(acceptors)} acceptors",
            zorder=3,
        )
        if len(donors):
            axes.scatter(
                donors[:, 0],
                donors[:, 1],
                s=44,
                marker="+",
                color=INK,
                linewidths=1.6,
                label=f"{len(donors)} donors",
                zorder=3,
            )
        span = 1.45 * radius_nm
        axes.set(xlim=(-span, span), ylim=(-1.3 * radius_nm, 1.3 * radius_nm), aspect="equal")
        axes.set(xlabel="x (nm)", ylabel="y (nm)")
        figure.legend(loc="outside lower center", ncols=2)

    return draw(
        paint,
        size=(4.6, 4.15),
        name="device-map",
        alt=(
            f"Plan of the device: a disc of radius {radius_nm:g} nm with "
            f"{len(electrodes)} electrodes on its rim, {len(acceptors)} acceptors and "
            f"{len(donors)} donors"
        ),
    )
