"""How good a model's answers are: a histogram over samples."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from inmateria.report.canvas import INK, LOW, draw


def draw_correlation_histogram(
    r: ArrayLike, *, label: str = "correlation r with the true potential", counted: str = "samples"
) -> str:
    """Histogram of correlation coefficients with their median, inline SVG.

    Parameters
    ----------
    r : (n,) array
        NaN is left out.
    """
    values = np.asarray(r, dtype=np.float64)
    values = values[np.isfinite(values)]
    middle = float(np.median(values)) if values.size else float("nan")

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        if values.size:
            low = min(float(values.min()), 0.999)
            bins = int(np.clip(np.sqrt(values.size), 8, 60))
            axes.hist(values, bins=bins, range=(low - 1e-3, 1.0), color=LOW)
            axes.axvline(middle, color=INK, linewidth=0.9, dashes=(4, 3))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel=label, ylabel=counted)
        axes.set_title(f"median {middle:.4f} (dashed)", loc="left")

    lowest = float(values.min()) if values.size else float("nan")
    alt = (
        f"Histogram of {label} over {values.size} {counted}: median {middle:.4f}, lowest "
        f"{lowest:.4f}"
    )
    return draw(paint, size=(4.6, 3.0), name="correlation-histogram", alt=alt)
