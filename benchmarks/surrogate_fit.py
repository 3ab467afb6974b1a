"""Training of surrogates: throughput against brainspy-smg, and what accuracy it buys.

    python -m benchmarks.surrogate_fit [--peer-python PYTHON] [--accuracy]

`--peer-python` is the interpreter of an environment with brainspy-smg; without
it the benchmark's own environment is tried, and a stand-in runs where
brainspy-smg is not installed (the table says which). Peer and ours take turns
in one run, on the same rows and the same 7-90-90-90-90-90-1 network.
`--accuracy` also fits 100,000 uniform rows of the default dopant network and
compares 20,000 fresh points with the noiseless device (sampling takes minutes).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from inmateria.devices.device import Device, Terminal
from inmateria.surrogates.fit import fit_surrogate
from inmateria.surrogates.network import ScaledNetwork

PEER_BATCH = 256


@dataclass(frozen=True)
class Throughput:
    """Samples a second of one training loop; the median over all timed epochs."""

    name: str
    batch: int
    threads: int
    rate: float


@dataclass(frozen=True)
class Accuracy:
    """Error on fresh uniform points against the noiseless device."""

    seconds: float
    rmse_na: float
    relative: float


def as_measurement(
    voltage: np.ndarray, current: np.ndarray, terminals: tuple[Terminal, ...]
) -> xr.Dataset:
    """Uniformly drawn rows (each its own segment) as a measurement."""
    return xr.Dataset(
        {
            "voltage": (("sample", "terminal"), voltage),
            "current": (("sample", "output"), current),
            "clipped": (("sample", "output"), np.zeros(current.shape, dtype=np.int8)),
            "segment": (("sample",), np.arange(len(voltage))),
        },
        coords={
            "terminal": [t.name for t in terminals],
            "output": [f"i{k}" for k in range(current.shape[1])],
            "low_v": ("terminal", [t.low_v for t in terminals]),
            "high_v": ("terminal", [t.high_v for t in terminals]),
        },
    )


def uniform_points(terminals: tuple[Terminal, ...], n: int, rng: np.random.Generator) -> np.ndarray:
    """(n, n_terminals) V."""
    low, high = (np.array([getattr(t, k) for t in terminals]) for k in ("low_v", "high_v"))
    points: np.ndarray = low + (high - low) * rng.random((n, len(terminals)))
    return points


def some_rows(n: int, *, seed: int = 0) -> xr.Dataset:
    """Rows for timing: a random network's currents; how long training takes does not depend on
    what is learned.
    """
    import torch

    rng = np.random.default_rng(seed)
    terminals = tuple(Terminal(f"e{i}") for i in range(1, 8))
    voltage = uniform_points(terminals, n, rng)
    teacher = ScaledNetwork(7, 1, hidden=(30, 30), activation="tanh")
    teacher.initialise(torch.Generator().manual_seed(seed))
    with torch.no_grad():
        current = 20 * teacher(torch.tensor(voltage, dtype=torch.float32)).double().numpy()
    return as_measurement(voltage, current + 0.1 * rng.standard_normal(current.shape), terminals)


def our_rates(dataset: xr.Dataset, *, batch: int, threads: int, epochs: int) -> list[float]:
    """Training samples a second in each epoch but the first, validation included in the time."""
    fit = fit_surrogate(
        dataset, batch_size=batch, threads=threads, epochs=epochs + 1, patience=epochs + 1
    )
    seconds = np.diff([line["seconds"] for line in fit.history])
    rows = dataset.sizes["sample"] - fit.error.rows
    return [float(rate) for rate in rows / seconds]


def peer_rates(
    dataset: xr.Dataset, *, python: str, threads: int, epochs: int
) -> tuple[str, list[float]]:
    """Name and samples a second of the peer's loop, in a process of `python`."""
    script = Path(__file__).with_name("brainspy_smg_loop.py")
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.npz"
        x, y = (
            dataset["voltage"].values,
            dataset["current"].values / dataset["current"].values.std(),
        )
        np.savez(rows, x=x, y=y)
        command = [python, str(script), str(rows), str(threads), str(epochs)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    result = json.loads(done.stdout.splitlines()[-1])
    return f"{result['name']} (torch {result['torch']})", result["rates"]


def throughput(
    *, rows: int = 100_000, rounds: int = 2, peer_python: str = sys.executable
) -> list[Throughput]:
    """Peer and ours in turn, `rounds` times; the peer first in the list."""
    dataset = some_rows(rows)
    collected: dict[tuple[str, int, int], list[float]] = {}
    for _ in range(rounds):
        for threads in (1, 2):
            name, rates = peer_rates(dataset, python=peer_python, threads=threads, epochs=1)
            collected.setdefault((name, PEER_BATCH, threads), []).extend(rates)
            for batch in (PEER_BATCH, 512):
                rates = our_rates(dataset, batch=batch, threads=threads, epochs=3)
                collected.setdefault(("inmateria", batch, threads), []).extend(rates)
    return [
        Throughput(*key, rate=float(np.median(rates))) for key, rates in sorted(collected.items())
    ]


def accuracy(
    device: Device, *, rows: int = 100_000, test_rows: int = 20_000, noise_na: float = 0.1
) -> Accuracy:
    """Fit uniform noisy rows of a device with the defaults; judge on fresh noiseless points."""
    rng = np.random.default_rng(2026)
    voltage = uniform_points(device.terminals, rows + test_rows, rng)
    current = np.concatenate([device.current(v) for v in np.array_split(voltage, 40)])
    noisy = current[:rows] + noise_na * rng.standard_normal((rows, current.shape[1]))
    fit = fit_surrogate(as_measurement(voltage[:rows], noisy, device.terminals))
    error = fit.surrogate.current(voltage[rows:]) - current[rows:]
    rmse = float(np.sqrt(np.mean(error**2)))
    return Accuracy(fit.history[-1]["seconds"], rmse, rmse / float(current[rows:].std()))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--accuracy", action="store_true")
    options = parser.parse_args()
    results = throughput(rows=options.rows, rounds=options.rounds, peer_python=options.peer_python)
    reference = next(r for r in results if r.name != "inmateria" and r.threads == 1)
    print(f"{'loop':42} batch threads  samples/s  ratio")
    for r in results:
        ratio = r.rate / reference.rate
        print(f"{r.name:42} {r.batch:5} {r.threads:7} {r.rate:10,.0f} {ratio:6.2f}")
    if options.accuracy:
        from inmateria.devices.dopant.network import DopantNetwork

        found = accuracy(DopantNetwork(), rows=options.rows)
        print(
            f"default dopant network, {options.rows:,} uniform rows: {found.rmse_na:.3f} nA = "
            f"{100 * found.relative:.2f} % of the standard deviation after {found.seconds:.0f} s"
        )


if __name__ == "__main__":
    main()
