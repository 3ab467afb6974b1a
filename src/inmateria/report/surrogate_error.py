"""How far a surrogate is from what was measured."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from inmateria.report.canvas import INK, LOW, MUTED, draw


def draw_surrogate_error(
    measured: ArrayLike, predicted: ArrayLike, *, measured_label: str = "measured current (nA)"
) -> str:
    """Predicted against measured as a density, and the histogram of what is left.

    Parameters
    ----------
    measured, predicted : (n_points,) arrays, nA

    Returns
    -------
    str
        Inline SVG.
    """
    truth = np.asarray(measured, dtype=np.float64).ravel()
    guess = np.asarray(predicted, dtype=np.float64).ravel()
    residual = guess - truth
    rmse = float(np.sqrt(np.mean(residual**2)))
    spread = float(truth.std())
    share = f" ({rmse / spread:.1%} of the spread)" if spread > 0 else ""

    def paint(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, width_ratios=(1.0, 1.1))
        low, high = min(truth.min(), guess.min()), max(truth.max(), guess.max())
        pad = 0.03 * (high - low) or 1.0
        box = (low - pad, high + pad)
        # One hue of growing opacity reads on a light and on a dark page.
        shades = [(*to_rgb(LOW), 0.12), (*to_rgb(LOW), 1.0)]
        left.hexbin(
            truth,
            guess,
            gridsize=42,
            extent=(*box, *box),
            mincnt=1,
            bins="log",
            linewidths=0,
            cmap=LinearSegmentedColormap.from_list("density", shades),
        )
        left.plot(box, box, color=INK, linewidth=0.9, dashes=(4, 3))
        left.set(xlim=box, ylim=box, aspect="equal")
        left.set(xlabel=measured_label, ylabel="predicted current (nA)")
        left.set_title("darker: more points (log)", loc="left", color=MUTED)

        # The tails would squeeze the bulk into one bar: five RMSE either side.
        reach = 5 * rmse or 1.0
        right.hist(np.clip(residual, -reach, reach), bins=61, range=(-reach, reach), color=LOW)
        for edge in (-rmse, rmse):
            right.axvline(edge, color=INK, linewidth=0.9, dashes=(4, 3))
        right.set(xlabel="prediction error (nA)", ylabel="points")
        right.set_title(f"RMSE {rmse:.3g} nA{share}", loc="left")

    return draw(
        paint,
        size=(7.0, 3.3),
        name="surrogate-error",
        alt=(
            f"Surrogate against measurement at {truth.size} points: "
            f"root-mean-square error {rmse:.3g} nA{share}"
        ),
    )
