"""How late each output is: the phase of its response against frequency."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from inmateria.report.canvas import HIGH, LOW, MUTED, TRACE, draw


def draw_tone_delay(
    frequency_hz: ArrayLike,
    phase_deg: ArrayLike,
    error_deg: ArrayLike,
    *,
    delay_s: ArrayLike,
    titles: Sequence[str],
    notes: Sequence[str],
    name: str = "tone-delay",
) -> str:
    """A small panel for each output, inline SVG.

    Parameters
    ----------
    frequency_hz : (n_tones,) array
    phase_deg, error_deg : (n_outputs, n_tones) arrays
        Of one terminal's tones, with the sign of its slope taken out; whole turns do not
        matter, they are drawn nearest to the line.
    delay_s : (n_outputs,) array
        What the line is of.
    titles, notes : n_outputs texts
        Output and terminal; the delay in words.
    """
    f = np.asarray(frequency_hz, dtype=np.float64)
    y, e = np.asarray(phase_deg, dtype=np.float64), np.asarray(error_deg, dtype=np.float64)
    tau = np.asarray(delay_s, dtype=np.float64)
    line = -360 * np.outer(tau, f)
    near = line + (y - line + 180) % 360 - 180
    n_columns = min(3, len(titles))
    n_rows = -(-len(titles) // n_columns)

    def paint(figure: Figure) -> None:
        panels = figure.subplots(n_rows, n_columns, sharex=True, squeeze=False)
        for o, title in enumerate(titles):
            axes = panels[o // n_columns, o % n_columns]
            axes.axhline(0, color=TRACE, linewidth=0.8)
            ends = np.array([0.0, 1.05 * f.max()])
            axes.plot(ends, -360 * tau[o] * ends, color=HIGH, linewidth=1.0, label="delay")
            axes.errorbar(f, near[o], yerr=e[o], fmt="o", color=LOW, markersize=3.5,
                          elinewidth=1.0, label="tones")  # fmt: skip
            axes.set_xlim(0, 1.05 * f.max())
            axes.set_title(title, loc="left", fontweight="bold")
            axes.set_title(notes[o], loc="right", color=MUTED, fontsize=8.5)
            axes.locator_params(nbins=5)
            if o + n_columns >= len(titles):
                axes.set_xlabel("frequency (Hz)")
                axes.tick_params(labelbottom=True)
        for o in range(len(titles), n_rows * n_columns):
            panels[o // n_columns, o % n_columns].set_axis_off()
        for row in panels:
            row[0].set_ylabel("phase (degrees)")

    width = {1: 4.4, 2: 6.8}.get(n_columns, 8.6)
    listed = "; ".join(f"{t}: {n}" for t, n in zip(titles, notes, strict=True))
    return draw(
        paint,
        size=(width, 0.8 + 1.9 * n_rows),
        name=name,
        alt=f"Phase of the response against frequency with the line of a delay: {listed}",
    )
