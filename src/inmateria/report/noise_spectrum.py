"""Noise of every output of a bench, and the lines of the mains in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from numpy.typing import ArrayLike

from inmateria.report.canvas import HIGH, INK, LOW, MUTED, draw
from inmateria.report.decades import mark_decades

_SEEN = 0.8  # of half the rate: behind the chain's low-pass there is nothing to look at
_LABELS = 4


def draw_noise_spectrum(
    frequency_hz: ArrayLike,
    density: ArrayLike,
    *,
    outputs: Sequence[str],
    rms_na: ArrayLike,
    lines: Sequence[Sequence[tuple[float, float]]],
    name: str = "noise-spectrum",
) -> str:
    """A small panel for each output on common axes, inline SVG.

    Parameters
    ----------
    frequency_hz : (n_frequencies,) array
        Evenly spaced from 0.
    density : (n_outputs, n_frequencies) array, nA^2/Hz
    outputs : sequence of str
    rms_na : (n_outputs,) array
    lines : for each output a sequence of (frequency in Hz, amplitude in nA)
        Of the mains; the strongest four are labelled.
    """
    f, s = np.asarray(frequency_hz, dtype=np.float64), np.asarray(density, dtype=np.float64)
    rms = np.asarray(rms_na, dtype=np.float64)
    n_columns = min(3, len(outputs))
    n_rows = -(-len(outputs) // n_columns)
    # The mean is taken out of each segment: the first two frequencies are too small.
    shown = (f >= 2 * f[1]) & (f < _SEEN * f[-1])
    seen = s[:, shown]
    heights = seen[seen > 0]
    low, high = (heights.min(), heights.max()) if heights.size else (1e-6, 1.0)

    def paint(figure: Figure) -> None:
        panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
        for o, output in enumerate(outputs):
            axes = panels[o // n_columns, o % n_columns]
            axes.plot(f[shown], np.where(seen[o] > 0, seen[o], np.nan), color=LOW, linewidth=0.9)
            axes.set(xscale="log", yscale="log")
            axes.set_ylim(0.3 * low, 8 * high)
            axes.set_title(output, loc="left", fontweight="bold")
            axes.set_title(f"{rms[o]:.2g} nA rms", loc="right", color=MUTED, fontsize=8.5)
            strongest = sorted(lines[o], key=lambda line: -line[1])[:_LABELS]
            for at, amplitude in lines[o]:
                top = s[o, round(at / f[1])]
                axes.plot([at], [top], "v", color=HIGH, markersize=4.5, zorder=3)
                if (at, amplitude) in strongest:
                    axes.annotate(
                        f"{at:.4g} Hz", (at, top), xytext=(0, 5), textcoords="offset points",
                        ha="center", fontsize=7.5, color=INK,
                    )  # fmt: skip
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.xaxis.set_minor_formatter(NullFormatter())
            mark_decades(axes.yaxis)
            if o + n_columns >= len(outputs):
                axes.set_xlabel("frequency (Hz)")
                axes.tick_params(labelbottom=True)
        for o in range(len(outputs), n_rows * n_columns):
            panels[o // n_columns, o % n_columns].set_axis_off()
        for row in panels:
            row[0].set_ylabel("density (nA²/Hz)")

    mains = [", ".join(f"{at:.4g} Hz" for at, _ in of) or "none" for of in lines]
    listed = "; ".join(
        f"{output} {rms[o]:.2g} nA rms, mains {mains[o]}" for o, output in enumerate(outputs)
    )
    width = {1: 4.4, 2: 6.4}.get(n_columns, 8.2)
    return draw(
        paint,
        size=(width, 0.8 + 2.2 * n_rows),
        name=name,
        alt=f"Noise spectrum of each output: {listed}",
    )
