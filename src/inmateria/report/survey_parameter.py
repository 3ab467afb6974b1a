"""How the figures of a survey go with a parameter of the devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from inmateria.report.canvas import HIGH, LOW, THIRD, draw
from inmateria.report.survey_abundance import axis_floor, share_axis

Curve = tuple[ArrayLike, ArrayLike, ArrayLike]
"""Middle, lower and upper end at each value of the parameter."""


def draw_parameter(
    values: Sequence[str],
    abundance: Mapping[str, Curve],
    others: Mapping[str, Curve],
    *,
    parameter: str,
    name: str = "parameter",
) -> str:
    """Abundance of up to six gates, and up to three other figures below each other, inline SVG.

    Parameters
    ----------
    values : sequence of str
        Of the parameter, evenly spaced on the axis.
    abundance : mapping of gate to Curve
        Shares with their intervals.
    others : mapping of axis label to Curve
    parameter : str
        Its name.
    """
    x = np.arange(len(values))
    colours = (LOW, LOW, THIRD, THIRD, HIGH, HIGH)
    gates = {gate: _arrays(curve) for gate, curve in abundance.items()}
    rest = {label: _arrays(curve) for label, curve in others.items()}

    def paint(figure: Figure) -> None:
        grid = figure.add_gridspec(max(1, len(rest)), 2, width_ratios=(1.25, 1.0))
        axes = figure.add_subplot(grid[:, 0])
        start = axis_floor(np.concatenate([middle for middle, _, _ in gates.values()]))
        for k, (gate, (middle, low, high)) in enumerate(gates.items()):
            shift = 0.04 * (k - 0.5 * (len(gates) - 1))
            shown = middle > 0
            error = (middle - np.maximum(low, start), high - middle)
            axes.errorbar(x[shown] + shift, middle[shown], [e[shown] for e in error], marker="o",
                          color=colours[k % 6], markersize=3.5, linewidth=1.2, elinewidth=0.9,
                          linestyle="--" if k % 2 else "-", label=gate)  # fmt: skip
        axes.set_yscale("log")
        axes.set_ylim(start, 1.5)
        share_axis(axes.yaxis)
        _values(axes, x, values, parameter)
        axes.set_ylabel("share of control settings")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
        panels = [figure.add_subplot(grid[k, 1]) for k in range(len(rest))]
        for panel, (label, (middle, low, high)) in zip(panels, rest.items(), strict=True):
            panel.errorbar(x, middle, (middle - low, high - middle), marker="o", color=LOW,
                           markersize=3.5, linewidth=1.2, elinewidth=0.9)  # fmt: skip
            panel.set_ylabel(label)
            panel.set_ylim(bottom=0)
            _values(panel, x, values, parameter if panel is panels[-1] else "")

    listed = "; ".join(
        f"{gate} {middle[0]:.2g} at {values[0]} to {middle[-1]:.2g} at {values[-1]}"
        for gate, (middle, _, _) in gates.items()
    )
    return draw(paint, size=(7.6, 4.2), name=name, alt=f"Against {parameter}: {listed}")


def _arrays(curve: Curve) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    middle, low, high = (np.asarray(y, dtype=np.float64) for y in curve)
    return middle, low, high


def _values(axes: object, x: np.ndarray, values: Sequence[str], parameter: str) -> None:
    axes.set_xticks(x, values)  # type: ignore[attr-defined]
    axes.set_xlim(-0.4, len(values) - 0.6)  # type: ignore[attr-defined]
    axes.set_xlabel(parameter)  # type: ignore[attr-defined]
