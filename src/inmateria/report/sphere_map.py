"""Ball against shell in three inputs: current against radius, and planes through the centre."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from numpy.typing import ArrayLike, NDArray

from inmateria.report.canvas import HIGH, INK, LOW, MUTED, draw
from inmateria.report.ring_map import paint_ring_map, ring_legend

_MOST_POINTS = 400
_NONE = np.empty((0, 2))


@dataclass(frozen=True, eq=False)
class Slice:
    """The response over two of the inputs, the third at its centre.

    Parameters
    ----------
    input_names : two terminal names
        Across and up.
    grid_v : two arrays, (n_x,) and (n_y,), V
    response_na : (n_y, n_x) array, nA
    centre_v, reach_v : two numbers each, V
        Middle of the inputs' levels, and how far radius 1 is from it.
    """

    input_names: tuple[str, str]
    grid_v: tuple[NDArray[np.float64], NDArray[np.float64]]
    response_na: NDArray[np.float64]
    centre_v: tuple[float, float]
    reach_v: tuple[float, float]


def draw_sphere_map(
    radius: ArrayLike,
    current_na: ArrayLike,
    target: ArrayLike,
    *,
    slices: Sequence[Slice],
    borders: tuple[float, float],
    threshold_na: float,
    name: str = "sphere-map",
) -> str:
    """Measured points by distance from the centre, and slices of the response, inline SVG.

    Parameters
    ----------
    radius : (n_points,) array
        Distance from the centre, 1 where the inputs reach their levels.
    current_na : (n_points,) array, nA
        As measured.
    target : (n_points,) array of bool
        True in the shell, which should give the higher current.
    slices : sequence of Slice
        Drawn with the circles between which no point lies.
    borders : (inner, outer)
        Where the ball ends and the shell begins, in the unit of `radius`.
    threshold_na : float
        Current that divides the classes, nA.
    """
    r, y = np.asarray(radius, dtype=np.float64), np.asarray(current_na, dtype=np.float64)
    shell = np.asarray(target, dtype=bool)
    right = (y > threshold_na) == shell

    def paint(figure: Figure) -> None:
        grid = figure.subplots(2, 2) if len(slices) == 3 else figure.subplots(1, len(slices) + 1)
        first, *others = np.ravel(grid)
        _radial(first, r, y, shell, right, borders=borders, threshold_na=threshold_na)
        for axes, part in zip(others, slices, strict=True):
            _plane(axes, part, borders=borders, threshold_na=threshold_na)
        marks = ring_legend(threshold_na, wrong=not right.all())
        marks[0].set_label("ball, ought to be low")
        marks[1].set_label("shell, ought to be high")
        figure.legend(handles=marks, loc="outside lower center", ncols=len(marks) if slices else 2)

    return draw(
        paint,
        size=(7.6, 7.4) if len(slices) == 3 else (max(4.4, 3.8 * (len(slices) + 1)), 4.0),
        name=name,
        alt=(
            f"Ball against shell: {int(right.sum())} of {right.size} points on their side of the "
            f"threshold of {threshold_na:.3g} nA"
        ),
    )


def _radial(
    axes: Axes,
    radius: NDArray[np.float64],
    current: NDArray[np.float64],
    shell: NDArray[np.bool_],
    right: NDArray[np.bool_],
    *,
    borders: tuple[float, float],
    threshold_na: float,
) -> None:
    """Every wrong point, and as many right ones as the eye can tell apart."""
    axes.axvspan(*borders, color=MUTED, alpha=0.12, linewidth=0)
    keep = ~right
    keep[np.flatnonzero(right)[:: max(1, -(-int(right.sum()) // _MOST_POINTS))]] = True
    for chosen, colour, marker in ((~shell, LOW, "o"), (shell, HIGH, "s")):
        some = chosen & right & keep
        axes.plot(radius[some], current[some], marker, color=colour, markersize=3,
                  alpha=0.75, markeredgewidth=0)  # fmt: skip
        some = chosen & ~right
        axes.plot(radius[some], current[some], "X", color=colour, markersize=6,
                  markeredgecolor=INK, markeredgewidth=0.7, zorder=3)  # fmt: skip
    axes.axhline(threshold_na, color=INK, linewidth=1.2)
    axes.set(xlabel="distance from the centre", ylabel="measured current (nA)", xlim=(0, None))
    axes.set_title(f"{right.mean():.1%} of all points right", loc="left", fontweight="bold")


def _plane(axes: Axes, part: Slice, *, borders: tuple[float, float], threshold_na: float) -> None:
    paint_ring_map(axes, _NONE, [], [], grid_v=part.grid_v, response_na=part.response_na,
                   threshold_na=threshold_na)  # fmt: skip
    for border, colour in zip(borders, (LOW, HIGH), strict=True):
        width, height = (2 * border * reach for reach in part.reach_v)
        axes.add_patch(
            Ellipse(part.centre_v, width, height, facecolor="none", edgecolor=colour,
                    linewidth=1.4, linestyle=(0, (4, 2)))
        )  # fmt: skip
    axes.set(xlabel=f"{part.input_names[0]} (V)", ylabel=f"{part.input_names[1]} (V)")
