"""What `inmateria show` prints of reconstruction models and results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from inmateria.report.terminal import print_facts, print_rows

if TYPE_CHECKING:
    import xarray as xr

QUANTITY_HEADER = ("quantity", "shape", "unit", "lowest", "highest")
# A header of safetensors is not longer.
LONGEST_HEADER = 100_000_000


def is_reconstruction_model(path: Path) -> bool:
    """Whether a file says that it is one, whatever its state; reads its header alone."""
    if path.suffix != ".safetensors" or not path.is_file():
        return False
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header: Any = json.loads(file.read(min(length, LONGEST_HEADER)))
        return bool(header["__metadata__"]["schema"] == "inmateria.reconstruction")
    except (OSError, ValueError, LookupError, TypeError):
        return False


def show_reconstruction_model(console: Console, path: Path) -> None:
    """Print a model: what it sees, what it finds, how well."""
    from inmateria.cli.reconstruct_pages import model_facts
    from inmateria.reconstruction.load import load_model
    from inmateria.reconstruction.number_reader import NumberReader

    model = load_model(path)
    n_x, n_y = model.shape
    if isinstance(model, NumberReader):
        more = ", ..." if len(model.names) > 4 else ""
        finds = f"{len(model.names)} numbers: {', '.join(model.names[:4])}{more}"
    else:
        finds = f"potentials on pixels of {model.potential_pixel_nm:g} nm, with uncertainty"
    facts = {
        **model_facts(str(path), model),
        "sees": f"{model.about.get('image', 'images')}, {n_x} x {n_y} pixels of "
        f"{model.image_pixel_nm:g} nm",
        "finds": finds,
        "weights": f"{sum(p.numel() for p in model.network.parameters()):,}",
    }
    configuration = model.about.get("configuration", {})
    for name in ("gas", "disorder"):
        if name in configuration:
            facts[name] = ", ".join(f"{k}: {v}" for k, v in configuration[name].items())
    print_facts(console, {**facts, "checksums": "weights and record match"})


def show_result(console: Console, path: Path) -> None:
    """Print what `inmateria reconstruct infer` wrote."""
    from inmateria.data.reconstruction_file import open_reconstruction
    from inmateria.report.reconstruction_result import result_line

    dataset = open_reconstruction(path)
    attributes = dataset.attrs
    facts = {
        "reconstruction": str(path),
        "found": result_line(dataset),
        "unit of the image": str(attributes["image_units"]),
        "schema": f"{attributes['schema']} {attributes['schema_version']}",
        "written by": str(attributes["software"]),
        "started": str(attributes["started_utc"]),
        "parents": ", ".join(one["path"] for one in json.loads(attributes["parents"])),
        "checksums": "all arrays match",
    }
    print_facts(console, facts)
    console.print()
    print_rows(console, QUANTITY_HEADER, quantity_rows(dataset))


def quantity_rows(dataset: xr.Dataset) -> list[tuple[str, ...]]:
    """A row of `QUANTITY_HEADER` for each variable of a file of quantities."""
    return [
        (
            str(name),
            " x ".join(map(str, variable.shape)) or "1",
            variable.attrs["units"],
            f"{float(variable.min()):.4g}",
            f"{float(variable.max()):.4g}",
        )
        for name, variable in dataset.variables.items()
    ]
