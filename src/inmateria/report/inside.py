"""Inside a dopant network: the landscape, where the holes sit, and which way they go."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Circle

from inmateria.report.canvas import HIGH, INK, LOW, MUTED, draw
from inmateria.report.inside_keys import (
    LANDSCAPE,
    ON_MAP,
    SPAN,
    Look,
    current_arrows,
    current_key,
    current_text,
    holes_key,
    landscape_key,
    shared_look,
    signed,
)
from inmateria.report.inside_state import Inside
from inmateria.report.outlines import thin

SHOWN_SHARE = 0.04
"""Bonds with less than this share of the largest current of all states are left out."""

_WHAT = "potential landscape, mean occupation of the acceptors and current paths"
_PANEL_IN = 4.1
_KEYS_SHARE = 0.19  # height of the row of keys, in panels
_TALL = 1.33  # half a panel's height, in radii
_SMOOTH = 0.003  # what outlines of the landscape may be off, in radii


def draw_inside(inside: Inside) -> str:
    """One panel per state, inline SVG."""
    return draw(
        lambda figure: paint_inside(figure, inside),
        size=size_of(inside),
        name="inside",
        alt=f"Inside the device: {_WHAT}; {_levels(inside)}",
    )


def draw_inside_change(inside: Inside, *, reference: int = 0) -> str:
    """Every other state minus the reference state, inline SVG."""
    return draw(
        lambda figure: paint_inside_change(figure, inside, reference=reference),
        size=size_of(inside, keys=False),
        name="inside-change",
        alt=(
            f"What changes inside the device against state {inside.labels[reference]}: "
            f"{_WHAT}; {_levels(inside.against(reference))}"
        ),
    )


def paint_inside(figure: Figure, inside: Inside) -> None:
    """`draw_inside` on a figure of the caller's, best of `size_of(inside)`."""
    look = shared_look(inside, change=False)
    rows, columns = _rows_and_columns(inside)
    grid = figure.add_gridspec(rows + 1, columns, height_ratios=[1.0] * rows + [_KEYS_SHARE])
    for k in range(len(inside.labels)):
        _panel(figure.add_subplot(grid[divmod(k, columns)]), inside, k, look)
    cells = grid[rows, :].subgridspec(1, 3)
    landscape_key(figure.add_subplot(cells[0]), look)
    current_key(figure.add_subplot(cells[1]), inside, look, share=columns / 3)
    holes_key(figure.add_subplot(cells[2]), look)


def paint_inside_change(figure: Figure, inside: Inside, *, reference: int = 0) -> None:
    """`draw_inside_change` on a figure of the caller's; the keys stand where the reference was."""
    change = inside.against(reference)
    look = shared_look(change, change=True)
    rows, columns = _rows_and_columns(inside)
    grid = figure.add_gridspec(rows, columns)
    others = [k for k in range(len(inside.labels)) if k != reference]
    for k, cell in enumerate(others):
        _panel(figure.add_subplot(grid[divmod(cell, columns)]), change, k, look)
    ratios = (1.6, 1, 1, 1, 0.4)
    cells = grid[divmod(reference, columns)].subgridspec(5, 1, height_ratios=ratios)
    title = figure.add_subplot(cells[0])
    title.set_axis_off()
    title.text(
        0.06, 0.45, f"Change against state {inside.labels[reference]}",
        fontsize=12, fontweight="bold", va="center", transform=title.transAxes,
    )  # fmt: skip
    landscape_key(figure.add_subplot(cells[1]), look)
    current_key(figure.add_subplot(cells[2]), change, look, share=1.0)
    holes_key(figure.add_subplot(cells[3]), look)


def size_of(inside: Inside, *, keys: bool = True) -> tuple[float, float]:
    """(width, height) in inches that suit a figure, with a row of keys below or without."""
    rows, columns = _rows_and_columns(inside)
    height = _PANEL_IN * _TALL / SPAN + 0.36  # the title
    return columns * _PANEL_IN, (rows + _KEYS_SHARE * keys) * height


def _rows_and_columns(inside: Inside) -> tuple[int, int]:
    n = len(inside.labels)
    columns = min(n, 2)
    return -(-n // columns), columns


def _levels(inside: Inside) -> str:
    return ", ".join(
        f"{label}: {name} {_nanoampere(inside, k, name):+.3g} nA"
        for k, label in enumerate(inside.labels)
        for name in inside.outputs
    )


def _panel(axes: Axes, inside: Inside, k: int, look: Look) -> None:
    radius = inside.plan.radius_nm
    axes.set(xlim=(-SPAN * radius, SPAN * radius), ylim=(-_TALL * radius, _TALL * radius))
    axes.set(aspect="equal")
    axes.set_axis_off()
    _hills(axes, inside, k, look)
    _sites(axes, inside, k, look)
    _paths(axes, inside, k, look)
    _electrodes(axes, inside, k, look)
    outputs = ", ".join(
        f"{name} {current_text(_nanoampere(inside, k, name), look)} nA"
        for name in inside.outputs[:3]
    )
    label = inside.labels[k]
    axes.set_title(
        label if look.change else f"state {label}", loc="left", fontweight="bold", fontsize=12
    )
    axes.set_title(
        f"output {outputs}", loc="right", x=0.97, color=HIGH, fontweight="bold", fontsize=9.5
    )


def _hills(axes: Axes, inside: Inside, k: int, look: Look) -> None:
    """The landscape in steps, each all that lies above a level: half the outlines of bands."""
    colours = look.colours
    below = Circle((0, 0), inside.plan.radius_nm, facecolor=colours[0], linewidth=0)
    axes.add_patch(below)
    axis, energy = inside.axis_nm, inside.energy_ev[k]
    top = max(float(energy.max()), look.levels_ev[-1]) + 1.0
    for level, colour in zip(look.levels_ev[1:-1], colours[1:], strict=True):
        if energy.max() <= level:
            break
        above = axes.contourf(axis, axis, energy, levels=[level, top], colors=[colour])
        above.set_clip_path(below)
        above.set_paths([thin(p, _SMOOTH * inside.plan.radius_nm) for p in above.get_paths()])
    rim = Circle((0, 0), inside.plan.radius_nm, fill=False, edgecolor=MUTED, linewidth=0.8)
    axes.add_patch(rim)


def _sites(axes: Axes, inside: Inside, k: int, look: Look) -> None:
    x, y = inside.plan.acceptor_xy_nm.T
    crowd = float(np.clip(np.sqrt(30 / len(x)), 0.5, 1.2))
    if not look.change:
        # A site's own energy, disorder included: a disc of another shade in the landscape.
        axes.scatter(
            x, y, s=120 * crowd**2, c=LANDSCAPE(look.landscape(inside.site_ev[k])),
            edgecolors=MUTED, linewidths=0.4, zorder=2, clip_on=False,
        )  # fmt: skip
    axes.scatter(
        x, y, s=30 * crowd**2, c=look.holes_map(look.holes(inside.occupation[k])),
        edgecolors=ON_MAP, linewidths=0.6, zorder=4, clip_on=False,
    )  # fmt: skip
    u, v = inside.plan.donor_xy_nm.T
    axes.plot(u, v, "+", color=ON_MAP, markersize=6, markeredgewidth=1.4, zorder=4)


def _paths(axes: Axes, inside: Inside, k: int, look: Look) -> None:
    plan = inside.plan
    sites, electrodes = plan.acceptor_xy_nm, plan.electrode_xy_nm
    i, j = np.triu_indices(len(sites), 1)
    s, e = np.indices(inside.into_na[k].shape).reshape(2, -1)
    start = np.concatenate([sites[i], sites[s]])
    stop = np.concatenate([sites[j], electrodes[e]])
    current = np.concatenate([inside.between_na[k][i, j], inside.into_na[k][s, e]])
    shown = np.abs(current) >= SHOWN_SHARE * look.largest_na
    # The thin ones on top of the wide ones.
    order = np.flatnonzero(shown)[np.argsort(-np.abs(current[shown]), kind="stable")]
    back = (current[order] < 0)[:, None]
    a, b = np.where(back, stop[order], start[order]), np.where(back, start[order], stop[order])
    drawn = current_arrows(a, b, np.abs(current[order]), radius_nm=plan.radius_nm, look=look)
    drawn.set(facecolor=ON_MAP, edgecolor=ON_MAP, zorder=3, clip_on=False)
    axes.add_patch(drawn)


def _electrodes(axes: Axes, inside: Inside, k: int, look: Look) -> None:
    plan = inside.plan
    radius = plan.radius_nm
    half = np.degrees(plan.electrode_width_nm / radius) / 2
    n = len(plan.electrode_angle)
    for e, angle in enumerate(plan.electrode_angle):
        name = f"e{e}"
        colour = HIGH if name in inside.outputs else LOW if name in inside.inputs else MUTED
        degrees = float(np.degrees(angle))
        axes.add_patch(
            Arc((0, 0), 2.04 * radius, 2.04 * radius, theta1=degrees - half, theta2=degrees + half,
                edgecolor=colour, linewidth=4.5)
        )  # fmt: skip
        cos, sin = float(np.cos(angle)), float(np.sin(angle))
        volts = inside.electrode_v[k, e]
        # In a difference only the inputs have changed their voltage.
        shown = f" {signed(volts, 2)} V" if volts or not look.change else ""
        axes.text(
            1.09 * radius * cos,
            1.09 * radius * sin,
            f"{name}{shown}\n{current_text(inside.electrode_na[k, e], look)} nA",
            ha="center" if abs(cos) < 0.3 else "left" if cos > 0 else "right",
            va="center" if abs(sin) < 0.3 else "bottom" if sin > 0 else "top",
            fontsize=min(7.5, 90 / n),
            linespacing=1.15,
            color=INK if colour == MUTED else colour,
            fontweight="normal" if colour == MUTED else "bold",
            in_layout=False,
        )


def _nanoampere(inside: Inside, k: int, name: str) -> float:
    return float(inside.electrode_na[k, int(name[1:])])
