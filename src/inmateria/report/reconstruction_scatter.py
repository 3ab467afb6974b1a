"""Numbers that were read from images against the true ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from inmateria.report.canvas import HIGH, INK, LOW, draw

# Beyond this many, points only hide each other.
MOST_POINTS = 1000


def draw_numbers(found: ArrayLike, true: ArrayLike, labels: Sequence[str]) -> str:
    """Found against true, one panel a number; inline SVG.

    Parameters
    ----------
    found, true : (n, k) arrays
    labels : (k,) sequence of str
        With units.
    """
    guess, truth = np.asarray(found, np.float64), np.asarray(true, np.float64)
    guess, truth = guess[:MOST_POINTS], truth[:MOST_POINTS]
    columns = min(2, len(labels))
    lines = -(-len(labels) // columns)

    def paint(figure: Figure) -> None:
        panels = np.ravel(figure.subplots(lines, columns, squeeze=False))
        for k, (axes, label) in enumerate(zip(panels, labels, strict=False)):
            usable = np.isfinite(guess[:, k])
            x, y = truth[usable, k], guess[usable, k]
            axes.plot(
                x,
                y,
                linestyle="none",
                marker=".",
                markersize=3,
                color=LOW,
                alpha=0.5,
            )
            ends = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
            axes.plot(ends, ends, color=INK, linewidth=0.9, dashes=(4, 3))
            axes.set(xlabel=f"true {label}", ylabel=f"found {label}")
        for axes in panels[len(labels) :]:
            axes.set_visible(False)

    alt = f"Found against true: {', '.join(labels)}, for {len(truth)} samples"
    return draw(paint, size=(3.4 * columns, 3.0 * lines), name="numbers", alt=alt)


def draw_parameter_errors(spacing: ArrayLike, density: ArrayLike, *, slope: float) -> str:
    """Relative errors of s and N_d against each other, with the line of constant rms.

    Parameters
    ----------
    spacing, density : (n,) arrays
        Relative errors.
    slope : float
        d ln N_d / d ln s of that line.
    """
    x = 100 * np.asarray(spacing, np.float64)[:MOST_POINTS]
    y = 100 * np.asarray(density, np.float64)[:MOST_POINTS]
    r = float(np.corrcoef(x, y)[0, 1]) if min(x.std(), y.std()) > 0 else float("nan")

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.plot(x, y, linestyle="none", marker=".", markersize=4, color=LOW, alpha=0.5)
        reach = float(np.abs(x).max()) or 1.0
        ends = np.linspace(-reach, reach, 61)
        axes.plot(
            ends, 100 * (np.maximum(1 + ends / 100, 1e-3) ** slope - 1), color=HIGH,
            label="constant rms",
        )  # fmt: skip
        axes.axhline(0, color=INK, linewidth=0.6)
        axes.axvline(0, color=INK, linewidth=0.6)
        axes.set(xlabel="error of s (%)", ylabel="error of N_d (%)")
        axes.legend(loc="upper left")
        axes.set_title(f"correlation {r:.2f}", loc="right")

    alt = (
        f"Errors of s and N_d of {len(x)} samples, correlated by {r:.2f}, and the line of "
        "constant rms"
    )
    return draw(paint, size=(4.6, 3.4), name="parameter-errors", alt=alt)
