"""Loss against epoch, on a linear axis: a likelihood's goes below zero."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from inmateria.report.canvas import HIGH, INK, LOW, draw


def draw_losses(training: Sequence[float], validation: Sequence[float], *, loss: str) -> str:
    """Training and validation loss, the best epoch marked; inline SVG.

    Parameters
    ----------
    training, validation : (n_epochs,) sequences
    loss : str
        What the loss is, for the axis.
    """
    epochs = np.arange(1, len(validation) + 1)
    best = int(np.argmin(validation))

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.plot(epochs, training, color=LOW, label="training", marker=".", markersize=4)
        axes.plot(
            epochs, validation, color=HIGH, dashes=(4, 2), label="validation", marker=".",
            markersize=4,
        )  # fmt: skip
        axes.plot(
            [epochs[best]], [validation[best]], marker="o", markersize=7, color=INK,
            fillstyle="none", linestyle="none", label=f"kept: epoch {epochs[best]}",
        )  # fmt: skip
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="epoch", ylabel=f"loss ({loss})")
        axes.legend(loc="upper right")

    alt = (
        f"Loss over {len(validation)} epochs: the lowest validation loss is {validation[best]:.3g} "
        f"in epoch {epochs[best]}"
    )
    return draw(paint, size=(4.6, 3.0), name="losses", alt=alt)
