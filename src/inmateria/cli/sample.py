"""`inmateria sample`: drive a device and record its current."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from inmateria.cli.exits import keeping
from inmateria.cli.settings import flags, resolve


@click.command()
@click.option(
    "--device", metavar="NAME|PATH", help="'default', a device's file, or a model of a device."
)
@click.option("--device-seed", type=int, help="Another dopant network of the default kind.")
@click.option("--engine", metavar="NAME", help="How a dopant network is solved.")
@click.option("--bench", metavar="FILE", help="A bench file: the instrument, not a simulation.")
@click.option(
    "--design",
    type=click.Choice(["sinusoids", "triangles", "plateaus"]),
    help="How the voltages go through their ranges.  [triangles]",
)
@click.option("--duration", "duration_s", type=float, metavar="S", help="Seconds to record.  [100]")
@click.option("--points", type=int, help="Points to visit, for plateaus.  [10000]")
@click.option("--hold", "hold_s", type=float, metavar="S", help="Averaged at each.  [0.005]")
@click.option("--settle", "settle_s", type=float, metavar="S", help="Waited before.  [0.005]")
@click.option("--base-hz", type=float, help="Lowest frequency of a trajectory.  [8]")
@click.option("--rate", "rate_hz", type=float, help="Samples per second.  [1000]")
@click.option("--seed", type=int, help="Of phases, points and noise.  [0]")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file; flags override it.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), default="measurement.nc", show_default=True
)
def command(out: Path, config: Path | None, **given: Any) -> None:
    """Drive all terminals of a device and record its output into one file.

    Terminals ramp from 0 V and back to 0 V, whatever happens. Run the same
    command again after an interruption and it goes on where it stopped.
    """
    from inmateria.cli.settings import SampleSettings

    settings = resolve(SampleSettings, config, flags(given))
    from inmateria.cli.devices import open_place
    from inmateria.cli.steps import record

    place = open_place(settings)
    with keeping(f"rows so far are kept in {out}.part; run the same command again to go on"):
        path = record(settings, place, out)
    click.echo(f"{path}")
