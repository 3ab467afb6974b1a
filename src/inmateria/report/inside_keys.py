"""What the panels of one figure share: levels, colours, scales, and the keys that show them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import (
    BoundaryNorm,
    Colormap,
    LinearSegmentedColormap,
    ListedColormap,
    Normalize,
)
from matplotlib.patches import PathPatch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from inmateria.report.arrows import arrows, round_down
from inmateria.report.canvas import INK
from inmateria.report.inside_state import Inside
from inmateria.report.outlines import outline

FloatArray = NDArray[np.float64]

# The map keeps its light colours on a dark page, so what lies on it may not turn with the page.
ON_MAP = "#15181c"
_PAPER = "#ffffff"
LANDSCAPE = LinearSegmentedColormap.from_list(
    "landscape", ["#7da3c6", "#bcd1e2", "#f4f3ef", "#ead7b8", "#d6b07a"]
)
_HOLES = LinearSegmentedColormap.from_list("holes", [_PAPER, "#7cc4a6", "#00563c"])
_HOLES_CHANGE = LinearSegmentedColormap.from_list(
    "change of holes", ["#5b1f78", "#b791c9", _PAPER, "#7cc4a6", "#00563c"]
)

SPAN = 1.66  # half a panel's width, in radii
_WIDEST = 0.075  # arrow of the largest current, in radii
_HEAD = 0.045  # the smallest arrowhead, in radii


@dataclass(frozen=True)
class Look:
    """What a figure's panels share.

    Attributes
    ----------
    levels_ev : (n_levels,) array, eV
        Of the landscape; between them `colours`, one fewer.
    landscape, holes : Normalize
        Energies (eV) and occupations to the range of their colours.
    holes_map : Colormap
    largest_na : float, nA
        Largest current of any bond in any state: the widest arrow.
    decimals : int
        Most that a current is written with.
    change : bool
        Whether differences are shown.
    """

    levels_ev: FloatArray
    landscape: Normalize
    colours: FloatArray
    holes: Normalize
    holes_map: Colormap
    largest_na: float
    decimals: int
    change: bool


def shared_look(inside: Inside, *, change: bool) -> Look:
    """Scales that hold all states of an `Inside`."""
    energies = np.concatenate([inside.energy_ev.ravel(), inside.site_ev.ravel()])
    reach = max(float(np.abs(energies).max()), 1e-6)
    low, high = float(energies.min()), float(energies.max())
    if high - low < 1e-3 * reach:
        low, high = low - reach, high + reach
    largest = max(
        float(np.abs(inside.between_na).max(initial=0)), float(np.abs(inside.into_na).max())
    )
    most = float(np.abs(inside.electrode_na).max())
    holes = max(float(np.abs(inside.occupation).max()), 0.1) if change else 1.0
    levels = np.asarray(MaxNLocator(nbins=18, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
    landscape = Normalize(-reach, reach)
    return Look(
        levels_ev=levels,
        landscape=landscape,
        colours=np.asarray(LANDSCAPE(landscape((levels[:-1] + levels[1:]) / 2))),
        holes=Normalize(-holes if change else 0.0, holes),
        holes_map=_HOLES_CHANGE if change else _HOLES,
        largest_na=largest or 1.0,
        decimals=int(np.clip(3 - np.floor(np.log10(max(most, 1e-9))), 0, 5)),
        change=change,
    )


def current_text(na: float, look: Look) -> str:
    """A current with three digits, but none below a thousandth of the largest current."""
    own = 2 - int(np.floor(np.log10(max(abs(na), 1e-9))))
    return signed(na, int(np.clip(own, 0, look.decimals)))


def signed(value: float, decimals: int) -> str:
    """With a sign that is a minus, and none at zero."""
    text = f"{value:+.{decimals}f}".replace("-", "\N{MINUS SIGN}")
    return text if any(digit in text for digit in "123456789") else text[1:]


def current_arrows(
    start: FloatArray, stop: FloatArray, current_na: FloatArray, *, radius_nm: float, look: Look
) -> PathPatch:
    """Arrows, (n, 2) nm to (n, 2) nm, as wide as their currents, (n,) nA."""
    width = _WIDEST * radius_nm * current_na / look.largest_na
    shapes = arrows(start, stop, width, least_head=_HEAD * radius_nm)
    # The thin edge keeps the smallest currents visible.
    return PathPatch(outline(list(shapes)), linewidth=0.4)


def landscape_key(axes: Axes, look: Look) -> None:
    """The bar of energies."""
    colours = ListedColormap(list(look.colours))
    steps = ScalarMappable(BoundaryNorm(look.levels_ev, colours.N), colours)
    _bar(axes, steps, "potential energy of a hole (eV)", look)


def holes_key(axes: Axes, look: Look) -> None:
    """The bar of occupations."""
    # Few steps: a continuous bar would be drawn as a bitmap.
    colours = ListedColormap(list(look.holes_map(np.linspace(0.0, 1.0, 40))))
    _bar(axes, ScalarMappable(look.holes, colours), "mean occupation of an acceptor", look)


def _bar(axes: Axes, mappable: ScalarMappable, label: str, look: Look) -> None:
    axes.set_axis_off()
    bar = axes.figure.colorbar(
        mappable, cax=axes.inset_axes((0.06, 0.62, 0.88, 0.2)), orientation="horizontal",
        ticks=MaxNLocator(5), drawedges=False,
    )  # fmt: skip
    bar.set_label(f"change of {label}" if look.change else label, fontsize=8.5)
    bar.ax.tick_params(labelsize=8, length=3, width=0.6)
    bar.ax.minorticks_off()
    bar.outline.set_linewidth(0.4)


def current_key(axes: Axes, inside: Inside, look: Look, *, share: float) -> None:
    """Arrows and a length at the panels' own scale."""
    radius = inside.plan.radius_nm
    half = SPAN * radius * share  # of what a panel shows in its width
    axes.set(xlim=(-half, half), ylim=(-0.25 * radius, 0.25 * radius), aspect="equal")
    axes.set_axis_off()
    most = round_down(look.largest_na)
    length = round_down(0.4 * half)
    y, reach = 0.12 * radius, 0.2 * half
    for x, na in ((-0.72 * half, most), (-0.22 * half, most / 5)):
        ends = np.array([[x - reach, y]]), np.array([[x + reach, y]])
        arrow = current_arrows(*ends, np.array([na]), radius_nm=radius, look=look)
        arrow.set(facecolor=INK, edgecolor=INK)
        axes.add_patch(arrow)
        _name(axes, x, f"{na:g} nA")
    x = 0.32 * half
    axes.plot([x - length / 2, x + length / 2], [y, y], color=INK, linewidth=1.2, marker="|")
    _name(axes, x, f"{length:g} nm")
    if len(inside.plan.donor_xy_nm):
        axes.plot(0.76 * half, y, "+", color=INK, markersize=6, markeredgewidth=1.4)
        _name(axes, 0.76 * half, "donor")


def _name(axes: Axes, x: float, text: str) -> None:
    low, high = axes.get_ylim()
    axes.text(x, low + 0.42 * (high - low), text, ha="center", va="top", fontsize=8)
