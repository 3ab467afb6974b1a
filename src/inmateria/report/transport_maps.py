"""Maps over an electron gas: disorder potential, PLDOS, scanning gate.

A map is a picture of at most `MOST_PIXELS` on its longer side inside the SVG, everything
around it is drawn. Signed quantities fade to nothing at zero, so that they lie on a
light and on a dark page alike; the PLDOS has no sign and its colours are its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.transforms import offset_copy
from numpy.typing import ArrayLike, NDArray

from inmateria.report.canvas import HIGH, INK, LOW, draw

FloatArray = NDArray[np.float64]

MOST_PIXELS = 256
# The PLDOS is a few times its mean along branches and ten times that in a few spots.
SHOWN_SHARE = 0.995
# A strong tip in front of a lead does far more than anywhere else.
SHOWN_GATE = 0.98
_BOX_IN = (3.95, 3.2)
# Left, bottom, right and top of the map: labels and leads, and the key on the right.
_MARGIN_IN = (0.72, 0.46, 1.2, 0.3)
_LEAD_POINTS = 5.0
_SHADES = 100


@dataclass(frozen=True)
class Plan:
    """Where the sample and its leads are.

    Parameters
    ----------
    length_nm, width_nm : float
        n_x and n_y times the spacing.
    spacing_nm : float
        Site (i, j) is at (i, j) times it.
    source_nm, drain_nm : (first, last) of float
        What each covers of the left and of the right edge.
    """

    length_nm: float
    width_nm: float
    spacing_nm: float
    source_nm: tuple[float, float]
    drain_nm: tuple[float, float]

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top, half a site beyond the outer ones, nm."""
        half = self.spacing_nm / 2
        return -half, self.length_nm - half, -half, self.width_nm - half


def draw_potential_map(potential_mev: ArrayLike, plan: Plan) -> str:
    """Disorder potential, inline SVG; red where it repels electrons.

    Parameters
    ----------
    potential_mev : (n_x, n_y) array, meV
    plan : Plan
    """
    values = np.asarray(potential_mev, dtype=np.float64)
    return draw_map(
        values,
        plan,
        name="potential-map",
        label="potential (meV)",
        alt=f"Map of the disorder potential, {values.min():.3g} to {values.max():.3g} meV, "
        f"rms {values.std():.3g} meV",
    )


def draw_pldos_map(
    pldos: ArrayLike,
    plan: Plan,
    *,
    name: str = "pldos-map",
    top: float | None = None,
    most_pixels: int = MOST_PIXELS,
) -> str:
    """PLDOS of the source's modes, inline SVG.

    Parameters
    ----------
    pldos : (n_x, n_y) array, 1/t per site
    name : str
        Unique on a page.
    top : float, optional
        Brightest value that is told apart; by default from `brightest(pldos)`.
    most_pixels : int
        On the longer side; fewer where a page has many maps.
    """
    values = np.asarray(pldos, dtype=np.float64)
    limit = brightest(values) if top is None else top
    return draw_map(
        values,
        plan,
        name=name,
        label="PLDOS (1/t per site)",
        limit=limit,
        signed=False,
        most_pixels=most_pixels,
        alt=f"Map of the partial local density of states, at most {values.max():.3g} per t and "
        f"site, colours up to {limit:.3g}",
    )


def draw_gate_map(
    change: ArrayLike, plan: Plan, *, tip_nm: tuple[ArrayLike, ArrayLike], tip_width_nm: float
) -> str:
    """Change of the transmission over the position of a tip, inline SVG.

    Parameters
    ----------
    change : (n_tip_x, n_tip_y) array
    tip_nm : two arrays, (n_tip_x,) and (n_tip_y,), nm
        Positions, equally spaced.
    tip_width_nm : float
        Drawn as a bar, four of them long.
    """
    values = np.asarray(change, dtype=np.float64)
    x, y = (np.asarray(axis, dtype=np.float64) for axis in tip_nm)

    def bar(axes: Axes) -> None:
        left, _, low, high = plan.box
        at = low + 0.06 * (high - low)
        start = left + 0.04 * plan.length_nm
        axes.plot([start, start + 4 * tip_width_nm], [at, at], color=INK, linewidth=2.0)
        axes.text(
            start, at + 0.02 * (high - low), f"{4 * tip_width_nm:g} nm, 4 tip widths",
            ha="left", va="bottom", fontsize=7.5,
        )  # fmt: skip

    return draw_map(
        values,
        plan,
        name="gate-map",
        label="change of T",
        limit=float(np.quantile(np.abs(values), SHOWN_GATE)) or None,
        edges=(*_edges(x, plan.spacing_nm), *_edges(y, plan.spacing_nm)),
        decorate=bar,
        alt=f"Scanning-gate map: the transmission changes by {values.min():+.3g} to "
        f"{values.max():+.3g} with the position of the tip",
    )


def brightest(pldos: ArrayLike) -> float:
    """The value that all but the brightest half per cent of sites stay below, 1/t."""
    values = np.asarray(pldos, dtype=np.float64)
    return float(np.quantile(values, SHOWN_SHARE)) or float(values.max()) or 1.0


def draw_map(
    values: FloatArray,
    plan: Plan,
    *,
    name: str,
    label: str,
    alt: str,
    limit: float | None = None,
    signed: bool = True,
    most_pixels: int = MOST_PIXELS,
    edges: tuple[float, float, float, float] | None = None,
    decorate: Callable[[Axes], None] | None = None,
) -> str:
    """A map in the sample's frame with its key, inline SVG.

    Parameters
    ----------
    values : (n_x, n_y) array
        Over the whole sample, or over `edges`; on sites or coarser pixels.
    plan : Plan
    name : str
        Unique on a page.
    label : str
        Of the key, with the unit.
    alt : str
        What it shows, for those who cannot see it.
    limit : float, optional
        Where the colours end; by default the largest modulus.
    signed : bool
        Colours that fade to nothing at zero, for both signs; else a glow from zero up.
    most_pixels : int
        On the longer side.
    edges : (left, right, bottom, top), optional
        nm; by default the sample's.
    decorate : callable, optional
        Draws on top.
    """
    reach = float(np.abs(values).max()) if limit is None else limit
    reach = reach or 1.0
    colours = _fading if signed else _glowing
    shown = _coarsen(values, most_pixels) / reach
    beyond = float((np.abs(values) > reach).mean())

    def paint(figure: Figure) -> None:
        # Every margin is known: a layout engine would leave the key out of its sums.
        figure.set_layout_engine("none")
        axes = figure.add_axes((margins[0], margins[1], *inner))
        axes.grid(visible=False)
        axes.imshow(
            colours(shown.T), origin="lower", extent=edges or plan.box, interpolation="none"
        )
        left, right, low, high = plan.box
        axes.set(xlim=(left, right), ylim=(low, high), aspect="equal")
        axes.set(xlabel="x (nm)", ylabel="y (nm)")
        axes.spines[["top", "right"]].set_visible(True)
        axes.tick_params(pad=_LEAD_POINTS + 2, length=0)
        axes.tick_params(axis="x", pad=3)
        _lead(axes, figure, left, plan.source_nm, -1.0, LOW)
        _lead(axes, figure, right, plan.drain_nm, 1.0, HIGH)
        axes.set_title("source", loc="left", color=LOW, fontsize=8.5, pad=4)
        axes.set_title("drain", loc="right", color=HIGH, fontsize=8.5, pad=4)
        if decorate is not None:
            decorate(axes)
        _bar(axes, reach, label, colours, signed=signed, beyond=beyond)

    scale = min(_BOX_IN[0] / plan.length_nm, _BOX_IN[1] / plan.width_nm)
    box = max(scale * plan.length_nm, 1.0), max(scale * plan.width_nm, 1.2)
    left_in, bottom_in, right_in, top_in = _MARGIN_IN
    size = left_in + box[0] + right_in, bottom_in + box[1] + top_in
    margins = left_in / size[0], bottom_in / size[1]
    inner = box[0] / size[0], box[1] / size[1]
    return draw(paint, size=size, name=name, alt=alt)


def _lead(
    axes: Axes, figure: Figure, x_nm: float, rows_nm: tuple[float, float], side: float, colour: str
) -> None:
    """A lead as a bar along the outside of the edge."""
    shift = side * (_LEAD_POINTS / 2 + 0.5)
    axes.plot(
        [x_nm, x_nm], rows_nm, color=colour, linewidth=_LEAD_POINTS, solid_capstyle="butt",
        clip_on=False, transform=offset_copy(axes.transData, figure, x=shift, units="points"),
    )  # fmt: skip


def _bar(
    axes: Axes,
    reach: float,
    label: str,
    colours: Callable[[FloatArray], FloatArray],
    *,
    signed: bool,
    beyond: float,
) -> None:
    """The key of the colours, with the share of values that go on beyond it and arrows there."""
    low = -1.0 if signed else 0.0
    bar = axes.inset_axes((1.07, 0.0, 0.035, 1.0))
    bar.grid(visible=False)
    ramp = colours(np.linspace(low, 1.0, 128)[:, None])
    bar.imshow(
        ramp, origin="lower", extent=(0, 1, low * reach, reach), aspect="auto", interpolation="none"
    )
    bar.set(ylim=(low * reach, reach), xticks=[], ylabel=label)
    bar.spines[["top", "right"]].set_visible(True)
    bar.yaxis.set_label_position("right")
    bar.yaxis.tick_right()
    if beyond:
        for marker, end in (("^", 1.025), ("v", -0.025))[: 1 + signed]:
            bar.plot(
                [0.5], [end], marker=marker, color=INK, markersize=4, clip_on=False,
                transform=bar.transAxes,
            )  # fmt: skip
        word = "beyond" if signed else "above"
        bar.set_title(f"  {beyond:.1%} {word}", loc="left", x=1.0, fontsize=7.5, pad=4)


def _fading(share: FloatArray) -> FloatArray:
    """Signed shares of the range as colours that fade to nothing at zero."""
    colour = np.empty((*share.shape, 4))
    colour[..., :3] = np.where((share > 0)[..., None], to_rgb(HIGH), to_rgb(LOW))
    colour[..., 3] = np.clip(np.abs(share), 0, 1)
    return colour


def _glowing(share: FloatArray) -> FloatArray:
    # More shades than a screen tells apart would only make the file longer.
    return np.asarray(colormaps["inferno"](np.round(_SHADES * np.clip(share, 0, 1)) / _SHADES))


def _coarsen(values: FloatArray, most_pixels: int) -> FloatArray:
    """Means over squares of sites, so that the longer side has at most so many pixels."""
    step = -(-max(values.shape) // most_pixels)
    if step == 1:
        return values
    first, second = (np.arange(0, size, step) for size in values.shape)
    summed = np.add.reduceat(np.add.reduceat(values, first, axis=0), second, axis=1)
    counts = np.diff([*first, values.shape[0]])[:, None] * np.diff([*second, values.shape[1]])
    return np.asarray(summed / counts)


def _edges(axis: FloatArray, spacing_nm: float) -> tuple[float, float]:
    """First and last boundary of cells around equally spaced positions, nm."""
    half = float(axis[1] - axis[0]) / 2 if axis.size > 1 else spacing_nm / 2
    return float(axis[0]) - half, float(axis[-1]) + half
