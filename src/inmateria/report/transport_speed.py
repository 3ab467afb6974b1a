"""How fast samples of an electron gas are solved: a table and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from inmateria.report.canvas import HIGH, LOW, draw
from inmateria.report.decades import mark_decades

COLUMNS = (
    "accuracy", "cores", "samples/s", "ms a sample", "rounds", "median error", "worst error",
    "modes", "corrections",
)  # fmt: skip


@dataclass(frozen=True)
class Timing:
    """A set of samples at one accuracy on so many cores.

    Attributes
    ----------
    accuracy : float
        That was asked for: error of the PLDOS over its maximum.
    cores, samples : int
    samples_per_s, slowest_per_s, fastest_per_s : float
        Of the middle, slowest and fastest round.
    median_error, worst_error : float
        Estimates of the samples themselves.
    modes, corrections : (least, most) of int
    """

    accuracy: float
    cores: int
    samples: int
    samples_per_s: float
    slowest_per_s: float
    fastest_per_s: float
    median_error: float
    worst_error: float
    modes: tuple[int, int]
    corrections: tuple[int, int]


def cells(timing: Timing) -> tuple[str, ...]:
    """A timing as text, in the order of `COLUMNS`."""
    return (
        f"{timing.accuracy:.0e}",
        str(timing.cores),
        f"{timing.samples_per_s:.3g}",
        f"{1e3 / timing.samples_per_s:.3g}",
        f"{timing.slowest_per_s:.3g} to {timing.fastest_per_s:.3g}",
        f"{timing.median_error:.1e}",
        f"{timing.worst_error:.1e}",
        _span(timing.modes),
        _span(timing.corrections),
    )


def draw_speed(timings: Sequence[Timing]) -> str:
    """Samples a second over accuracy, one line for each number of cores, inline SVG."""
    numbers = sorted({timing.cores for timing in timings})

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for number, colour, marker in zip(numbers, (LOW, HIGH), "os", strict=False):
            chosen = sorted((t for t in timings if t.cores == number), key=lambda t: t.accuracy)
            accuracy = [t.accuracy for t in chosen]
            rate = np.array([t.samples_per_s for t in chosen])
            spread = [
                rate - [t.slowest_per_s for t in chosen],
                [t.fastest_per_s for t in chosen] - rate,
            ]
            axes.errorbar(
                accuracy, rate, yerr=spread, color=colour, marker=marker, markersize=4,
                capsize=2.5, label=f"{number} core{'s' if number > 1 else ''}",
            )  # fmt: skip
        axes.set_xscale("log")
        axes.invert_xaxis()
        mark_decades(axes.xaxis)
        axes.tick_params(axis="x", which="minor", length=0)
        axes.set_ylim(0, 1.1 * max(t.fastest_per_s for t in timings))
        axes.set(xlabel="accuracy of the PLDOS, over its maximum", ylabel="samples a second")
        figure.legend(loc="outside lower center", ncols=2)

    rates = [t.samples_per_s for t in timings]
    return draw(
        paint,
        size=(5.6, 3.4),
        name="transport-speed",
        alt=f"Samples a second over accuracy: {min(rates):.3g} to {max(rates):.3g}, on "
        f"{' and '.join(map(str, numbers))} cores",
    )


def _span(numbers: tuple[int, int]) -> str:
    least, most = numbers
    return str(least) if least == most else f"{least} to {most}"
