"""An earlier measurement of the same points against one of today."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from inmateria.report.canvas import HIGH, LOW, MUTED, TRACE, draw

_BAND = 2.0


def draw_stability(
    then_na: ArrayLike,
    now_na: ArrayLike,
    *,
    offset_na: float,
    expected_na: float,
    output: str,
    verdict: str,
    name: str = "stability",
) -> str:
    """Levels now against then, and their change beside what noise makes of it, inline SVG.

    Parameters
    ----------
    then_na, now_na : (n_points,) arrays
    offset_na : float
        What all points have in common, taken off in the right panel.
    expected_na : float
        Standard deviation of a change by noise.
    output, verdict : str
    """
    x, y = np.asarray(then_na, dtype=np.float64), np.asarray(now_na, dtype=np.float64)
    change = y - x - offset_na
    beyond = np.abs(change) > _BAND * expected_na
    ends = np.array([min(x.min(), y.min()), max(x.max(), y.max())])
    room = 0.06 * np.array([-1, 1]) * max(float(np.ptp(ends)), 1e-9)

    def paint(figure: Figure) -> None:
        levels, changes = figure.subplots(1, 2, width_ratios=(1.0, 1.5))
        levels.plot(ends + room, ends + room, color=TRACE, linewidth=1.0)
        levels.plot(ends + room, ends + room + offset_na, color=HIGH, linewidth=1.0,
                    dashes=(3, 2))  # fmt: skip
        levels.plot(x, y, "o", color=LOW, markersize=3.5)
        levels.set(xlabel="current then (nA)", ylabel="current now (nA)")
        levels.set_title(output, loc="left", fontweight="bold")
        levels.locator_params(nbins=5)
        changes.axhspan(-_BAND * expected_na, _BAND * expected_na, color=TRACE, alpha=0.22,
                        linewidth=0, label=f"± {_BAND:g} standard errors")  # fmt: skip
        changes.axhline(0, color=TRACE, linewidth=0.8)
        changes.vlines(x, 0, change, color=LOW, linewidth=0.8)
        changes.plot(x[~beyond], change[~beyond], "o", color=LOW, markersize=3.5)
        changes.plot(x[beyond], change[beyond], "o", color=HIGH, markersize=4.5)
        changes.set(xlabel="current then (nA)", ylabel="change (nA)")
        largest = 1.15 * max(float(np.abs(change).max()), 1.3 * _BAND * expected_na, 1e-12)
        changes.set_ylim(-largest, largest)
        changes.set_title(f"{verdict}; {offset_na:+.2g} nA in common, taken off", loc="left",
                          color=MUTED, fontsize=8.5)  # fmt: skip
        figure.legend(handles=changes.get_legend_handles_labels()[0], loc="outside lower right")

    return draw(
        paint,
        size=(7.2, 3.0),
        name=name,
        alt=(
            f"Currents of {output} at {x.size} points then and now: {verdict}; change "
            f"{np.sqrt(np.mean(change**2)):.2g} nA rms without {offset_na:+.2g} nA in common, "
            f"noise makes {expected_na:.2g} nA"
        ),
    )
