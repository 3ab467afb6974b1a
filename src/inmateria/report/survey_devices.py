"""One point a device: how much current flows, and how often an input lowers it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import ArrayLike

from inmateria.report.canvas import HIGH, INK, LOW, draw

MANY = 30


def draw_devices(
    labels: Sequence[str],
    scale_na: ArrayLike,
    ndr: ArrayLike,
    *,
    inputs: Sequence[str],
    name: str = "devices",
) -> str:
    """Current scale and share of falling sweeps for each device, inline SVG.

    Parameters
    ----------
    labels : sequence of str
        Of the devices; with more than 30 of them only some are written.
    scale_na : (n_devices,) array, nA
    ndr : (n_devices, 2) array, 0 to 1
        Per input.
    inputs : two names
    """
    scale, share = np.asarray(scale_na, dtype=np.float64), np.asarray(ndr, dtype=np.float64)
    x = np.arange(len(labels))

    def paint(figure: Figure) -> None:
        above, below = figure.subplots(2, 1, sharex=True)
        above.vlines(x, _bottom(scale), np.maximum(scale, _bottom(scale)), color=LOW, linewidth=1)
        above.plot(x, scale, "o", color=LOW, markersize=4)
        above.set_yscale("log")
        above.set_ylim(bottom=_bottom(scale))
        above.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        if np.median(scale) > 0:
            above.axhline(float(np.median(scale)), color=INK, linewidth=0.9, dashes=(4, 3))
        above.set_ylabel("current scale (nA)")
        above.set_title(f"median {np.median(scale):.3g} nA", loc="right", fontsize=8.5)
        for i, (colour, marker) in enumerate(((LOW, "o"), (HIGH, "D"))):
            below.plot(x, share[:, i], marker, color=colour, markersize=4, label=inputs[i],
                       markerfacecolor=colour if i == 0 else "none")  # fmt: skip
        below.set_ylim(-0.03, max(0.1, 1.1 * float(share.max(initial=0.0))))
        below.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
        below.set_ylabel("falling sweeps")
        below.legend(loc="best", ncols=2)
        if len(labels) <= MANY:
            below.set_xticks(x, labels)
            below.tick_params(axis="x", labelrotation=90 if max(map(len, labels)) > 3 else 0)
        else:
            below.xaxis.set_major_locator(MaxNLocator(integer=True))
            below.xaxis.set_major_formatter(
                FuncFormatter(lambda k, _: labels[int(k)] if 0 <= int(k) < len(labels) else "")
            )
        below.set_xlabel("seed of the device")
        below.set_xlim(-0.7, len(labels) - 0.3)

    listed = (
        f"current scale {scale.min():.3g} nA to {scale.max():.3g} nA, falling sweeps "
        f"{share.mean():.1%} on average"
    )
    return draw(paint, size=(7.0, 3.9), name=name, alt=f"{len(labels)} devices: {listed}")


def _bottom(scale: np.ndarray) -> float:
    least = float(scale[scale > 0].min(initial=1.0))
    return float(10.0 ** np.floor(np.log10(0.8 * least)))
