"""What a report says of a scanning-gate map, and of how far it can be trusted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from inmateria.report.page import Note, Picture, Section, Table
from inmateria.report.transport_maps import draw_gate_map
from inmateria.report.transport_quantities import array, number, plan_of, seconds

if TYPE_CHECKING:
    import xarray as xr

# Differences from full solutions, over the map's largest change, up to which a map is called good.
GOOD = 0.2
# Share of the Fermi energy above which a tip's map may have the wrong sign.
TOO_STRONG = 0.2
FIRST_ORDER = (
    "First order is good for weak tips only: to some 10 % of the map's range at 0.04 of the "
    "Fermi energy, and wrong even in sign above 0.2. --sgm exact has no such limit."
)


def gate_section(found: xr.Dataset) -> Section:
    """The map of the tip, how it was made, and how far it can be trusted."""
    settings = json.loads(found.attrs["configuration"])
    gate, temperature = settings["scanning_gate"], settings["temperature_k"]
    fermi = json.loads(found.attrs["gas"])["fermi_mev"]
    change = array(found, "gate_change")
    share = abs(gate["tip_height_mev"]) / fermi
    first_order = gate["method"] == "first-order"
    how = "to first order in the tip's potential" if first_order else "exactly"
    where = f" at {temperature:g} K" if temperature else ""
    n_x, n_y = change.shape
    text = (
        f"A {gate['tip_shape'].capitalize()} tip, {gate['tip_height_mev']:g} meV high "
        f"({share:.2g} of the Fermi energy) and {gate['tip_width_nm']:g} nm wide, is moved over "
        f"the sample; the map shows by how much it changes the transmission, computed {how}{where} "
        f"at {n_x} × {n_y} positions in {seconds(found, 'scanning gate'):.3g} s. Without a tip "
        f"T = {number(found, 'gate_unperturbed'):.4f}; the map goes from {change.min():+.3g} to "
        f"{change.max():+.3g}, and estimates its own error as {number(found, 'gate_error'):.1g}."
    )
    blocks: list[Note | Picture | Table] = [Note(text)]
    blocks.append(
        Picture(
            draw_gate_map(
                change,
                plan_of(found),
                tip_nm=(array(found, "tip_x"), array(found, "tip_y")),
                tip_width_nm=gate["tip_width_nm"],
            ),
            "Change of the transmission with the tip at that place: blue where it blocks "
            "electrons, orange where it lets more of them through.",
        )
    )
    if "check_change" in found:
        blocks += _gate_check(found, first_order)
    elif first_order:
        verdict = f" This tip, at {share:.2g}, is too strong for it." if share > TOO_STRONG else ""
        blocks.append(Note(FIRST_ORDER + verdict))
    return Section("Scanning gate", blocks)


def _gate_check(found: xr.Dataset, first_order: bool) -> list[Note | Table]:
    change = array(found, "gate_change")
    largest = float(np.abs(change).max()) or 1.0
    x, y, solved = (array(found, f"check_{name}") for name in ("x", "y", "change"))
    axes = array(found, "tip_x"), array(found, "tip_y")
    i, j = (
        np.argmin(np.abs(axis[:, None] - at), axis=0) for axis, at in zip(axes, (x, y), strict=True)
    )
    mapped = change[i, j]
    off = float(np.abs(mapped - solved).max()) / largest
    note = (
        f"Check: {len(x)} positions were solved again with the tip in place. The map differs by at "
        f"most {off:.2%} of its largest change."
    )
    if first_order:
        note += " " + (
            "The tip is weak enough for first order." if off < GOOD else
            "First order does not hold for this tip: use --sgm exact, or a lower tip."
        )  # fmt: skip
    rows = [
        (f"{a:g}, {b:g}", f"{m:+.5f}", f"{s:+.5f}", f"{m - s:+.1e}")
        for a, b, m, s in zip(x, y, mapped, solved, strict=True)
    ]
    table = Table(
        ("tip at x, y (nm)", "change of T, map", "change of T, solved", "difference"),
        rows,
        "Map against solutions with the tip in place",
        numeric=(1, 2, 3),
    )
    return [Note(note), table]
