"""`inmateria accuracy`: how far a device's engine is from Monte Carlo."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inmateria.cli.exits import keeping
from inmateria.errors import ConfigurationError, ConvergenceError, ParameterError

if TYPE_CHECKING:
    from inmateria.cli.devices import Place
    from inmateria.devices.dopant.accuracy import Accuracy
    from inmateria.devices.dopant.network import DopantNetwork


@click.command()
@click.option(
    "--device", "source", metavar="NAME|PATH", default="default", show_default=True,
    help="'default', or a device's file, which remembers the answer.",
)  # fmt: skip
@click.option("--device-seed", type=int, help="Another dopant network of the default kind.")
@click.option("--engine", metavar="NAME", help="The engine to check.  [the device's own]")
def command(source: str, device_seed: int | None, engine: str | None) -> None:
    """Hold a dopant network's engine against Monte Carlo at random voltages.

    Takes seconds, once: the answer is kept with the device and for this user.
    """
    from inmateria.cli.devices import open_device
    from inmateria.data.device_file import add_accuracy, is_device_file
    from inmateria.devices.dopant.network import DopantNetwork

    device = open_device(source, device_seed=device_seed, engine=engine)
    if not isinstance(device, DopantNetwork):
        raise ConfigurationError(
            f"{source} is a model and has no engine to check; `inmateria show {source}` "
            "says how well it fits"
        )
    with keeping("nothing was measured; run the same command again"):
        found = check(device)
    if is_device_file(source) and os.access(Path(source).parent, os.W_OK):
        add_accuracy(source, device, found)
    click.echo(found.sentence())


def check(device: DopantNetwork) -> Accuracy:
    """The accuracy of a device, with progress where it has to be measured.

    Raises
    ------
    ParameterError, ConvergenceError
    """
    from inmateria.cli.progress import step
    from inmateria.data.accuracy_cache import cached_accuracy, known_accuracy

    known = cached_accuracy(device)
    if known is not None:
        return known
    with step("checking accuracy") as report:
        # Monte Carlo counts points when they are done, all at once at the end.
        return known_accuracy(device, progress=lambda done, points, _: report(done, points))


def accuracy_line(device: Place) -> str | None:
    """The accuracy of a dopant network for a report; None for other devices."""
    from inmateria.devices.dopant.network import DopantNetwork

    if not isinstance(device, DopantNetwork):
        return None
    try:
        return check(device).sentence()
    except (ParameterError, ConvergenceError) as error:
        return f"not known: {error}"


def keep_device(device: Place, folder: Path) -> None:
    """Write a dopant network as device.json into the folder of a run; others are files already.

    Raises
    ------
    StorageError
    """
    from inmateria.data.device_file import save_device
    from inmateria.devices.dopant.network import DopantNetwork

    if isinstance(device, DopantNetwork):
        save_device(device, folder / "device.json")
