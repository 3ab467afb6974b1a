"""`inmateria transport benchmark`: samples a second on this machine."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from inmateria.cli.exits import keeping
from inmateria.cli.transport_settings import (
    BenchmarkSettings,
    number_list,
    resolve_tables,
    tables,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inmateria.data.runs import Run
    from inmateria.report.transport_speed import Timing
    from inmateria.transport.gas import ElectronGas

PLACES = {"n_x": ("gas", "n_x"), "n_y": ("gas", "n_y")}
# The rate is that of the middle one, so that a hiccup of the machine does not count.
ROUNDS = 3
SAMPLES_A_CORE = 8
# Columns that fit 80 characters; the report has all of them.
IN_TERMINAL = (0, 1, 2, 3, 5, 6)


@click.command()
@click.option("--accuracies", metavar="A,A", help="Of the PLDOS.  [1e-2,1e-3,1e-4,1e-6]")
@click.option("--samples", type=int, help="In each of three rounds.  [8 for each core]")
@click.option("--seed", type=int, help="Of the disorder.  [0]")
@click.option("--n-x", type=int, help="Sites along the sample.  [256]")
@click.option("--n-y", type=int, help="Sites across it.  [192]")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file; flags override it.")
@click.option(
    "--out", type=click.Path(path_type=Path), default="runs", show_default=True,
    help="Folder that gets a folder for this run.",
)  # fmt: skip
def command(out: Path, config: Path | None, accuracies: str | None, **given: Any) -> None:
    """Time this machine: samples a second at several accuracies, on one core and on all.

    Takes some ten seconds, and a minute more where the compiled code has to be made first.
    Anything else that runs meanwhile is timed with it.
    """
    overrides = tables(given, PLACES)
    if accuracies is not None:
        overrides["accuracies"] = number_list(accuracies, flag="--accuracies", example="1e-2,1e-3")
    settings = resolve_tables(BenchmarkSettings, config, overrides).complete()
    from rich.console import Console

    from inmateria.cli.steps import make_folder
    from inmateria.cli.transport_potential import make_disorder
    from inmateria.data.runs import Run
    from inmateria.report.terminal import print_rows
    from inmateria.report.transport_speed import COLUMNS, cells

    gas = settings.gas.gas()
    n_cores = _cores()
    n = settings.samples or SAMPLES_A_CORE * n_cores
    potential = make_disorder(settings.disorder, gas).sample_many(gas, n, seed=settings.seed)
    gas.in_hoppings(potential.potential)
    for lead in (gas.source, gas.drain):
        gas.modes(lead)
    make_folder(out)
    run = Run.create(out, "transport-benchmark", config=settings)
    with keeping(f"nothing was timed to the end; {run.path} can be deleted"):
        timings = measure(gas, potential.potential, settings.accuracies, n_cores)
    shown = [[cells(timing)[i] for i in IN_TERMINAL] for timing in timings]
    print_rows(Console(highlight=False), [COLUMNS[i] for i in IN_TERMINAL], shown)
    click.echo(str(_write(run, settings, gas, timings)))


def measure(
    gas: ElectronGas,
    potential_mev: NDArray[np.float64],
    accuracies: tuple[float, ...],
    n_cores: int,
) -> list[Timing]:
    """Time a set of samples at each accuracy, on one core and, where there are more, on all.

    Parameters
    ----------
    gas : ElectronGas
    potential_mev : (n_samples, n_x, n_y) array, meV
    accuracies : tuple of float
    n_cores : int
    """
    from inmateria.cli.progress import step
    from inmateria.report.transport_speed import Timing

    numbers = sorted({1, n_cores})
    total = len(accuracies) * len(numbers) * ROUNDS
    timings: list[Timing] = []
    with step("compiling"):
        for accuracy in accuracies:
            gas.scatter(potential_mev[:1], accuracy=accuracy)
    with step("timing") as report:
        for accuracy in accuracies:
            for number in numbers:
                seconds: list[float] = []
                with _on(number):
                    for _ in range(ROUNDS):
                        report(len(timings) * ROUNDS + len(seconds), total, f"{accuracy:g}")
                        started = time.perf_counter()
                        found = gas.scatter(potential_mev, accuracy=accuracy)
                        seconds.append(time.perf_counter() - started)
                rate = len(potential_mev) / np.array(seconds)
                timings.append(
                    Timing(
                        accuracy=accuracy,
                        cores=number,
                        samples=len(potential_mev),
                        samples_per_s=float(np.median(rate)),
                        slowest_per_s=float(rate.min()),
                        fastest_per_s=float(rate.max()),
                        median_error=float(np.median(found.error)),
                        worst_error=float(found.error.max()),
                        modes=(int(found.modes.min()), int(found.modes.max())),
                        corrections=(int(found.corrections.min()), int(found.corrections.max())),
                    )
                )
        report(total, total)
    return timings


def _write(run: Run, settings: BenchmarkSettings, gas: ElectronGas, timings: list[Timing]) -> Path:
    from dataclasses import asdict

    from inmateria.cli.transport_pages import benchmark_page
    from inmateria.data.provenance import plain, versions
    from inmateria.report.page import write_page

    machine = {"processor": processor(), "cores": _cores(), "busy_cores": round(_load(), 2)}
    content = {
        "schema": "inmateria.transport-benchmark",
        "schema_version": 1,
        "machine": machine,
        "versions": versions(),
        "gas": asdict(gas),
        "timings": [asdict(timing) for timing in timings],
    }
    run.write_text("benchmark.json", json.dumps(plain(content), indent=2) + "\n")
    page = write_page(run.report, benchmark_page(settings, gas, timings, machine, run.path))
    best = max(timing.samples_per_s for timing in timings)
    run.finish(result=f"{best:.3g} samples/s at most")
    return page


@contextmanager
def _on(n_cores: int) -> Iterator[None]:
    import numba

    before = numba.get_num_threads()
    numba.set_num_threads(n_cores)
    try:
        yield
    finally:
        numba.set_num_threads(before)


def _cores() -> int:
    import numba

    return int(numba.get_num_threads())


def _load() -> float:
    """Mean number of processes that ran or waited in the last minute, ours among them."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
