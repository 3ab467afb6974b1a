"""`inmateria show`: what is in a measurement, a device, a model, a solution or a run folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich.console import Console

from inmateria.errors import DataFileError
from inmateria.report.terminal import print_facts, print_rows

if TYPE_CHECKING:
    import xarray as xr


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
def command(path: Path) -> None:
    """Print what is in PATH: a measurement, what a bench test, I-V curves or a stability check
    found, a transport sample, a reconstruction, a device, a model, a solution or a run folder.

    Checksums are verified on the way; a damaged file is an error.
    """
    from inmateria.cli.show_first_measurement import is_first_measurement, show_first_measurement
    from inmateria.cli.show_reconstruction import (
        is_reconstruction_model,
        show_reconstruction_model,
        show_result,
    )
    from inmateria.data.device_file import is_device_file
    from inmateria.data.reconstruction_file import is_reconstruction_file
    from inmateria.data.transport_file import is_transport_file

    console = Console(highlight=False)
    if path.is_dir():
        _show_run(console, path)
    elif is_device_file(path):
        _show_device(console, path)
    elif is_reconstruction_model(path):
        show_reconstruction_model(console, path)
    elif is_reconstruction_file(path):
        show_result(console, path)
    elif is_first_measurement(path):
        show_first_measurement(console, path)
    elif _is_model(path):
        _show_model(console, path)
    elif path.suffix == ".json":
        _show_solution(console, path)
    elif is_transport_file(path):
        _show_transport(console, path)
    else:
        _show_measurement(console, path)


def _is_model(path: Path) -> bool:
    if path.suffix in {".safetensors", ".pt", ".pth"}:
        return True
    if not path.exists() and path.with_name(path.name + ".safetensors").exists():
        return True  # the stem that `fit` and `import` were given
    return _holds(path, "inmateria.surrogate")


def _holds(path: Path, schema: str) -> bool:
    if path.suffix != ".json":
        return False
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataFileError(f"cannot read {path}: {error.strerror}; check the path") from error
    except ValueError as error:
        raise DataFileError(
            f"{path} is not valid JSON ({error}); restore it from a copy"
        ) from error
    return isinstance(content, dict) and content.get("schema") == schema


def _show_measurement(console: Console, path: Path) -> None:
    from inmateria.data.measurement import open_measurement

    dataset = open_measurement(path)
    attributes = dataset.attrs
    rate = float(attributes["rate_hz"])
    n_rows = dataset.sizes["sample"]
    clipped = np.asarray(dataset["clipped"].values).astype(bool).any(axis=1)
    facts = {
        "measurement": str(path),
        "rows": f"{n_rows}, {int(clipped.sum())} clipped ({clipped.mean() if n_rows else 0:.2%})",
        "segments": str(len(np.unique(dataset["segment"].values))),
        "sampling rate": f"{rate:g} Hz" if np.isfinite(rate) else "not known",
        "fidelity": str(attributes["fidelity"]),
        "schema": f"{attributes['schema']} {attributes['schema_version']}",
        "written by": str(attributes["software"]),
        "recorded": f"{attributes['started_utc']} to {attributes['finished_utc']}",
        "seed": str(attributes.get("seed", "none")),
    }
    for name in ("design", "device", "rig", "parents"):
        facts[name] = _brief(json.loads(attributes[name]))
    whole = path.suffix != ".part"
    facts["checksums"] = "all arrays match" if whole else "unfinished recording, blocks match"
    print_facts(console, facts)
    console.print()
    print_rows(console, ("channel", "unit", "lowest", "highest", "mean", "std"), _channels(dataset))


def _show_transport(console: Console, path: Path) -> None:
    from inmateria.cli.show_reconstruction import QUANTITY_HEADER, quantity_rows
    from inmateria.data.transport_file import open_transport

    dataset = open_transport(path)
    attributes = dataset.attrs
    facts = {
        "transport sample": str(path),
        "gas": _brief(json.loads(attributes["gas"])),
        "transmission": f"{float(dataset['transmission']):.6f}",
        "seed": str(attributes.get("seed", "none")),
        "seconds": _brief(json.loads(attributes["steps"])),
        "schema": f"{attributes['schema']} {attributes['schema_version']}",
        "written by": str(attributes["software"]),
        "computed": f"{attributes['started_utc']} to {attributes['finished_utc']}",
        "parents": _brief(json.loads(attributes["parents"])) or "none",
        "checksums": "all arrays match",
    }
    print_facts(console, facts)
    console.print()
    print_rows(console, QUANTITY_HEADER, quantity_rows(dataset))


def _channels(dataset: xr.Dataset) -> list[tuple[str, ...]]:
    lines = []
    for variable, axis in (("voltage", "terminal"), ("current", "output")):
        for i, name in enumerate(dataset[axis].values):
            column = np.asarray(dataset[variable].values[:, i])
            numbers: tuple[Any, ...] = ("", "", "", "")
            if column.size:
                numbers = (column.min(), column.max(), column.mean(), column.std())
            cells = (f"{x:.4g}" if x != "" else "" for x in numbers)
            lines.append((f"{variable} {name}", dataset[variable].attrs["units"], *cells))
    return lines


def _show_model(console: Console, path: Path) -> None:
    from inmateria.cli.devices import open_model

    surrogate = open_model(str(path))
    described = surrogate.describe()
    print_facts(
        console,
        {
            "model": str(path),
            "network": _brief(described["architecture"]),
            "error": _brief(described["error"]) or "not known",
            "made by": str(described["provenance"].get("made_by", "not known")),
            "provenance": _brief(described["provenance"]),
            "checksums": "weights and record match",
        },
    )
    console.print()
    lines = [(t.name, f"{t.low_v:g}", f"{t.high_v:g}") for t in surrogate.terminals]
    print_rows(console, ("terminal", "low (V)", "high (V)"), lines)
    console.print(f"outputs: {', '.join(surrogate.outputs)}", markup=False)


def _show_device(console: Console, path: Path) -> None:
    from inmateria.cli.pages import label
    from inmateria.data.accuracy_cache import cached_accuracy
    from inmateria.data.device_file import load_device

    device = load_device(path)
    known = cached_accuracy(device)
    hint = f"not measured yet: inmateria accuracy --device {path}"
    described = device.describe()
    settings = _brief(described.get("engine_settings", {}))
    print_facts(
        console,
        {
            "device": str(path),
            "kind": label(device) if device.seed is not None else "dopant network, from arrays",
            "parameters": _brief(described["parameters"]),
            "engine": device.engine.name + (f" ({settings})" if settings else ""),
            "accuracy": hint if known is None else known.sentence(),
            "outputs": ", ".join(device.outputs),
            "checksums": "numbers and record match",
        },
    )
    console.print()
    lines = [(t.name, f"{t.low_v:g}", f"{t.high_v:g}") for t in device.terminals]
    print_rows(console, ("terminal", "low (V)", "high (V)"), lines)


def _show_solution(console: Console, path: Path) -> None:
    from inmateria.training.solution import load_solution

    solution = load_solution(path)
    score = solution.score.to_dict()
    print_facts(
        console,
        {
            "solution": str(path),
            "task": solution.task,
            "inputs": ", ".join(solution.inputs),
            "controls": ", ".join(f"{k} {v:+.4f} V" for k, v in solution.controls.items()),
            "expected": ", ".join(f"{k} {v}" for k, v in score.items()),
            "method": f"{solution.method}, seed {solution.seed}",
            "cost": f"{solution.cost.measurements} operating points, {solution.cost.wall_s:.2f} s",
        },
    )


def _show_run(console: Console, path: Path) -> None:
    from inmateria.data.provenance import sha256_file

    files = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
    if not files:
        raise DataFileError(f"{path} is an empty folder; give a run folder or a file")
    lines = [
        (str(file.relative_to(path)), f"{file.stat().st_size / 1e3:.1f} kB", sha256_file(file)[:16])
        for file in files
    ]
    print_rows(console, ("file", "size", "SHA-256"), lines)


def _brief(value: Any, limit: int = 400) -> str:
    """Nested values on one line, cut where they get long."""
    if isinstance(value, dict):
        text = ", ".join(f"{k}: {_brief(v)}" for k, v in value.items())
    elif isinstance(value, list):
        text = ", ".join(_brief(v) for v in value)
    else:
        text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= limit else f"{text[:limit]} ..."
