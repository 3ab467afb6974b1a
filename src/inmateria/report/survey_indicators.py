"""Indicators of non-linearity: over devices, and what they are made of over settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from inmateria.report.canvas import HIGH, INK, LOW, MUTED, THIRD, draw
from inmateria.report.survey_abundance import share_axis

REACH = 2.0
"""Responses beyond this many current scales are drawn at the edge."""


def draw_indicators(values: ArrayLike, labels: Sequence[str], *, name: str = "indicators") -> str:
    """A histogram over devices for each indicator, the median marked, inline SVG.

    Parameters
    ----------
    values : (n_devices, 3) array
        Two between 0 and 1, then one from 0 up.
    labels : three of str
    """
    y = np.atleast_2d(np.asarray(values, dtype=np.float64))

    def paint(figure: Figure) -> None:
        panels = figure.subplots(1, 3, sharey=True)
        for i, axes in enumerate(panels):
            column = y[:, i][np.isfinite(y[:, i])]
            top = 1.0 if i < 2 else max(0.1, 1.05 * float(column.max(initial=0.0)))
            edges = np.linspace(0.0, top, 21)
            axes.hist(column, bins=edges.tolist(), color=HIGH if i == 2 else LOW)
            if len(column):
                middle = float(np.median(column))
                axes.axvline(middle, color=INK, linewidth=1.0, dashes=(4, 3))
                axes.set_title(f"median {middle:.2f}", loc="right", color=MUTED, fontsize=8.5)
            axes.set_xlim(0, top)
            axes.locator_params(axis="x", nbins=4)
            axes.yaxis.get_major_locator().set_params(integer=True)
            axes.set_xlabel(labels[i])
        panels[0].set_ylabel("devices")

    middles = ", ".join(f"{labels[i]} {np.median(y[:, i]):.2f}" for i in range(3))
    return draw(paint, size=(7.0, 2.5), name=name, alt=f"Medians over {len(y)} devices: {middles}")


def draw_responses(responses: Mapping[str, ArrayLike], *, name: str = "responses") -> str:
    """Distributions over settings of up to three responses, in current scales, inline SVG.

    Parameters
    ----------
    responses : mapping of label to (n,) array
    """
    drawn = {label: np.asarray(y, dtype=np.float64).ravel() for label, y in responses.items()}
    edges = np.linspace(-REACH, REACH, 82)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for (label, y), colour, dashes in zip(
            drawn.items(), (LOW, THIRD, HIGH), ((None, None), (5, 2), (1.5, 1)), strict=False
        ):
            share = np.histogram(np.clip(y, -REACH, REACH), bins=edges)[0] / max(1, y.size)
            middle = 0.5 * (edges[1:] + edges[:-1])
            axes.plot(middle, np.where(share > 0, share, np.nan), color=colour, dashes=dashes,
                      label=label, drawstyle="steps-mid")  # fmt: skip
        axes.axvline(0.0, color=INK, linewidth=0.8)
        axes.set_yscale("log")
        share_axis(axes.yaxis)
        axes.set_xlim(-REACH, REACH)
        axes.set(xlabel="response (current scales)", ylabel="share of settings per bin")
        axes.legend(loc="upper left")

    listed = ", ".join(f"{label} mean {y.mean():.2g}" for label, y in drawn.items())
    return draw(paint, size=(4.6, 3.1), name=name, alt=f"Distributions over settings: {listed}")
