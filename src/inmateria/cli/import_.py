"""`inmateria import`: models and measurements of brains-py, in one step."""

from __future__ import annotations

from pathlib import Path

import click

from inmateria.errors import ConfigurationError


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Where to write.")
def command(path: Path, out: Path | None) -> None:
    """Take over PATH: a brains-py model (.pt), or measured rows (IO.dat or its folder).

    A model becomes OUT.safetensors with OUT.json, rows become one measurement
    file. Nothing in PATH is executed.
    """
    if path.suffix in {".pt", ".pth"}:
        click.echo(str(_import_model(path, out or Path(path.stem))))
    elif path.is_dir() or path.suffix in {".dat", ".txt"}:
        click.echo(str(_import_rows(path, out or Path("measurement.nc"))))
    else:
        raise ConfigurationError(
            f"{path} is neither a model (.pt) nor measured rows (IO.dat or its folder); "
            "give one of these"
        )


def _import_model(path: Path, out: Path) -> Path:
    from inmateria.surrogates.brainspy import read_brainspy_model

    return read_brainspy_model(path).save(out)


def _import_rows(path: Path, out: Path) -> Path:
    from inmateria.data.measurement import write_measurement
    from inmateria.data.provenance import parent
    from inmateria.data.schema import measurement
    from inmateria.surrogates.brainspy import read_brainspy_data

    file = path / "IO.dat" if path.is_dir() else path
    rows = read_brainspy_data(file)
    dataset = measurement(rows.voltage, rows.current, parents=[parent(file)], **rows.meta)
    return write_measurement(out, dataset)
