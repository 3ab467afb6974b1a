"""What stands in the reports of `inmateria transport`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inmateria.data.configuration import Configuration, to_toml
from inmateria.data.provenance import versions
from inmateria.report.page import Listing, Note, Page, Picture, Section, Table
from inmateria.report.transport_sections import result_line, transport_sections
from inmateria.report.transport_speed import COLUMNS, Timing, cells, draw_speed

if TYPE_CHECKING:
    import xarray as xr

    from inmateria.cli.transport_settings import BenchmarkSettings, DisorderSettings
    from inmateria.cli.transport_steps import Sample
    from inmateria.transport.gas import ElectronGas, Lead


def sample_page(sample: Sample, found: xr.Dataset) -> Page:
    """The page of `inmateria transport sample`."""
    settings = sample.settings
    facts = {
        **gas_facts(sample.gas),
        "potential": f"from {settings.potential}" if settings.potential else
        f"{disorder_text(settings.disorder)}, seed {settings.seed}",
        "fidelity": "simulation: non-interacting electrons, hard walls, clean leads",
        "started": str(found.attrs["started_utc"]),
        "software": software_text(),
        "data": "data/transport.nc (netCDF4, with units and checksums)",
    }  # fmt: skip
    return Page(
        "Transport through one disordered sample",
        result_line(found),
        facts,
        [*transport_sections(found), configuration_section(settings)],
    )


def benchmark_page(
    settings: BenchmarkSettings,
    gas: ElectronGas,
    timings: Sequence[Timing],
    machine: Mapping[str, Any],
    folder: Path,
) -> Page:
    """The page of `inmateria transport benchmark`."""
    started = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))["started_utc"]
    best = max(timings, key=lambda timing: timing.samples_per_s)
    facts = {
        "machine": f"{machine['processor']}, {machine['cores']} cores used at most",
        "load": f"{machine['busy_cores']} busy processes in the last minute, these ones included",
        **gas_facts(gas),
        "potentials": f"{best.samples} of {disorder_text(settings.disorder)}, seed {settings.seed}",
        "started": str(started),
        "software": software_text(),
    }
    note = (
        "Each number is the middle one of three rounds over the same samples; the column rounds "
        "gives the slowest and the fastest. accuracy is the largest error of the PLDOS over its "
        "maximum that was asked for, median and worst error are what the samples estimated of "
        "themselves. Compiling is not counted, whatever else ran on the machine is."
    )
    table = Table(COLUMNS, [cells(timing) for timing in timings], numeric=range(1, len(COLUMNS)))
    picture = Picture(
        draw_speed(timings),
        "Samples a second; the bars reach from the slowest to the fastest round.",
    )
    return Page(
        "Quantum transport: speed of this machine",
        f"{best.samples_per_s:.3g} samples a second at an accuracy of {best.accuracy:.0e} on "
        f"{best.cores} core{'s' if best.cores > 1 else ''}",
        facts,
        [
            Section("Samples a second", [Note(note), picture, table]),
            configuration_section(settings),
        ],
    )


def gas_facts(gas: ElectronGas) -> dict[str, str]:
    """An electron gas in a few words."""
    a = gas.spacing_nm
    return {
        "sample": f"{gas.n_x * a:g} nm × {gas.n_y * a:g} nm, {gas.n_x} × {gas.n_y} sites",
        "Fermi energy": f"{gas.fermi_mev:g} meV, hopping t = {gas.hopping_mev:.4g} meV",
        "leads": f"source {_lead(gas.source, a)}; drain {_lead(gas.drain, a)}",
    }


def disorder_text(settings: DisorderSettings | None) -> str:
    """How a potential was drawn, in a few words."""
    if settings is None:
        return "none"
    periodic = ", periodic" if settings.periodic else ""
    if settings.kind == "dopants":
        return (
            f"remote dopants {settings.spacing_nm:g} nm away, {settings.density_per_cm2:.3g} per "
            f"cm²{periodic}"
        )
    if settings.kind == "gaussian":
        return (
            f"Gaussian disorder, {settings.rms_mev:g} meV rms, correlated over "
            f"{settings.correlation_nm:g} nm{periodic}"
        )
    if settings.kind == "impurities":
        return (
            f"impurities of {settings.strength_mev:g} meV on {settings.fraction:.3g} of the sites"
        )
    return f"short-range disorder, {settings.rms_mev:g} meV rms"


def software_text() -> str:
    """Versions of what made the numbers."""
    found = versions()
    packages = ", ".join(f"{name} {found[name]}" for name in ("numpy", "scipy", "numba"))
    return f"inmateria {found['inmateria']}, Python {found['python']}, {packages}"


def configuration_section(settings: Configuration) -> Section:
    """The resolved configuration, folded."""
    return Section("Configuration", [Listing("config.toml", to_toml(settings))])


def _lead(lead: Lead, spacing_nm: float) -> str:
    last = lead.first_row + lead.n_rows - 1
    return f"{lead.n_rows * spacing_nm:g} nm (rows {lead.first_row} to {last})"
