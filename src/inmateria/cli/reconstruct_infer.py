"""`inmateria reconstruct infer`: the disorder behind measured images, and how far to trust it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inmateria.cli.exits import keeping
from inmateria.cli.reconstruct_settings import InferSettings
from inmateria.cli.settings import flags
from inmateria.cli.transport_settings import resolve_tables

if TYPE_CHECKING:
    import xarray as xr

    from inmateria.cli.reconstruct_steps import Task
    from inmateria.data.runs import Run


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", metavar="PATH", help="A trained model.  [default]")
@click.option("--variable", metavar="NAME", help="Of a .npz or netCDF file.  [the model's image]")
@click.option("--pixel-nm", type=float, help="Side of a pixel, to be checked against the model's.")
@click.option("--refine", is_flag=True, default=None,
              help="Fit the potential to the image by exact gradients.")  # fmt: skip
@click.option("--iterations", type=int, help="Of the refinement, at most.  [200]")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file; flags override it.")
@click.option(
    "--out", type=click.Path(path_type=Path), default="runs", show_default=True,
    help="Folder that gets a folder for this run.",
)  # fmt: skip
def command(file: Path, out: Path, config: Path | None, **given: Any) -> None:
    """Reconstruct the disorder behind the image in FILE.

    FILE is .npy, .npz or netCDF, (n_x, n_y) or (n, n_x, n_y) with x from source to drain, or a
    picture whose grey levels are proportional to the PLDOS, x to the right and y upwards.

    Writes reconstruction.nc, which plain xarray opens, and a report that says how well the
    potential explains the image. A refinement that was interrupted goes on with the images
    that are missing.
    """
    settings = resolve_tables(InferSettings, config, {**flags(given), "file": str(file)})
    from inmateria.cli.reconstruct_steps import prepare
    from inmateria.cli.steps import make_folder
    from inmateria.data.provenance import sha256_file
    from inmateria.data.runs import Run

    # Whatever is wrong with model and images shows before a folder is made.
    task = prepare(settings)
    make_folder(out)
    record = settings.model_dump(mode="json") | {
        "file_sha256": sha256_file(file),
        "model_sha256": task.model_sha256,
    }
    run = Run.resume_or_create(out, "reconstruct-infer", config=record)
    what = f"what was found so far is kept in {run.path}; run the same command again to go on"
    with keeping(what):
        found, report = run_infer(run, task)
    _print(found)
    click.echo(str(report))


def run_infer(run: Run, task: Task) -> tuple[xr.Dataset, Path]:
    """Take the steps that a run folder does not hold yet, and write its files."""
    from inmateria.cli.reconstruct_pages import infer_page
    from inmateria.cli.reconstruct_steps import ask_network, refine_images
    from inmateria.data.reconstruction_file import open_reconstruction
    from inmateria.report.page import write_page
    from inmateria.report.reconstruction_result import result_line

    path = run.data / "reconstruction.nc"
    if not path.is_file():
        ask_network(task, path, run)
    if task.settings.refine:
        refine_images(task, path)
    found = open_reconstruction(path)
    page = write_page(run.report, infer_page(task, found, run))
    run.finish(result=result_line(found))
    return found, page


def _print(found: xr.Dataset) -> None:
    import json

    from rich.console import Console

    from inmateria.report.reconstruction_result import result_line, table
    from inmateria.report.terminal import print_rows

    for i, warning in enumerate(json.loads(found.attrs["warnings"])):
        if warning:
            click.echo(f"warning: image {i} is {warning}", err=True)
    if found.sizes["sample"] > 1:
        print_rows(Console(highlight=False), *table(found))
    click.echo(result_line(found))
