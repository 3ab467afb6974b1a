"""How often random control settings realise each gate: bars, and against the margin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import ArrayLike

from inmateria.report.canvas import HIGH, INK, LOW, MUTED, SURFACE, THIRD, TRACE, draw

LEAST = 1e-5
"""Axes of shares reach no lower."""


def percent(share: float, _: object = None) -> str:
    """A share as a tick or a cell shows it: ``21.9 %``, ``0.03 %``."""
    if share <= 0:
        return "0 %"
    digits = max(0, 1 - int(np.floor(np.log10(100 * share))))
    return f"{100 * share:.{min(digits, 4)}f} %"


def draw_abundance(
    gates: Sequence[str],
    share: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    *,
    marked: Sequence[str] = ("XOR", "XNOR"),
    title: str = "",
    floor: float | None = None,
    name: str = "abundance",
) -> str:
    """Horizontal bars on a logarithmic axis, most frequent on top, inline SVG.

    A gate that never occurs has no bar, only the upper end of its interval.

    Parameters
    ----------
    gates : sequence of str
    share, low, high : (n_gates,) arrays, 0 to 1
        With the ends of their intervals.
    marked : sequence of str
        Drawn in the second colour.
    floor : float, optional
        Where the axis starts; below all shares by default.
    """
    mean, lower, upper = (np.asarray(x, dtype=np.float64) for x in (share, low, high))
    order = np.lexsort((upper, mean))
    start = axis_floor(mean) if floor is None else floor

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for row, i in enumerate(order):
            colour = HIGH if gates[i] in marked else LOW
            if mean[i] > 0:
                axes.barh(row, mean[i] - start, left=start, height=0.68, color=colour)
                axes.plot((max(lower[i], start), upper[i]), (row, row), color=INK, linewidth=1.1)
                at = max(mean[i], upper[i])
                axes.annotate(percent(mean[i]), (at, row), xytext=(4, 0), va="center",
                              textcoords="offset points", fontsize=8)  # fmt: skip
            else:
                axes.plot(upper[i], row, marker="<", color=colour, markersize=4.5)
                axes.annotate(f"none; below {percent(upper[i])}", (upper[i], row), xytext=(6, 0),
                              va="center", textcoords="offset points", fontsize=8,
                              color=MUTED)  # fmt: skip
        axes.set_xscale("log")
        axes.set_xlim(start, max(4.0 * float(upper.max(initial=start)), 20 * start))
        axes.set_ylim(-0.7, len(gates) - 0.3)
        axes.set_yticks(range(len(gates)), [gates[i] for i in order])
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        share_axis(axes.xaxis)
        axes.set_xlabel("share of control settings")
        if title:
            axes.set_title(title, loc="left", fontweight="bold")
        handles = [Patch(color=LOW), Patch(color=HIGH)]
        axes.legend(handles, ("linearly separable", "not separable"), loc="lower right")

    listed = ", ".join(f"{gates[i]} {percent(mean[i])}" for i in order[::-1])
    return draw(
        paint,
        size=(5.0, 0.9 + 0.235 * len(gates)),
        name=name,
        alt=f"Share of random control settings that realise each gate {title}: {listed}",
    )


def draw_margins(
    margin: ArrayLike,
    shares: Mapping[str, ArrayLike],
    *,
    chosen: float | None = None,
    name: str = "abundance-margin",
) -> str:
    """Abundance of up to six gates against the margin demanded, inline SVG.

    Parameters
    ----------
    margin : (n_margins,) array
        In units of the current scale.
    shares : mapping of gate to (n_margins,) array, 0 to 1
    chosen : float, optional
        The margin that the rest of the page uses.
    """
    x = np.asarray(margin, dtype=np.float64)
    curves = {gate: np.asarray(y, dtype=np.float64) for gate, y in shares.items()}
    start = axis_floor(np.concatenate(list(curves.values())))
    colours = (LOW, LOW, THIRD, THIRD, HIGH, HIGH)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for k, (gate, y) in enumerate(curves.items()):
            colour, second = colours[k % 6], bool(k % 2)
            axes.plot(x, np.where(y > 0, y, np.nan), "o", color=colour, markersize=3, label=gate,
                      linestyle="--" if second else "-",
                      markerfacecolor=SURFACE if second else colour)  # fmt: skip
        if chosen is not None:
            axes.axvline(chosen, color=TRACE, linewidth=1.0)
            axes.annotate("used here", (chosen, 1.0), xytext=(3, -2), va="top", fontsize=8,
                          xycoords=axes.get_xaxis_transform(), textcoords="offset points",
                          color=MUTED)  # fmt: skip
        axes.set_yscale("log")
        axes.set_ylim(start, 1.5)
        share_axis(axes.yaxis)
        axes.set(xlabel="margin demanded (current scales)", ylabel="share of control settings")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper")

    ends = "; ".join(
        f"{gate} {percent(y[0])} at {x[0]:g} to {percent(y[-1])} at {x[-1]:g}"
        for gate, y in curves.items()
    )
    return draw(paint, size=(4.9, 3.2), name=name, alt=f"Abundance against the margin: {ends}")


def axis_floor(share: ArrayLike) -> float:
    """The decade below the least share that occurs."""
    y = np.asarray(share, dtype=np.float64)
    least = float(y[y > 0].min(initial=0.1))
    return float(max(LEAST, 10.0 ** np.floor(np.log10(0.7 * least))))


def share_axis(axis: object) -> None:
    """Decades in per cent."""
    axis.set_major_locator(LogLocator())  # type: ignore[attr-defined]
    axis.set_major_formatter(FuncFormatter(_tick))  # type: ignore[attr-defined]
    axis.set_minor_formatter(NullFormatter())  # type: ignore[attr-defined]


def _tick(share: float, _: object) -> str:
    return f"{100 * share:g} %"
