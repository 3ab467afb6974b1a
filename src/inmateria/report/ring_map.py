"""Two classes in the plane, over the response of the device to its two inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from inmateria.report.canvas import HIGH, INK, LOW, SURFACE, draw

_N_SHADES = 6


def draw_ring_map(
    points: ArrayLike,
    target: ArrayLike,
    correct: ArrayLike,
    *,
    grid_v: tuple[ArrayLike, ArrayLike],
    response_na: ArrayLike,
    threshold_na: float,
    input_names: Sequence[str] = ("input 1", "input 2"),
) -> str:
    """Points by class and verdict on the response, with the threshold's contour.

    Parameters
    ----------
    points : (n_points, 2) array, V
    target, correct : (n_points,) arrays of bool
        Class, and whether the device put the point on its side.
    grid_v : two arrays, (n_x,) and (n_y,), V
    response_na : (n_y, n_x) array, nA
        Output over the plane at the found controls.
    threshold_na : float
        Current that divides the classes, nA.

    Returns
    -------
    str
        Inline SVG.
    """
    right = np.asarray(correct, dtype=bool)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        paint_ring_map(
            axes,
            points,
            target,
            right,
            grid_v=grid_v,
            response_na=response_na,
            threshold_na=threshold_na,
        )
        axes.set(xlabel=f"{input_names[0]} (V)", ylabel=f"{input_names[1]} (V)")
        marks = ring_legend(threshold_na, wrong=not right.all())
        figure.legend(handles=marks, loc="outside lower center", ncols=2)

    return draw(
        paint,
        size=(4.4, 4.8),
        name="ring-map",
        alt=(
            f"Ring task: {int(right.sum())} of {right.size} points on their side of the "
            f"threshold of {threshold_na:.3g} nA"
        ),
    )


def paint_ring_map(
    axes: Axes,
    points: ArrayLike,
    target: ArrayLike,
    correct: ArrayLike,
    *,
    grid_v: tuple[ArrayLike, ArrayLike],
    response_na: ArrayLike,
    threshold_na: float,
) -> None:
    """Draw the map on axes of your own; parameters as in `draw_ring_map`."""
    xy = np.asarray(points, dtype=np.float64)
    inside, right = np.asarray(target, dtype=bool), np.asarray(correct, dtype=bool)
    x, y = (np.asarray(axis, dtype=np.float64) for axis in grid_v)
    field = np.asarray(response_na, dtype=np.float64)
    axes.grid(visible=False)
    levels, colours = _shades(field, threshold_na)
    axes.contourf(x, y, field, levels=levels, colors=colours, antialiased=True)
    if field.min() < threshold_na < field.max():
        axes.contour(
            x, y, field, levels=[threshold_na], colors=[INK], linewidths=1.2, linestyles="solid"
        )
    for chosen, colour, marker in ((~inside, LOW, "o"), (inside, HIGH, "s")):
        for hit in (True, False):
            some = chosen & (right == hit)
            axes.scatter(
                xy[some, 0],
                xy[some, 1],
                s=22 if hit else 46,
                marker=marker if hit else "X",
                color=colour,
                edgecolors=SURFACE if hit else INK,
                linewidths=0.5 if hit else 0.9,
                zorder=3,
            )
    axes.set_aspect("equal")


def ring_legend(threshold_na: float, *, wrong: bool) -> list[Line2D]:
    """What the marks of a map mean; `wrong` where some point is on the wrong side."""
    marks = [
        Line2D([], [], marker="o", linestyle="", color=LOW, label="class 0"),
        Line2D([], [], marker="s", linestyle="", color=HIGH, label="class 1"),
        Line2D([], [], color=INK, label=f"threshold {threshold_na:.3g} nA"),
    ]
    if wrong:
        cross = Line2D([], [], marker="X", linestyle="", color=INK, label="wrong side")
        marks.insert(2, cross)
    return marks


def _shades(
    field: np.ndarray, threshold: float
) -> tuple[list[float], list[tuple[float, float, float, float]]]:
    """Bands below the threshold in one hue and above it in the other, paler near it."""
    low, high = min(float(field.min()), threshold), max(float(field.max()), threshold)
    down = np.linspace(low, threshold, _N_SHADES + 1) if low < threshold else np.array([threshold])
    up = np.linspace(threshold, high, _N_SHADES + 1)[1:] if high > threshold else np.array([])
    levels = np.concatenate([down, up])
    if levels.size < 2:
        levels = np.array([threshold - 0.5, threshold, threshold + 0.5])
    middles = (levels[:-1] + levels[1:]) / 2
    reach = max(high - threshold, threshold - low) or 1.0
    colours = [
        (*to_rgb(HIGH if m > threshold else LOW), 0.08 + 0.5 * abs(m - threshold) / reach)
        for m in middles
    ]
    levels[0] -= 1e-9 * reach
    levels[-1] += 1e-9 * reach
    return levels.tolist(), colours
