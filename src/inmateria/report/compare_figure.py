"""Methods side by side: how often each succeeds, and how soon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import ArrayLike

from inmateria.report.canvas import HIGH, INK, LOW, MUTED, THIRD, draw

# Colour says where the gradient comes from (the device, a model, nowhere), dashes which
# method it is; each line also carries its name.
SOLID: tuple[float, ...] = ()
STYLES: dict[str, tuple[str, tuple[float, ...]]] = {
    "homodyne": (LOW, SOLID),
    "homodyne-sequential": (LOW, (5, 2)),
    "finite-difference": (LOW, (2, 1.5)),
    "spsa": (LOW, (6, 1.5, 1, 1.5)),
    "in-silico": (THIRD, SOLID),
    "physics-aware": (THIRD, (5, 2)),
    "genetic": (HIGH, SOLID),
    "cma-es": (HIGH, (5, 2)),
    "particle-swarm": (HIGH, (2, 1.5)),
}
OTHER = (INK, SOLID)
_LINE_GAP = 0.052
"""Least distance of two names beside the lines, as a share of the axis."""


def draw_rates(
    methods: Sequence[str],
    tasks: Sequence[str],
    successes: ArrayLike,
    runs: ArrayLike,
    *,
    name: str = "compare-rates",
) -> str:
    """Successes of each method on each task as a shaded table, inline SVG.

    Parameters
    ----------
    methods, tasks : sequences of str
    successes, runs : (n_methods, n_tasks) arrays
        A cell without runs stays empty.
    """
    won, total = np.asarray(successes, dtype=int), np.asarray(runs, dtype=int)
    n_methods, n_tasks = total.shape

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for i, j in np.ndindex(n_methods, n_tasks):
            if not total[i, j]:
                continue
            colour = STYLES.get(methods[i], OTHER)[0]
            share = won[i, j] / total[i, j]
            if share:
                # At most half strength, so that the ink on it can be read.
                box = Rectangle((j - 0.46, i - 0.46), 0.92, 0.92, color=colour, alpha=0.5 * share,
                                linewidth=0)  # fmt: skip
                axes.add_patch(box)
            axes.annotate(str(won[i, j]), (j, i), ha="center", va="center", fontsize=8,
                          color=INK if share else MUTED)  # fmt: skip
        axes.set_xlim(-0.5, n_tasks - 0.5)
        axes.set_ylim(n_methods - 0.5, -0.5)
        many = n_tasks > 4
        axes.set_xticks(range(n_tasks), tasks, rotation=50 if many else 0,
                        ha="right" if many else "center", rotation_mode="anchor")  # fmt: skip
        axes.set_yticks(range(n_methods), methods)
        axes.tick_params(length=0)
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        most = int(total.max(initial=0))
        axes.set_title(f"successes of {most} runs", loc="left")

    listed = "; ".join(
        f"{method} {int(won[i].sum())} of {int(total[i].sum())}" for i, method in enumerate(methods)
    )
    longest = max(map(len, tasks), default=0)
    height = 0.75 + 0.27 * n_methods + (0.055 * longest if n_tasks > 4 else 0.1)
    return draw(
        paint,
        size=(max(3.6, 1.9 + 0.4 * n_tasks), height),
        name=name,
        alt=f"Successes of each method on {', '.join(tasks)}: {listed}",
    )


def draw_solved(
    times: Mapping[str, ArrayLike],
    *,
    budget_s: float,
    title: str = "",
    name: str = "compare-solved",
) -> str:
    """Share of all runs solved against device time, one step line per method, inline SVG.

    Parameters
    ----------
    times : mapping of method to (n_runs,) array, s
        Device time to solution; infinite for a run that was not solved.
    budget_s : float, s
        Where the axis ends.
    """
    sorted_times = {m: np.sort(np.asarray(t, dtype=np.float64)) for m, t in times.items()}
    finite = np.concatenate([t[np.isfinite(t)] for t in sorted_times.values()] or [np.empty(0)])
    start = _decade_below(float(finite[finite > 0].min(initial=budget_s / 10)))
    start = min(start, budget_s / 2)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        ends: dict[str, float] = {}
        for method, values in sorted_times.items():
            colour, dashes = STYLES.get(method, OTHER)
            solved = values[np.isfinite(values)]
            x = np.concatenate([[start], np.maximum(solved, start), [budget_s]])
            y = np.concatenate([[0.0], np.arange(1, len(solved) + 1), [len(solved)]])
            y = y / max(len(values), 1)
            axes.step(x, y, where="post", color=colour, dashes=dashes or (None, None),
                      linewidth=1.3)  # fmt: skip
            ends[method] = float(y[-1])
        for method, at in _spread(ends).items():
            colour = STYLES.get(method, OTHER)[0]
            axes.annotate(method, (budget_s, ends[method]), xytext=(1.03, at), fontsize=7.5,
                          textcoords=axes.get_yaxis_transform(), va="center", color=colour,
                          arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.5,
                                      "shrinkA": 0, "shrinkB": 0},
                          annotation_clip=False)  # fmt: skip
        axes.set_xscale("log")
        axes.set_xlim(start, budget_s)
        axes.set_ylim(-0.02, 1.02)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
        axes.set(xlabel="device time (s)", ylabel="runs solved")
        if title:
            axes.set_title(title, loc="left", fontweight="bold")

    listed = ", ".join(
        f"{m} {np.isfinite(t).mean():.0%}" if len(t) else m for m, t in sorted_times.items()
    )
    return draw(
        paint,
        size=(6.4, 3.6),
        name=name,
        alt=f"Share of runs solved against device time, up to {budget_s:g} s: {listed}",
    )


def _spread(ends: Mapping[str, float]) -> dict[str, float]:
    """Heights for names so that none covers another, as near to the ends as that allows."""
    order = sorted(ends, key=lambda method: ends[method])
    at: dict[str, float] = {}
    for method in order:
        lowest = max(at.values(), default=-np.inf) + _LINE_GAP
        at[method] = max(ends[method], float(lowest))
    # Pushed above the frame together: shift down what stands too high, keeping the gaps.
    top = 1.02
    for method in reversed(order):
        at[method] = min(at[method], top)
        top = at[method] - _LINE_GAP
    return at


def _decade_below(value: float) -> float:
    """The nearest of 1, 2, 5 times a power of ten that is not above."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(power * max(step for step in (1.0, 2.0, 5.0) if step * power <= value * 1.000001))
