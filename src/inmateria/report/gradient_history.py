"""Gradients that were measured on the way, with their errors: were they significant?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray
from inmateria.report.canvas import HIGH, INK, LOW, MUTED, THIRD, TRACE, draw

ERRORS = 2
"""Standard errors that the band reaches to either side."""
MOST_ITERATIONS = 200


def draw_gradient_history(
    iteration: ArrayLike,
    gradient: ArrayLike,
    standard_error: ArrayLike,
    *,
    controls: Sequence[str],
    descent_ratio: ArrayLike | None = None,
    restarts: Sequence[int] = (),
    name: str = "gradient-history",
) -> str:
    """dI/dV by control and iteration, and how far it stands out of its noise, inline SVG.

    One panel a control: the mean over the operating points with a band of two
    standard errors of that mean, over the range that single operating points
    cover. The last panel shows the ratio of gradient to standard error, both as
    root mean square over operating points, a line for each control: noise alone
    gives 1. Of more than
    200 iterations every second or third is drawn.

    Parameters
    ----------
    iteration : (n_iterations,) array
    gradient, standard_error : (n_iterations, n_points, n_controls) arrays, nA/V
        Of the output that the task reads; NaN where it was not measured.
    controls : terminal names
    descent_ratio : (n_iterations,) array, optional
        Length of the loss gradient over that of its standard errors: whether a
        step went down.
    restarts : sequence of int
        Iterations at which a search began again elsewhere.
    """
    every = max(1, -(-np.size(iteration) // MOST_ITERATIONS))
    step = np.asarray(iteration, dtype=np.float64)[::every]
    value = np.asarray(gradient, dtype=np.float64)[::every]
    error = np.asarray(standard_error, dtype=np.float64)[::every]
    known = np.isfinite(value)
    count = known.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(known, value, 0).sum(axis=1) / count
        size = np.sqrt(np.where(known, value**2, 0).sum(axis=1) / count)
        noise = np.sqrt(np.where(known, error**2, 0).sum(axis=1) / count)
        # Errors of different operating points are independent: they are different recordings.
        error_of_mean = noise / np.sqrt(count)
        ratio = np.where(noise > 0, size / noise, np.nan)
    low = np.where(count > 0, np.where(known, value, np.inf).min(axis=1), np.nan)
    high = np.where(count > 0, np.where(known, value, -np.inf).max(axis=1), np.nan)
    down = None if descent_ratio is None else np.asarray(descent_ratio, dtype=np.float64)[::every]
    marker = "o" if step.size <= 40 else None
    n_panels = len(controls) + 1
    n_columns = min(n_panels, 4 if n_panels > 6 else 3)
    n_rows = -(-n_panels // n_columns)

    def paint(figure: Figure) -> None:
        grid = figure.subplots(n_rows, n_columns, sharex=True, squeeze=False)
        panels: list[Axes] = list(grid.ravel())
        shared = panels[: len(controls)]
        for k, (axes, control) in enumerate(zip(shared, controls, strict=True)):
            axes.fill_between(step, low[:, k], high[:, k], color=TRACE, alpha=0.28, linewidth=0)
            axes.fill_between(
                step,
                mean[:, k] - ERRORS * error_of_mean[:, k],
                mean[:, k] + ERRORS * error_of_mean[:, k],
                color=LOW,
                alpha=0.4,
                linewidth=0,
            )
            axes.plot(step, mean[:, k], color=LOW, linewidth=1.1, marker=marker, markersize=2)
            axes.axhline(0, color=INK, linewidth=0.7)
            axes.set_title(control, loc="left", fontweight="bold")
            axes.set_title(f"{_short(ratio[:, k])} × noise", loc="right", color=MUTED, fontsize=8)
            # A scale of its own: on a common one the weak controls show neither error nor sign.
            axes.set_ylim(*_ends(np.concatenate([low[:, k], high[:, k]])))
            axes.locator_params(axis="y", nbins=5)
            if k % n_columns == 0:
                axes.set_ylabel("dI/dV (nA/V)")
        last = panels[len(controls)]
        last.plot(step, ratio, color=LOW, linewidth=0.8)
        if down is not None:
            last.plot(step, down, color=THIRD, linewidth=1.4)
        last.axhline(1, color=HIGH, linewidth=1.0, dashes=(4, 3))
        last.set_yscale("log")
        last.yaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}"))
        last.yaxis.set_minor_formatter(NullFormatter())
        shown = ratio if down is None else np.concatenate([ratio.ravel(), down])
        shown = shown[np.isfinite(shown) & (shown > 0)]
        last.set_ylim(min(0.5, shown.min(initial=1)), max(10.0, 1.5 * shown.max(initial=1)))
        last.set_title("signal / noise", loc="left", fontweight="bold")
        for axes in panels[n_panels:]:
            axes.set_visible(False)
        for axes in panels[:n_panels]:
            for restart in restarts:
                axes.axvline(restart - 0.5, color=MUTED, linewidth=0.8, dashes=(1, 2))
        for axes in panels[n_panels - n_columns : n_panels]:
            axes.set_xlabel("iteration")
            axes.tick_params(labelbottom=True)
        panels[0].xaxis.set_major_locator(MaxNLocator(5, integer=True))
        marks: list[Artist] = [
            Line2D([], [], color=LOW, label="mean of the operating points"),
            Patch(color=LOW, alpha=0.4, linewidth=0, label="\u00b1 2 standard errors"),
            Patch(color=TRACE, alpha=0.28, linewidth=0, label="range of the operating points"),
            Line2D([], [], color=HIGH, dashes=(4, 3), linewidth=1, label="noise alone"),
        ]
        if down is not None:
            marks.append(Line2D([], [], color=THIRD, label="loss gradient"))
        figure.legend(handles=marks, loc="outside lower center", ncols=len(marks),
                      columnspacing=1.2, handlelength=1.6)  # fmt: skip

    listed = "; ".join(
        f"{control} {_short(mean[:, k])} nA/V, {_short(ratio[:, k])} times the noise"
        for k, control in enumerate(controls)
    )
    return draw(
        paint,
        size=(0.5 + 2.5 * n_columns, 0.65 + 1.75 * n_rows),
        name=name,
        alt=f"Gradient by iteration, mean over operating points: {listed}",
    )


def _ends(values: FloatArray) -> tuple[float, float]:
    """Ends of an axis for all of them and zero, with some room."""
    known = np.append(values[np.isfinite(values)], 0.0)
    spare = 0.06 * float(np.ptp(known)) or 1.0
    return float(known.min()) - spare, float(known.max()) + spare


def _short(values: ArrayLike) -> str:
    """The median in two digits; a dash where nothing is known."""
    known = np.asarray(values)[np.isfinite(values)]
    return f"{np.median(known):.2g}" if known.size else "\u2013"
