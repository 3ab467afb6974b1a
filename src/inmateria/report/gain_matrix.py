"""Which output answers to which terminal, as a shaded table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from inmateria.bench.finding import plus_minus
from inmateria.report.canvas import HIGH, INK, LOW, MUTED, draw

NOTHING = "nothing"


def draw_gain_matrix(
    gain: ArrayLike,
    error: ArrayLike,
    *,
    terminals: Sequence[str],
    outputs: Sequence[str],
    shorted: ArrayLike,
    undriven: ArrayLike,
    n_sigma: float,
    name: str = "gain-matrix",
) -> str:
    """Gains with their errors; those within noise are pale, inline SVG.

    Parameters
    ----------
    gain, error : (n_outputs, n_terminals) arrays, nA/V
        NaN where an output was clipped.
    shorted : (n_outputs, n_terminals) bool array
    undriven : (n_outputs,) array, nA/V
        What is read where nothing is driven, a column of its own.
    n_sigma : float
        Standard errors from which on a gain is shaded and dark.
    """
    g, e = np.asarray(gain, dtype=np.float64), np.asarray(error, dtype=np.float64)
    short, none = np.asarray(shorted, dtype=bool), np.asarray(undriven, dtype=np.float64)
    answers = np.abs(g) > n_sigma * e
    n_rows, n_columns = g.shape
    size = np.where(answers, np.abs(g), 0.0)
    largest = float(size.max()) or 1.0

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        # One hue of growing opacity reads on a light and on a dark page; a root keeps the small
        # ones visible.
        shades = LinearSegmentedColormap.from_list(
            "gain", [(*to_rgb(LOW), 0.0), (*to_rgb(LOW), 0.6)]
        )
        shade = np.hstack([np.sqrt(size / largest), np.zeros((n_rows, 1))])
        axes.pcolormesh(shade, cmap=shades, vmin=0, vmax=1, edgecolors="none")
        for o in range(n_rows):
            for m in range(n_columns):
                if short[o, m]:
                    axes.text(m + 0.5, o + 0.5, "short", ha="center", va="center", color=HIGH,
                              fontweight="bold")  # fmt: skip
                    continue
                colour = INK if answers[o, m] else MUTED
                value, _, spread = plus_minus(g[o, m], e[o, m]).partition(" ± ")
                value = value if np.isfinite(g[o, m]) else "-"
                axes.text(m + 0.5, o + 0.4, value, ha="center", va="center", color=colour,
                          fontweight="bold" if answers[o, m] else "normal")  # fmt: skip
                if np.isfinite(e[o, m]):
                    axes.text(m + 0.5, o + 0.7, f"± {spread}", ha="center", va="center",
                              color=colour, fontsize=7)  # fmt: skip
            if np.isfinite(none[o]):
                axes.text(n_columns + 0.5, o + 0.4, f"{none[o]:.2g}", ha="center", va="center",
                          color=MUTED)  # fmt: skip
        axes.set_xticks(np.arange(n_columns + 1) + 0.5, [*terminals, NOTHING])
        axes.set_yticks(np.arange(n_rows) + 0.5, list(outputs))
        axes.axvline(n_columns, color=MUTED, linewidth=0.7)
        axes.invert_yaxis()
        axes.tick_params(length=0)
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.set(xlabel="driven", ylabel="output")
        axes.set_title("slope at rest (nA/V)", loc="left", color=MUTED)

    strongest = [
        f"{output} most to {terminals[int(size[o].argmax())]} ({g[o, int(size[o].argmax())]:.3g})"
        if size[o].any()
        else f"{output} to none"
        for o, output in enumerate(outputs)
    ]
    return draw(
        paint,
        size=(1.0 + 0.72 * (n_columns + 1), 1.0 + 0.55 * n_rows),
        name=name,
        alt=f"Response of each output to each terminal in nA/V: {'; '.join(strongest)}",
    )
