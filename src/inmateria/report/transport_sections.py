"""What a report says of one sample of an electron gas: sentences, tables and maps.

Everything is taken from the file of the run (`data.transport_file`), so that a page can be
made again from the file alone.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from inmateria.report.page import Note, Picture, Section, Table
from inmateria.report.transport_curve import draw_transmission_curve
from inmateria.report.transport_gate_section import gate_section
from inmateria.report.transport_maps import (
    MOST_PIXELS,
    brightest,
    draw_pldos_map,
    draw_potential_map,
)
from inmateria.report.transport_quantities import array, number, plan_of, seconds

if TYPE_CHECKING:
    import xarray as xr

# 2 e^2 / h, microsiemens.
QUANTUM_US = 77.480917
# More rows than this tell nobody anything.
MOST_MODES = 12
# Maps of fields at full resolution on one page; more of them share that many pixels.
FULL_MAPS = 3
MOST_MAPS = 20
FLUX_ROUNDING = 1e-6


def result_line(found: xr.Dataset) -> str:
    """What the sample conducts, in a sentence."""
    value = number(found, "transmission")
    return (
        f"T = {value:.4f} of {found.sizes['source_mode']} modes from source to drain, "
        f"R = {number(found, 'reflection'):.4f}; "
        f"PLDOS to {number(found, 'error'):.1g} of its maximum"
    )


def transport_sections(found: xr.Dataset) -> list[Section]:
    """All sections that a sample's quantities allow."""
    sections = [_maps(found), _transmission(found)]
    if "gate_change" in found:
        sections.append(gate_section(found))
    if "energy" in found:
        sections.append(_energies(found))
    if "thermal_transmission" in found:
        sections.append(_temperature(found))
    if "field" in found:
        sections.append(_fields(found))
    return sections


def _maps(found: xr.Dataset) -> Section:
    plan, gas = plan_of(found), json.loads(found.attrs["gas"])
    potential, pldos = array(found, "potential"), array(found, "pldos")
    n = found.sizes["source_mode"]
    fermi = gas["fermi_mev"]
    rms = float(np.sqrt(np.mean(potential**2)))
    note = (
        f"Electrons of {fermi:g} meV come in from the source in {_count(n, 'mode')} and leave "
        f"through the drain or back through the source; the other edges are hard walls. The "
        f"potential is {rms:.3g} meV rms, {rms / fermi:.0%} of the Fermi energy, between "
        f"{potential.min():.3g} and {potential.max():.3g} meV."
    )
    return Section(
        "Potential and PLDOS",
        [
            Note(note),
            Picture(
                draw_potential_map(potential, plan),
                "Disorder potential: orange repels electrons, blue attracts them.",
            ),
            Picture(
                draw_pldos_map(pldos, plan),
                "Partial local density of states of the electrons that come in from the source, "
                "2π sum |ψ|² over its modes: bright where they are. The fine ripples are half "
                "a wavelength apart, the bright bands are branches along which the disorder "
                f"focuses the flow. Brighter than the key: up to {pldos.max():.3g}.",
            ),
        ],
    )


def _transmission(found: xr.Dataset) -> Section:
    t, r = number(found, "transmission"), number(found, "reflection")
    n, n_drain = found.sizes["source_mode"], found.sizes["drain_mode"]
    settings = json.loads(found.attrs["configuration"])
    gas = json.loads(found.attrs["gas"])
    corrections = int(found["corrections"])
    rows = [
        ("transmission T", f"{t:.6f}", "", "sum of |t|², source to drain"),
        ("conductance", f"{QUANTUM_US * t:.3f}", "µS", "T times 2e²/h, at zero temperature"),
        ("reflection R", f"{r:.6f}", "", "sum of |r|², back into the source"),
        ("open modes, source", str(n), "", "that electrons come in by"),
        ("open modes, drain", str(n_drain), "", "that they leave by"),
        ("T + R - modes", f"{t + r - n:.1e}", "", "zero where no electron is lost"),
        ("error of the PLDOS", f"{number(found, 'error'):.1e}", "of its maximum",
         f"estimated for this sample; {settings['accuracy']:g} was asked for"),
        ("transverse modes kept", str(int(found["modes"])), f"of {gas['n_y']}",
         "the others are brought back by corrections"),
        ("corrections", str(corrections), "", "steps of iterative refinement"),
        ("time", f"{seconds(found, 'scattering'):.3g}", "s", "of this solution alone"),
    ]  # fmt: skip
    blocks: list[Note | Table] = []
    if abs(t + r - n) > FLUX_ROUNDING * n:
        blocks.append(Note(f"T + R misses the number of modes by {t + r - n:.1e}."))
    blocks.append(Table(("quantity", "value", "unit", "what it is"), rows, numeric=(1,)))
    blocks.append(_by_mode(found))
    return Section("Transmission", blocks)


def _by_mode(found: xr.Dataset) -> Table:
    """What becomes of the electrons of each mode."""
    through = (array(found, "t_real") ** 2 + array(found, "t_imag") ** 2).sum(axis=0)
    back = (array(found, "r_real") ** 2 + array(found, "r_imag") ** 2).sum(axis=0)
    rows = [
        (str(mode + 1), f"{through[mode]:.4f}", f"{back[mode]:.4f}")
        for mode in range(min(through.size, MOST_MODES))
    ]
    left_out = through.size - len(rows)
    caption = "Share of the electrons of each mode of the source, lowest mode first"
    if left_out:
        caption += f"; {left_out} more are in the file"
    return Table(
        ("mode of the source", "goes through", "comes back"), rows, caption, numeric=(1, 2)
    )


def _energies(found: xr.Dataset) -> Section:
    energy, value = array(found, "energy"), array(found, "energy_transmission")
    n_open = array(found, "energy_open")
    closed = int((n_open == 0).sum())
    text = (
        f"Transmission at {energy.size} energies from {energy[0]:g} to {energy[-1]:g} meV. It "
        "cannot exceed the number of open modes of the source; how far it stays below, and its "
        "rapid changes, come from interference in this one sample."
    )
    if closed:
        text += f" At the lowest {_count(closed, 'energy', 'energies')} no mode is open and T is 0."
    fermi = json.loads(found.attrs["gas"])["fermi_mev"]
    picture = draw_transmission_curve(energy, value, n_open, fermi_mev=fermi)
    caption = f"{seconds(found, 'energies'):.3g} s for all energies."
    return Section("Transmission over energy", [Note(text), Picture(picture, caption)])


def _temperature(found: xr.Dataset) -> Section:
    temperature = json.loads(found.attrs["configuration"])["temperature_k"]
    energy, value = array(found, "thermal_energy"), number(found, "thermal_transmission")
    pldos = array(found, "thermal_pldos")
    rows = [
        ("transmission", f"{value:.6f}", "", "averaged over -df/dE"),
        ("conductance", f"{QUANTUM_US * value:.3f}", "µS", f"linear, at {temperature:g} K"),
        ("change by temperature", f"{value - number(found, 'transmission'):+.6f}", "",
         "against zero temperature"),
        ("energies", str(energy.size), "", f"from {energy.min():.3f} to {energy.max():.3f} meV"),
        ("error", f"{number(found, 'thermal_error'):.1e}", "of the largest",
         "last change of the averages"),
        ("time", f"{seconds(found, 'temperature'):.3g}", "s", ""),
    ]  # fmt: skip
    picture = Picture(
        draw_pldos_map(pldos, plan_of(found), name="thermal-pldos", top=brightest(found["pldos"])),
        f"PLDOS averaged over energy at {temperature:g} K, in the colours of the map at zero "
        "temperature: ripples that differ from energy to energy fade.",
    )
    table = Table(("quantity", "value", "unit", "what it is"), rows, numeric=(1,))
    return Section(f"At {temperature:g} K", [picture, table])


def _fields(found: xr.Dataset) -> Section:
    plan = plan_of(found)
    field, value = array(found, "field"), array(found, "field_transmission")
    pldos = array(found, "field_pldos")
    n = found.sizes["source_mode"]
    rows = [
        (f"{b:g}", f"{t:.4f}", f"{n - t:.4f}", f"{QUANTUM_US * t:.2f}", f"{error:.1e}", str(int(m)))
        for b, t, error, m in zip(
            field, value, array(found, "field_error"), array(found, "field_modes"), strict=True
        )
    ]
    header = ("field (T)", "T", "N - T", "conductance (µS)", "error", "transverse modes")
    shown = np.unique(np.linspace(0, field.size - 1, MOST_MAPS).round().astype(int))
    pixels = int(MOST_PIXELS * min(1.0, float(np.sqrt(FULL_MAPS / shown.size))))
    note = (
        "The field is perpendicular to the sample and in it alone, not in the leads. Positive "
        "fields bend electrons from the source upwards, to larger y. error: change of the PLDOS, "
        "over its maximum, by the last 16 transverse modes. "
        f"{seconds(found, 'fields'):.3g} s in all."
    )
    if shown.size < field.size:
        note += f" Maps are shown of {shown.size} of the {field.size} fields; all are in the file."
    pictures = [
        Picture(
            draw_pldos_map(pldos[i], plan, name=f"field-pldos-{i}", most_pixels=pixels),
            f"PLDOS at {field[i]:g} T: T = {value[i]:.4f}. Each map has colours of its own.",
        )
        for i in shown
    ]
    return Section(
        "In a magnetic field",
        [Note(note), *pictures, Table(header, rows, numeric=(1, 2, 3, 4, 5))],
    )


def _count(n: int, one: str, many: str | None = None) -> str:
    return f"{n} {one if n == 1 else many or one + 's'}"
