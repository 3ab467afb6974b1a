"""`inmateria show` of what `bench test`, `iv` and `stability` wrote."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console

from inmateria.cli.show_reconstruction import QUANTITY_HEADER, quantity_rows
from inmateria.data.first_measurements_file import IV_CURVES, SELF_TEST, STABILITY
from inmateria.report.terminal import print_facts, print_rows

FILES = {"bench test": SELF_TEST, "I-V curves": IV_CURVES, "stability": STABILITY}


def is_first_measurement(path: Path) -> bool:
    """Whether a file says that it is one of these, whatever its state."""
    return any(file.is_one(path) for file in FILES.values())


def show_first_measurement(console: Console, path: Path) -> None:
    """Print what was found, and what the file holds."""
    noun, file = next((noun, file) for noun, file in FILES.items() if file.is_one(path))
    dataset = file.open(path)
    attributes = dataset.attrs
    facts = {
        noun: str(path),
        **({"verdict": str(attributes["verdict"])} if "verdict" in attributes else {}),
        "terminals": ", ".join(json.loads(attributes["terminals"])),
        "outputs": ", ".join(json.loads(attributes["outputs"])),
        "sampling rate": f"{float(attributes['rate_hz']):g} Hz",
        "fidelity": str(attributes["fidelity"]),
        "schema": f"{attributes['schema']} {attributes['schema_version']}",
        "written by": str(attributes["software"]),
        "finished": str(attributes["finished_utc"]),
        "checksums": "all arrays match",
    }
    print_facts(console, facts)
    console.print()
    console.print(str(attributes["findings"]), markup=False)
    console.print()
    print_rows(console, QUANTITY_HEADER, quantity_rows(dataset))
