"""Output current against each terminal's voltage, the others held."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from inmateria.report.canvas import HIGH, LOW, draw


def draw_iv_curves(
    voltage: ArrayLike,
    current: ArrayLike,
    *,
    names: Sequence[str],
    predicted: ArrayLike | None = None,
    back: ArrayLike | None = None,
    noise: ArrayLike | None = None,
    name: str = "iv-curves",
) -> str:
    """One small panel per terminal on a common current axis, inline SVG.

    Parameters
    ----------
    voltage : (n_terminals, n_points) array, V
        Row i is swept on terminal i while the others stay at rest.
    current : (n_terminals, n_points) array, nA
    names : sequence of str
        Of the terminals.
    predicted : (n_terminals, n_points) array, nA, optional
        A surrogate's current at the same voltages, drawn dashed.
    back : (n_terminals, n_points) array, nA, optional
        Current on the way back down, where `current` is that on the way up.
    noise : (n_terminals,) array, nA, optional
        Standard error of each point, drawn as a band of two about both ways.
    """
    volts, amps = np.asarray(voltage, dtype=np.float64), np.asarray(current, dtype=np.float64)
    guess = None if predicted is None else np.asarray(predicted, dtype=np.float64)
    down = None if back is None else np.asarray(back, dtype=np.float64)
    band = np.zeros(len(names)) if noise is None else np.asarray(noise, dtype=np.float64)
    n_columns = min(4, len(names))
    n_rows = -(-len(names) // n_columns)

    def paint(figure: Figure) -> None:
        panels = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False)
        for i, terminal in enumerate(names):
            axes = panels[i // n_columns, i % n_columns]
            axes.plot(volts[i], amps[i], color=LOW, label="device" if down is None else "rising")
            if down is not None:
                axes.plot(volts[i], down[i], color=HIGH, linewidth=1.0, label="falling")
            for way, colour in ((amps, LOW), (down, HIGH)):
                if way is not None and band[i] > 0:
                    low, high = way[i] - 2 * band[i], way[i] + 2 * band[i]
                    axes.fill_between(volts[i], low, high, color=colour, alpha=0.18, linewidth=0)
            if guess is not None:
                axes.plot(volts[i], guess[i], color=HIGH, dashes=(3, 2), label="surrogate")
            axes.set_title(terminal, loc="left", fontweight="bold")
            axes.locator_params(nbins=4)
            if i + n_columns >= len(names):
                axes.set_xlabel("voltage (V)")
        for i in range(len(names), n_rows * n_columns):
            panels[i // n_columns, i % n_columns].set_axis_off()
        for row in panels:
            row[0].set_ylabel("current (nA)")
        if guess is not None or down is not None:
            handles, labels = panels[0, 0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside lower center", ncols=2)

    return draw(
        paint,
        size=(7.0, 1.0 + 1.65 * n_rows),
        name=name,
        alt=(
            f"Output current against the voltage of each of {len(names)} terminals; "
            f"from {amps.min():.3g} nA to {amps.max():.3g} nA"
        ),
    )
