"""Principal components of current vectors: variances, and what each direction is made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from inmateria.report.canvas import HIGH, INK, LOW, MUTED, TRACE, draw
from inmateria.report.survey_abundance import LEAST, percent, share_axis

STATES = ("00", "01", "10", "11")


def draw_spectrum(share: ArrayLike, *, name: str = "spectrum") -> str:
    """Share of variance in each component: a point a device, a bar at the median, inline SVG.

    Parameters
    ----------
    share : (n_devices, 4) array, 0 to 1
    """
    y = np.atleast_2d(np.asarray(share, dtype=np.float64))
    middle = np.median(y, axis=0)
    low = max(LEAST, 0.5 * float(y[y > 0].min(initial=1.0)))

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        # Spread sideways by rank, so that equal values stay visible.
        for k in range(4):
            rank = np.argsort(np.argsort(y[:, k])) / max(1, len(y) - 1) - 0.5
            x = k + 1 + 0.36 * rank * (len(y) > 1)
            shown = y[:, k] > low
            axes.plot(x[shown], y[shown, k], "o", color=LOW, markersize=3.2, alpha=0.65)
            if middle[k] > low:
                axes.plot((k + 0.72, k + 1.28), (middle[k], middle[k]), color=INK, linewidth=1.6)
        axes.set_yscale("log")
        axes.set_ylim(low, 2.0)
        share_axis(axes.yaxis)
        axes.set_xticks(range(1, 5))
        axes.set_xlim(0.5, 4.5)
        axes.set(xlabel="principal component", ylabel="share of the variance")
        if len(y) > 1:
            axes.set_title("a point a device, bar: median", loc="left", color=MUTED)

    listed = ", ".join(f"{k + 1}: {middle[k]:.3g}" for k in range(4))
    return draw(
        paint,
        size=(3.5, 3.1),
        name=name,
        alt=f"Median share of variance in each principal component, {listed}",
    )


def draw_overlaps(
    overlap: ArrayLike, modes: Sequence[str], *, name: str = "component-overlaps"
) -> str:
    """Mean squared overlap of each component with each mode as a shaded table, inline SVG.

    Parameters
    ----------
    overlap : (4, 4) array, 0 to 1
        Component by mode.
    modes : four names
    """
    y = np.asarray(overlap, dtype=np.float64)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        # One hue of growing opacity reads on a light and on a dark page.
        shades = LinearSegmentedColormap.from_list(
            "overlap", [(*to_rgb(LOW), 0.03), (*to_rgb(LOW), 0.6)]
        )
        axes.pcolormesh(y, cmap=shades, vmin=0, vmax=1, edgecolors="none")
        for k in range(4):
            for m in range(4):
                weight = "bold" if m == int(y[k].argmax()) else "normal"
                axes.text(m + 0.5, k + 0.5, f"{y[k, m]:.2f}", ha="center", va="center",
                          fontweight=weight)  # fmt: skip
        axes.set_xticks(np.arange(4) + 0.5, modes)
        axes.set_yticks(np.arange(4) + 0.5, ["1", "2", "3", "4"])
        axes.invert_yaxis()
        axes.tick_params(length=0)
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.set(xlabel="mode of the four states", ylabel="principal component")

    listed = "; ".join(
        f"component {k + 1} mostly {modes[int(y[k].argmax())]} ({y[k].max():.2f})" for k in range(4)
    )
    return draw(paint, size=(3.7, 3.1), name=name, alt=f"Squared overlaps: {listed}")


def draw_loadings(direction: ArrayLike, share: ArrayLike, *, name: str = "loadings") -> str:
    """The four directions of one device over its four states as bars, inline SVG.

    Parameters
    ----------
    direction : (4, 4) array
        Component by state 00, 01, 10, 11.
    share : (4,) array, 0 to 1
        Of the variance.
    """
    y, part = np.asarray(direction, dtype=np.float64), np.asarray(share, dtype=np.float64)

    def paint(figure: Figure) -> None:
        panels = figure.subplots(1, 4, sharey=True)
        for k, axes in enumerate(panels):
            colours = [LOW if value >= 0 else HIGH for value in y[k]]
            axes.bar(range(4), y[k], width=0.7, color=colours)
            axes.axhline(0, color=TRACE, linewidth=0.8)
            axes.set_xticks(range(4), STATES)
            axes.tick_params(axis="x", length=0)
            axes.grid(visible=False, axis="x")
            axes.set_title(f"{k + 1}: {percent(float(part[k]))}", loc="left", fontweight="bold")
            axes.set_ylim(-1.05, 1.05)
        panels[0].set_ylabel("loading")
        figure.supxlabel("state of (first, second) input", fontsize=9)

    listed = "; ".join(
        f"component {k + 1} " + " ".join(f"{value:+.2f}" for value in y[k]) for k in range(4)
    )
    return draw(paint, size=(7.0, 2.3), name=name, alt=f"Loadings over 00, 01, 10, 11: {listed}")
