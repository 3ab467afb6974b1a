"""`inmateria transport sample`: one disordered sample, what it conducts, and a report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from inmateria.cli.exits import keeping
from inmateria.cli.transport_settings import (
    TransportSettings,
    number_list,
    resolve_tables,
    tables,
)

if TYPE_CHECKING:
    from inmateria.cli.transport_steps import Sample
    from inmateria.data.runs import Run
    from inmateria.transport.disorder.ensemble import DisorderSample

PLACES = {
    "fermi_mev": ("gas", "fermi_mev"),
    "n_x": ("gas", "n_x"),
    "n_y": ("gas", "n_y"),
    "kind": ("disorder", "kind"),
    "sgm": ("scanning_gate", "method"),
    "tip_height_mev": ("scanning_gate", "tip_height_mev"),
    "tip_width_nm": ("scanning_gate", "tip_width_nm"),
    "stride": ("scanning_gate", "stride"),
}


@click.command()
@click.option("--seed", type=int, help="Of the disorder that is drawn.  [0]")
@click.option("--potential", metavar="FILE",
              help="A potential (n_x, n_y) in meV, .npy, .npz or netCDF.")  # fmt: skip
@click.option("--disorder", "kind",
              type=click.Choice(["dopants", "gaussian", "short-range", "impurities"]),
              help="How the potential is drawn.  [dopants]")  # fmt: skip
@click.option("--energy", "fermi_mev", type=float, metavar="MEV", help="Fermi energy.  [5.6]")
@click.option("--n-x", type=int, help="Sites along the sample.  [256]")
@click.option("--n-y", type=int, help="Sites across it.  [192]")
@click.option("--accuracy", type=float,
              help="Of the PLDOS, over its maximum.  [1e-6]")  # fmt: skip
@click.option("--sweep-accuracy", type=float,
              help="The same for energies, fields, averages and tips.  [1e-3]")  # fmt: skip
@click.option("--sgm", type=click.Choice(["first-order", "exact", "none"]),
              help="How the scanning-gate map is computed.  [first-order]")  # fmt: skip
@click.option("--tip-height-mev", type=float, help="Potential below the tip.  [0.2]")
@click.option("--tip-width-nm", type=float, help="Standard deviation of its Gaussian.  [30]")
@click.option("--stride", type=int, help="Sites between positions of the tip.  [1]")
@click.option("--energies", metavar="A:B:N", help="T(E) from A to B meV at N energies.")
@click.option("--temperature-k", type=float, help="PLDOS, T and map at a temperature, too.")
@click.option("--field-t", metavar="B,B", help="PLDOS and T in magnetic fields, tesla.")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file; flags override it.")
@click.option(
    "--out", type=click.Path(path_type=Path), default="runs", show_default=True,
    help="Folder that gets a folder for this run.",
)  # fmt: skip
def command(out: Path, config: Path | None, field_t: str | None, **given: Any) -> None:
    """Compute one disordered sample: PLDOS, transmission, scanning-gate map.

    Writes transport.nc, which plain xarray opens, and a report. After an interruption,
    the same command goes on where it stopped.
    """
    overrides = tables(given, PLACES)
    if field_t is not None:
        overrides["field_t"] = number_list(field_t, flag="--field-t", example="0,0.1")
    settings = resolve_tables(TransportSettings, config, overrides).complete()
    from inmateria.cli.steps import make_folder
    from inmateria.cli.transport_potential import sample_potential
    from inmateria.cli.transport_steps import Sample, check
    from inmateria.data.runs import Run

    # Whatever is wrong with settings and potential shows before a folder is made.
    gas = settings.gas.gas()
    drawn = sample_potential(settings, gas)
    sample = Sample(settings, gas, drawn.potential)
    check(sample)
    make_folder(out)
    run = Run.resume_or_create(out, "transport-sample", config=settings)
    if not _same_potential(run, sample):
        run = Run.create(out, "transport-sample", config=settings)
    what = f"steps so far are kept in {run.path}; run the same command again to go on"
    with keeping(what):
        line, report = run_sample(run, sample, drawn)
    click.echo(line)
    click.echo(str(report))


def run_sample(run: Run, sample: Sample, drawn: DisorderSample) -> tuple[str, Path]:
    """Take the steps that a run folder does not hold yet, and write its files.

    Returns
    -------
    line : str
        What was found, in a sentence.
    report : Path
    """
    from inmateria.cli.transport_pages import sample_page
    from inmateria.cli.transport_steps import STEPS, take
    from inmateria.data.provenance import utc_now
    from inmateria.data.transport_file import open_transport, write_transport
    from inmateria.report.page import write_page
    from inmateria.report.transport_sections import result_line

    path = _data(run)
    attrs = _attributes(run, sample)
    values, seconds = _potential(sample, drawn), dict[str, float]()
    if path.is_file():
        kept = open_transport(path)
        values |= {str(name): kept[name].values for name in kept.variables}
        seconds = json.loads(kept.attrs["steps"])
    for name, step in STEPS.items():
        if name in seconds or not step.wanted(sample.settings):
            continue
        arrays, seconds[name] = take(name, sample, values)
        values |= arrays
        attrs |= {"steps": json.dumps(seconds), "finished_utc": utc_now()}
        write_transport(path, values, attrs)
    found = open_transport(path)
    page = write_page(run.report, sample_page(sample, found))
    line = result_line(found)
    run.finish(result=line)
    return line, page


def _data(run: Run) -> Path:
    return run.data / "transport.nc"


def _same_potential(run: Run, sample: Sample) -> bool:
    """Whether what a run holds so far is of this potential: a file may have changed since."""
    from inmateria.data.transport_file import open_transport

    if not _data(run).is_file():
        return True
    return np.array_equal(open_transport(_data(run))["potential"].values, sample.potential)


def _potential(sample: Sample, drawn: DisorderSample) -> dict[str, Any]:
    gas = sample.gas
    values: dict[str, Any] = {
        "x": gas.spacing_nm * np.arange(gas.n_x),
        "y": gas.spacing_nm * np.arange(gas.n_y),
        "potential": sample.potential,
    }
    if drawn.coefficients is not None:
        values |= {
            "coefficient_m_x": drawn.coefficients.m_x,
            "coefficient_m_y": drawn.coefficients.m_y,
            "coefficient_real": drawn.coefficients.c.real,
            "coefficient_imag": drawn.coefficients.c.imag,
        }
    return values


def _attributes(run: Run, sample: Sample) -> dict[str, Any]:
    from dataclasses import asdict

    from inmateria.data.provenance import canonical_json, parent, software

    started = json.loads((run.path / "provenance.json").read_text(encoding="utf-8"))
    settings, gas = sample.settings, sample.gas
    source = settings.potential
    attrs: dict[str, Any] = {
        "fidelity": "simulation",
        "gas": canonical_json(asdict(gas) | {"hopping_mev": gas.hopping_mev}),
        "configuration": canonical_json(settings.model_dump(mode="json", exclude_none=True)),
        "parents": canonical_json([] if source is None else [parent(source)]),
        "software": software(),
        "started_utc": str(started["started_utc"]),
    }
    return attrs if settings.seed is None else attrs | {"seed": settings.seed}
