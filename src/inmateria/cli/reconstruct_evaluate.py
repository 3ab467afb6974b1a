"""`inmateria reconstruct evaluate`: a model on samples whose disorder is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inmateria.cli.exits import keeping
from inmateria.cli.reconstruct_settings import EvaluateSettings
from inmateria.cli.settings import flags, resolve
from inmateria.errors import ConfigurationError

if TYPE_CHECKING:
    from inmateria.data.sample_store import SampleStore
    from inmateria.reconstruction.load import Model
    from inmateria.reconstruction.unseen import Unseen


@click.command()
@click.argument("model")
@click.argument("store", type=click.Path(path_type=Path))
@click.option("--blocks", metavar="A:B", help="Blocks of STORE, B left out.  [unseen ones]")
@click.option(
    "--out", type=click.Path(path_type=Path), default="runs", show_default=True,
    help="Folder that gets a folder for this run.",
)  # fmt: skip
def command(model: str, store: Path, out: Path, **given: Any) -> None:
    """Judge MODEL ('default', or a model's file) on STORE, a set of samples.

    On the set that the model was trained on, blocks that were held out are taken; on another
    set of the same electron gas, all.
    """
    overrides = {**flags(given), "model": model, "store": str(store)}
    settings = resolve(EvaluateSettings, None, overrides)
    from rich.console import Console

    from inmateria.cli.progress import step
    from inmateria.cli.reconstruct_image import seen_by
    from inmateria.cli.reconstruct_pages import evaluate_page
    from inmateria.cli.steps import make_folder
    from inmateria.data.runs import Run
    from inmateria.data.sample_store import open_store
    from inmateria.reconstruction.evaluation import evaluate
    from inmateria.reconstruction.load import load_model
    from inmateria.report.page import write_page
    from inmateria.report.reconstruction_judged import HEADER, error_rows, judged_line
    from inmateria.report.terminal import print_rows

    loaded, opened = load_model(settings.model), open_store(store)
    image = seen_by(loaded)
    chosen = choose_blocks(loaded, opened, settings.blocks)
    with keeping("nothing was written; run the same command again"), step("judging") as report:
        found = evaluate(
            loaded,
            opened,
            chosen.blocks,
            image=image,
            progress=report,
        )
    make_folder(out)
    run = Run.create(out, "reconstruct-evaluate", config=settings)
    summary = found.summary()
    kept = {"relation": chosen.relation, "warnings": list(chosen.warnings), "errors": summary}
    run.write_text("errors.json", json.dumps(kept, indent=2, sort_keys=True) + "\n")
    page = write_page(run.report, evaluate_page(settings, loaded, opened, chosen, found, run))
    run.finish(result=judged_line(summary))
    for warning in chosen.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(chosen.relation)
    print_rows(Console(highlight=False), HEADER[:2], [row[:2] for row in error_rows(summary)])
    click.echo(str(page))


def choose_blocks(model: Model, store: SampleStore, text: str | None) -> Unseen:
    """The blocks that were asked for, or those that the model has not seen.

    Raises
    ------
    ConfigurationError, ParameterError, DataFileError
    """
    from inmateria.cli.generate import block_range
    from inmateria.reconstruction.unseen import Unseen, check_set, seen_among, unseen_blocks

    if text is None:
        return unseen_blocks(model, store)
    blocks = block_range(text)
    warnings = check_set(model, store)
    if blocks.stop > store.layout.n_blocks:
        raise ConfigurationError(
            f"--blocks {text}: {store.path} has {store.layout.n_blocks} blocks, from 0"
        )
    missing = sorted(set(blocks) - set(store.done_blocks()))
    if missing:
        raise ConfigurationError(
            f"--blocks {text}: block {missing[0]} of {store.path} is not computed; generate it, or "
            "give other blocks"
        )
    seen = seen_among(model, store, blocks)
    if seen:
        many = f"{len(seen)} of {len(blocks)} blocks hold"
        warnings += (f"{many} samples that the model was trained on: its errors look too small",)
    return Unseen(tuple(blocks), f"blocks {text} of {store.path}", warnings)
