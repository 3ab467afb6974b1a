"""`inmateria fit`: a surrogate from a measurement."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from inmateria.cli.exits import keeping
from inmateria.cli.settings import FitSettings, flags, resolve


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), default="model", show_default=True,
    help="Stem of OUT.safetensors, OUT.json and OUT.history.json.",
)  # fmt: skip
@click.option("--hidden", metavar="N,N,...", help="Widths of the layers.  [90,90,90,90,90]")
@click.option("--activation", help="relu, gelu, tanh, ...  [relu]")
@click.option("--epochs", type=int, help="Passes over the rows.  [40]")
@click.option("--batch-size", type=int, help="Rows a step.  [512]")
@click.option("--learning-rate", type=float, help="Highest of the cycle.  [0.005]")
@click.option("--max-seconds", type=float, help="Finish by then.")
@click.option("--threads", type=int, help="CPU threads.  [1]")
@click.option("--seed", type=int, help="Of weights, order and held-out rows.  [0]")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file; flags override it.")
def command(data: Path, out: Path, config: Path | None, hidden: str | None, **given: Any) -> None:
    """Fit a network to DATA, a measurement file, and write it as OUT.

    Run the same command again after an interruption and it goes on where it
    stopped.
    """
    overrides = flags(given)
    if hidden is not None:
        overrides["hidden"] = hidden.split(",")
    settings = resolve(FitSettings, config, overrides)
    from inmateria.atomic import write_text
    from inmateria.cli.steps import fit
    from inmateria.data.measurement import open_measurement

    checkpoint = out.with_name(out.name + ".checkpoint")
    dataset = open_measurement(data)
    with keeping(f"the fit so far is kept in {checkpoint}; run the same command again to go on"):
        result = fit(settings, dataset, checkpoint=checkpoint)
    path = result.surrogate.save(out)
    history = out.with_name(out.name + ".history.json")
    write_text(history, json.dumps(result.history) + "\n")
    checkpoint.unlink(missing_ok=True)
    error = result.error
    click.echo(
        f"error on {error.rows} held-out rows: {error.rmse_na:.3g} nA "
        f"({error.relative:.2%} of the spread), noise included"
    )
    if error.relative >= 1:
        click.echo(
            "warning: no better than the mean of the currents; is the device wired, and on?",
            err=True,
        )
    click.echo(str(path))
