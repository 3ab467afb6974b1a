"""How a search on a device went: loss and quality, iteration by iteration."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import ArrayLike, NDArray

from inmateria.report.canvas import HIGH, INK, LOW, MUTED, TRACE, draw
from inmateria.report.decades import mark_decades

_WIDE_DECADES = 2.5


def draw_search_curve(
    iteration: ArrayLike,
    loss: ArrayLike,
    quality: ArrayLike,
    *,
    device_s: ArrayLike,
    kept: int | None = None,
    quality_label: str = "margin (nA)",
    goal: float | None = None,
    restarts: Sequence[int] = (),
    name: str = "search-curve",
) -> str:
    """Loss above, what it is about below, device time along the top, inline SVG.

    Parameters
    ----------
    iteration : (n_iterations,) array
        Increasing.
    loss : (n_iterations,) array
        Of each iteration, as measured; the lowest so far is drawn over it. A
        logarithmic axis where all are positive.
    quality : (n_iterations,) array
        Margin (nA) or accuracy of each iteration, in the unit of `quality_label`.
    device_s : (n_iterations,) array, s
        Time that the rig had played by then.
    kept : int, optional
        Position of the iteration whose controls were kept; by default the one
        with the lowest loss.
    goal : float, optional
        Quality that is demanded.
    restarts : sequence of int
        Iterations at which a search began again elsewhere.
    """
    step = np.asarray(iteration, dtype=np.float64)
    each, good = np.asarray(loss, dtype=np.float64), np.asarray(quality, dtype=np.float64)
    spent = np.asarray(device_s, dtype=np.float64)
    best = np.fmin.accumulate(each)
    lowest = int(np.nanargmin(each)) if np.isfinite(each).any() else 0
    chosen = lowest if kept is None else kept

    def paint(figure: Figure) -> None:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1.35, 1.0))
        marker = "o" if step.size <= 40 else None
        above.plot(step, each, color=TRACE, linewidth=1.0, marker=marker, markersize=2.5,
                   label="each iteration")  # fmt: skip
        above.plot(step, best, color=LOW, linewidth=1.8, drawstyle="steps-post",
                   label="lowest so far")  # fmt: skip
        above.plot(step[chosen], each[chosen], "D", color=INK, markersize=4.5, label="kept")
        above.set_ylabel("loss")
        _loss_axis(above, each)
        above.legend(loc="upper right", ncols=3, handlelength=1.6, columnspacing=1.2)
        below.plot(step, good, color=LOW, linewidth=1.2, marker=marker, markersize=2.5)
        below.plot(step[chosen], good[chosen], "D", color=INK, markersize=4.5)
        if goal is not None:
            below.axhline(goal, color=HIGH, linewidth=1.0, dashes=(4, 3))
            below.set_title(f"demanded: {goal:g}", loc="right", color=HIGH, fontsize=8)
        below.set(xlabel="iteration", ylabel=quality_label)
        below.locator_params(axis="y", nbins=5)
        below.margins(y=0.12)
        for axes in (above, below):
            for restart in restarts:
                axes.axvline(restart - 0.5, color=MUTED, linewidth=0.8, dashes=(1, 2))
        low, high = step[0], max(step[-1], step[0] + 1)
        below.set_xlim(low - 0.02 * (high - low), high + 0.02 * (high - low))
        below.xaxis.set_major_locator(MaxNLocator(7, integer=True))
        _seconds(above, step, spent)

    say = f"{step.size} iterations, {spent[-1]:.3g} s on the device"
    ends = f"lowest loss {each[lowest]:.3g} at iteration {step[lowest]:.0f}"
    there = f"kept iteration {step[chosen]:.0f} with {quality_label} {good[chosen]:.3g}"
    return draw(
        paint,
        size=(5.4, 4.2),
        name=name,
        alt=f"Learning curve: {say}; {ends}, {there}; new starts: {len(restarts)}",
    )


def _loss_axis(axes: Axes, loss: NDArray[np.float64]) -> None:
    """Logarithmic where all losses are positive and differ; Fisher's may be negative."""
    finite = loss[np.isfinite(loss)]
    narrow = finite.size == 0 or finite.min() <= 0 or finite.max() < 2 * finite.min()
    if narrow:
        axes.margins(y=0.3)
        axes.locator_params(axis="y", nbins=5)
        return
    axes.set_yscale("log")
    decades = np.log10(finite.max() / finite.min())
    # Head room for the legend: a tenth of what is drawn, and never a flat axis.
    spare = 10 ** max(0.04 * decades, 0.02)
    axes.set_ylim(finite.min() / spare, finite.max() * spare**7)
    if decades > _WIDE_DECADES:
        mark_decades(axes.yaxis, most=6)
        return
    axes.yaxis.set_major_locator(
        LogLocator(subs=(1.0, 2.0, 5.0) if decades > 1 else (1, 2, 3, 4, 5, 7))
    )
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _seconds(axes: Axes, step: NDArray[np.float64], spent: NDArray[np.float64]) -> None:
    """Device time along the top: it need not grow evenly with the iterations."""
    if step.size < 2 or not spent[-1] > spent[0]:
        return
    ticks = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(spent[0], spent[-1])
    ticks = ticks[(ticks >= spent[0]) & (ticks <= spent[-1])]
    top = axes.secondary_xaxis("top")
    top.set_xticks(np.interp(ticks, spent, step), [f"{t:g}" for t in ticks])
    top.set_xlabel("time on the device (s)", color=MUTED, fontsize=8)
    top.tick_params(labelcolor=MUTED)
    top.spines["top"].set_visible(True)
