"""What the output's spectrum looks like while tones run on the controls."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from numpy.typing import ArrayLike, NDArray

from inmateria.report.canvas import HIGH, INK, LOW, MUTED, THIRD, TRACE, draw
from inmateria.report.decades import mark_decades

_MARGIN_BINS = 6
_SEEN = 0.8


def draw_tone_spectrum(
    frequency_hz: ArrayLike,
    density: ArrayLike,
    *,
    tones_hz: ArrayLike,
    controls: Sequence[str],
    noise: ArrayLike,
    name: str = "tone-spectrum",
) -> str:
    """The whole spectrum, and the neighbourhood of the tones beside it, inline SVG.

    Parameters
    ----------
    frequency_hz : (n_frequencies,) array
        Evenly spaced.
    density : (n_frequencies,) array, nA^2/Hz
        One-sided.
    tones_hz : (n_controls,) array
        What each control carries; controls that take turns may share one.
    controls : terminal names
    noise : (n_controls,) array, nA^2/Hz
        Density beside each tone, where nothing is played.
    """
    f, s = np.asarray(frequency_hz, dtype=np.float64), np.asarray(density, dtype=np.float64)
    tones, floor = np.asarray(tones_hz, dtype=np.float64), np.asarray(noise, dtype=np.float64)
    resolution = float(f[1] - f[0])
    height = s[_nearest(f, tones)]
    harmonics = 2 * tones[2 * tones < f[-1]]

    def paint(figure: Figure) -> None:
        whole, close = figure.subplots(1, 2, width_ratios=(1.0, 1.15), sharey=True)
        shown = f >= 2 * resolution
        whole.plot(f[shown], s[shown], color=TRACE, linewidth=0.8)
        whole.set(xscale="log", yscale="log", xlabel="frequency (Hz)")
        whole.set_ylabel("density of the output (nA²/Hz)")
        whole.set_xlim(2 * resolution, f[-1])

        spare = max(_MARGIN_BINS * resolution, 0.06 * np.ptp(tones))
        near = (f >= tones.min() - spare) & (f <= tones.max() + spare)
        close.plot(f[near], s[near], color=TRACE, linewidth=0.9)
        whole.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        whole.xaxis.set_minor_formatter(NullFormatter())
        mark_decades(whole.yaxis)
        close.set(xlabel="frequency (Hz)")
        close.set_xlim(tones.min() - spare, tones.max() + spare)
        for axes in (whole, close):
            _mark(axes, tones, height, floor)
        whole.plot(harmonics, s[_nearest(f, harmonics)], "d", color=THIRD, markersize=4,
                   markerfacecolor="none", label="twice a tone", zorder=3)  # fmt: skip
        for tone in np.unique(tones):
            here = [k for k in range(tones.size) if tones[k] == tone]
            close.annotate(
                " ".join(controls[k] for k in here),
                (tone, height[here].max()),
                xytext=(0, 5),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                color=INK,
            )
        # Near half the rate the chain's low-pass leaves nothing to look at.
        inside = s[shown & (s > 0) & (f < _SEEN * f[-1])]
        top = max(float(height.max()), float(inside.max()))
        whole.set_ylim(0.3 * float(inside.min()), 8 * top)
        whole.set_title("all of it", loc="left", color=MUTED, fontsize=8.5)
        close.set_title("at the tones", loc="left", color=MUTED, fontsize=8.5)
        figure.legend(
            handles=whole.get_legend_handles_labels()[0], loc="outside lower center", ncols=3
        )

    above = 10 * np.log10(height / floor)
    listed = ", ".join(
        f"{control} {tone:g} Hz {up:.0f} dB above the noise"
        for control, tone, up in zip(controls, tones, above, strict=True)
    )
    return draw(paint, size=(8.2, 3.4), name=name, alt=f"Spectrum of the output: {listed}")


def _mark(
    axes: Axes,
    tones: NDArray[np.float64],
    height: NDArray[np.float64],
    floor: NDArray[np.float64],
) -> None:
    """Tones with their stems down to the noise beside them."""
    axes.vlines(tones, floor, height, color=LOW, linewidth=0.9)
    axes.plot(tones, height, "o", color=LOW, markersize=4.5, zorder=3, label="tone of a control")
    axes.plot(tones, floor, "_", color=HIGH, markersize=9, markeredgewidth=1.8, zorder=3,
              label="noise beside it")  # fmt: skip


def _nearest(grid: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.intp]:
    """Positions on an even grid."""
    return np.asarray(np.rint((wanted - grid[0]) / (grid[1] - grid[0])), dtype=np.intp)
