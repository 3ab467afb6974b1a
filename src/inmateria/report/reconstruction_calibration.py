"""Whether an uncertainty is as large as the errors: coverage, and error against uncertainty."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from inmateria.report.canvas import INK, LOW, MUTED, draw

# Pixels of one bin at least: rms errors then scatter by a few per cent.
IN_A_BIN = 200
MOST_BINS = 12


def draw_coverage(nominal: ArrayLike, observed: ArrayLike) -> str:
    """Share of pixels within an interval, against the share it is made for; inline SVG.

    Parameters
    ----------
    nominal, observed : (n_levels,) arrays
        Between 0 and 1.
    """
    asked, found = np.asarray(nominal, np.float64), np.asarray(observed, np.float64)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.9, dashes=(4, 3), label="perfect")
        axes.plot(asked, found, color=LOW, marker="o", markersize=4, label="on these samples")
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axes.set(xlabel="share of pixels meant to lie within", ylabel="share that does")
        axes.legend(loc="upper left")

    worst = int(np.argmax(np.abs(found - asked)))
    alt = (
        "Calibration: intervals of the uncertainty hold their share of pixels; the largest "
        f"difference is {found[worst]:.1%} where {asked[worst]:.0%} was meant"
    )
    return draw(paint, size=(3.6, 3.4), name="coverage", alt=alt)


def draw_error_over_uncertainty(sigma_mev: ArrayLike, error_mev: ArrayLike) -> str:
    """Rms error of pixels of like uncertainty, against that uncertainty; inline SVG.

    Parameters
    ----------
    sigma_mev, error_mev : (n_pixels,) arrays
    """
    sigma, error = np.asarray(sigma_mev, np.float64), np.asarray(error_mev, np.float64)
    order = np.argsort(sigma, kind="stable")
    bins = np.array_split(order, max(1, min(MOST_BINS, sigma.size // IN_A_BIN)))
    rms_sigma, rms_error = (
        np.array([np.sqrt((values[part] ** 2).mean()) for part in bins])
        for values in (sigma, error)
    )

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        high = 1.08 * float(max(rms_sigma.max(), rms_error.max())) or 1.0
        axes.plot([0, high], [0, high], color=INK, linewidth=0.9, dashes=(4, 3), label="perfect")
        axes.plot(
            rms_sigma, rms_error, color=LOW, marker="o", markersize=4,
            label=f"pixels, {len(bins)} groups",
        )  # fmt: skip
        axes.set(xlim=(0, high), ylim=(0, high), aspect="equal")
        axes.set(xlabel="uncertainty (meV)", ylabel="rms error (meV)")
        axes.legend(loc="upper left")
        axes.set_title("equal numbers of pixels in each", loc="left", color=MUTED)

    alt = (
        f"Rms error against uncertainty in {len(bins)} groups of pixels: from "
        f"{rms_error[0]:.3g} meV at {rms_sigma[0]:.3g} meV to {rms_error[-1]:.3g} meV at "
        f"{rms_sigma[-1]:.3g} meV"
    )
    return draw(paint, size=(3.6, 3.4), name="error-over-uncertainty", alt=alt)
