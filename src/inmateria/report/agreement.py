"""How far a device is from its surrogate: by current, in the order of time, before and after."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from inmateria.report.canvas import HIGH, INK, LOW, MUTED, draw


def draw_agreement(
    measured: ArrayLike,
    predicted: ArrayLike,
    again: ArrayLike,
    *,
    offset_na: float,
    gain: float,
    allowed_na: float,
    stretch: int,
    name: str = "agreement",
) -> str:
    """Measured minus predicted against the current, and in the order of the visit, inline SVG.

    Parameters
    ----------
    measured, predicted : (n_points,) arrays, nA
        In the order of the visit.
    again : (n_repeated,) array, nA
        Second visits to the first points.
    offset_na, gain : float
        Drawn as a line.
    allowed_na : float, nA
        Drawn as a band about the offset.
    stretch : int
        Points whose mean is drawn: slow noise.
    """
    guess = np.asarray(predicted, dtype=np.float64)
    away = np.asarray(measured, dtype=np.float64) - guess
    second = np.asarray(again, dtype=np.float64)
    second = second - guess[: len(second)]
    visit = np.arange(1, len(away) + 1)

    def paint(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.0, 1.25))
        for axes in (left, right):
            axes.axhspan(offset_na - allowed_na, offset_na + allowed_na, color=MUTED, alpha=0.16,
                         linewidth=0)  # fmt: skip
            axes.axhline(0, color=MUTED, linewidth=0.8)
        left.plot(guess, away, ".", color=LOW, markersize=4)
        ends = np.array([guess.min(), guess.max()])
        line = offset_na + (gain - 1) * (ends - guess.mean())
        left.plot(ends, line, color=INK, linewidth=1.0, dashes=(4, 3))
        left.set(xlabel="predicted current (nA)", ylabel="measured - predicted (nA)")
        left.set_title(f"offset {offset_na:+.2g} nA, gain {gain:.3f} (dashed)", loc="left")

        right.plot(visit, away, ".", color=LOW, markersize=4, label="first visit")
        right.plot(len(away) + 1 + np.arange(len(second)), second, "o", color=HIGH, markersize=3.2,
                   markerfacecolor="none", markeredgewidth=0.8, label="second visit")  # fmt: skip
        for k, mean in enumerate(_means(away, stretch)):
            right.plot([k * stretch + 1, min((k + 1) * stretch, len(away))], [mean, mean],
                       color=INK, linewidth=1.2)  # fmt: skip
        right.set(xlabel="points in the order of the visit")
        right.set_title(f"lines: means of {stretch}; band: allowed error", loc="left")
        right.legend(loc="upper left", ncols=2, borderaxespad=0.1, handletextpad=0.2)
        # room for the legend above the points
        low, high = right.get_ylim()
        right.set_ylim(low, high + 0.12 * (high - low))

    rms = float(np.sqrt(np.mean(away**2)))
    return draw(
        paint,
        size=(7.2, 3.2),
        name=name,
        alt=(
            f"Measured minus predicted current at {len(away)} random points: rms {rms:.3g} nA, "
            f"offset {offset_na:.3g} nA, gain {gain:.3f}, allowed error {allowed_na:.3g} nA"
        ),
    )


def draw_before_after(
    current: ArrayLike,
    before: ArrayLike,
    after: ArrayLike,
    *,
    name: str = "before-after",
) -> str:
    """What two surrogates leave unexplained, on the same axes, inline SVG.

    Parameters
    ----------
    current : (n_points,) array, nA
        Measured.
    before, after : (n_points,) arrays, nA
        Measured minus predicted, slow noise taken out.
    """
    measured = np.asarray(current, dtype=np.float64)
    away = [np.asarray(values, dtype=np.float64) for values in (before, after)]
    rms = [float(np.sqrt(np.mean(values**2))) for values in away]

    def paint(figure: Figure) -> None:
        panels = figure.subplots(1, 2, sharex=True, sharey=True)
        size = 3 if len(measured) < 1000 else 1.5
        for axes, values, label, value, colour in zip(
            panels, away, ("old surrogate", "refitted"), rms, (HIGH, LOW), strict=True
        ):
            axes.axhline(0, color=MUTED, linewidth=0.8)
            axes.plot(measured, values, ".", color=colour, markersize=size)
            axes.set(xlabel="measured current (nA)")
            axes.set_title(f"{label}: RMS {value:.3g} nA", loc="left")
        panels[0].set(ylabel="measured - predicted (nA)")

    return draw(
        paint,
        size=(7.2, 3.0),
        name=name,
        alt=(
            f"Measured minus predicted current at {measured.size} points, slow noise taken out: "
            f"rms {rms[0]:.3g} nA with the old surrogate, {rms[1]:.3g} nA with the refitted one"
        ),
    )


def _means(values: Sequence[float] | np.ndarray, length: int) -> list[float]:
    return [float(np.mean(values[k : k + length])) for k in range(0, len(values), length)]
