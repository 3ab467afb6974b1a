"""Error against epoch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter
from numpy.typing import ArrayLike

from inmateria.report.canvas import HIGH, LOW, THIRD, draw


def draw_learning_curve(
    epoch: ArrayLike,
    curves: Mapping[str, ArrayLike],
    *,
    y_label: str = "RMSE (nA)",
    x_label: str = "epoch",
    name: str = "learning-curve",
) -> str:
    """Curves on a logarithmic axis, inline SVG.

    Parameters
    ----------
    epoch : (n_epochs,) array
    curves : mapping of label to (n_epochs,) array
        At most three, all positive.
    """
    steps = np.asarray(epoch, dtype=np.float64)
    drawn = {label: np.asarray(values, dtype=np.float64) for label, values in curves.items()}

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        styles = ((LOW, ()), (HIGH, (4, 2)), (THIRD, (1, 1)))
        for (label, values), (colour, dashes) in zip(drawn.items(), styles, strict=False):
            axes.plot(steps, values, color=colour, dashes=dashes or (None, None), label=label)
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set(xlabel=x_label, ylabel=y_label)
        axes.legend(loc="upper right")

    ends = ", ".join(f"{label} ends at {values[-1]:.3g}" for label, values in drawn.items())
    return draw(
        paint, size=(4.6, 3.0), name=name, alt=f"{y_label} against {x_label}, logarithmic: {ends}"
    )
