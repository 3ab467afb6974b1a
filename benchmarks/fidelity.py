"""How far the fast engines are from Monte Carlo: `python -m benchmarks.fidelity [DEVICES [RATES]]`.

Random devices of the default kind (seeds from 1,000 up: none was used to choose
anything), 50 uniformly drawn operating points each. Monte Carlo walks until the
standard error of the output is at most 1 % of the device's rms current. A
device's error is

    sqrt(<(I - I_mc)^2 - s^2>) / sqrt(<I_mc^2>)

with s the standard error: the noise of the judge is subtracted. Results gather
in a file beside the figure, device by device, so that a run that was stopped
goes on; the figure is docs/figures/fidelity.png. `python -m benchmarks.fidelity times` compares the
engines' CPU times on the first twenty of these devices, on one core.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from inmateria.devices.device import FloatArray
from inmateria.devices.dopant.network import DopantNetwork
from inmateria.devices.dopant.parameters import DopantParameters

FIRST_SEED = 1000
POINTS = 50
SHARE = 0.01
ENGINES = ("meanfield", "correlated")
# Errors below this are lost in the noise of the judge.
LOWEST_PERCENT = 0.1
FIGURE = Path(__file__).parents[1] / "docs" / "figures" / "fidelity.png"
STORE = Path(__file__).parent / "fidelity.json"


def judge(seed: int, rates: str) -> dict[str, Any]:
    """Errors, times and Monte Carlo effort of one device."""
    parameters = DopantParameters(rates=rates)
    devices = {
        name: DopantNetwork(seed=seed, parameters=parameters, engine=name) for name in ENGINES
    }
    terminals = len(devices["meanfield"].terminals)
    voltage = np.random.default_rng([seed, 1]).uniform(-1, 1, (POINTS, terminals))
    currents = {name: device.current(voltage)[:, 0] for name, device in devices.items()}
    began = time.perf_counter()
    rms = float(np.sqrt(np.mean(currents["correlated"] ** 2)))
    truth = devices["meanfield"].monte_carlo(voltage, standard_error=SHARE * rms, seed=seed)
    seconds = time.perf_counter() - began
    current, error = truth.current[:, 0], truth.standard_error[:, 0]
    scale = float(np.sqrt(np.mean(current**2) - np.mean(error**2)))
    row: dict[str, Any] = {
        "seed": seed,
        "rates": rates,
        "rms_na": scale,
        "standard_error": float(np.sqrt(np.mean(error**2))) / scale,
        "reached": int(truth.reached.sum()),
        "seconds": seconds,
        "hops": int(truth.n_hops.sum()),
    }
    for name, found in currents.items():
        square = np.mean((found - current) ** 2 - error**2)
        row[name] = float(np.sqrt(max(square, 0.0))) / scale
    return row


def load() -> list[dict[str, Any]]:
    """What earlier runs have found."""
    return json.loads(STORE.read_text()) if STORE.exists() else []


def summary(rows: list[dict[str, Any]], rates: str) -> None:
    """Median, 95th percentile and worst of every engine."""
    chosen = [row for row in rows if row["rates"] == rates]
    if not chosen:
        return
    seconds = sum(row["seconds"] for row in chosen)
    print(
        f"{rates}: {len(chosen)} devices, {POINTS} points each, Monte Carlo standard error "
        f"{100 * np.median([row['standard_error'] for row in chosen]):.2f} % in the median device, "
        f"{100 * max(row['standard_error'] for row in chosen):.2f} % at worst, {seconds:.0f} s"
    )
    print(f"{'engine':12s} {'median':>8s} {'95th':>8s} {'worst':>8s}")
    for name in ENGINES:
        error = 100 * np.array([row[name] for row in chosen])
        print(
            f"{name:12s} {np.median(error):6.2f} % {np.quantile(error, 0.95):6.2f} % "
            f"{error.max():6.2f} %"
        )


def at_rest(rows: list[dict[str, Any]], rates: str) -> None:
    """Largest current with all electrodes at 0 V, where there should be none."""
    chosen = [row for row in rows if row["rates"] == rates]
    for name in ENGINES:
        share = []
        for row in chosen:
            device = DopantNetwork(
                seed=row["seed"], parameters=DopantParameters(rates=rates), engine=name
            )
            rest = np.abs(device.electrode_current(np.zeros(len(device.terminals)))).max()
            share.append(100 * rest / row["rms_na"])
        print(
            f"{name:12s} with all electrodes at 0 V: {np.median(share):.3f} % of the rms current "
            f"in the median device, {np.quantile(share, 0.95):.2f} % at the 95th percentile, "
            f"{max(share):.1f} % at worst"
        )


def seconds(action: Callable[[FloatArray], FloatArray], voltage: FloatArray) -> float:
    """CPU time per operating point, s."""
    began = time.process_time()
    action(voltage)
    return (time.process_time() - began) / len(voltage)


def times(devices: int = 20, points: int = 256, repeats: int = 8) -> None:
    """CPU time of a random operating point, of a point along a walk and of a gradient."""
    import numba

    numba.set_num_threads(1)
    table = np.empty((devices, 3, len(ENGINES)))
    for k in range(devices):
        generator = np.random.default_rng(k)
        pair = [DopantNetwork(seed=FIRST_SEED + k, engine=name) for name in ENGINES]
        terminals = len(pair[0].terminals)
        apart = generator.uniform(-1, 1, (points, terminals))
        # steps of 4 mV, reflected at the ends of the range
        walk = np.cumsum(generator.normal(0, 0.004, (4 * points, terminals)), axis=0)
        walk = np.abs((walk + 1) % 4 - 2) - 1
        best = np.full((3, len(ENGINES)), np.inf)
        for _ in range(repeats):
            # engines in turns, so that whatever slows the machine slows both
            for e, device in enumerate(pair):
                best[0, e] = min(best[0, e], seconds(device.current, apart))
                best[1, e] = min(best[1, e], seconds(device.stream().current, walk))
                best[2, e] = min(best[2, e], seconds(device.gradient, apart[:64]))
        table[k] = best
    print(f"{devices} devices, one core, CPU time")
    for i, what in enumerate(("random operating point", "along a walk of 4 mV steps", "gradient")):
        ratio = table[:, i, 1] / table[:, i, 0]
        print(
            f"{what:28s} meanfield {1e6 * np.median(table[:, i, 0]):5.0f} us   correlated "
            f"{1e6 * np.median(table[:, i, 1]):5.0f} us   ratio {np.median(ratio):.1f} in the "
            f"median, {ratio.max():.1f} at worst"
        )


def draw(rows: list[dict[str, Any]], path: Path = FIGURE) -> None:
    """Error of every device, both engines, in the order of the mean field's."""
    from matplotlib.figure import Figure

    chosen = sorted(
        (row for row in rows if row["rates"] == "glauber"), key=lambda row: row["meanfield"]
    )
    figure = Figure(figsize=(7.2, 3.8), layout="constrained")
    axes = figure.add_subplot()
    place = np.arange(1, len(chosen) + 1)
    for name, colour, label in (
        ("meanfield", "#9a8c7b", "mean field with the pair term"),
        ("correlated", "#1f6f8b", "correlated"),
    ):
        error = 100 * np.array([row[name] for row in chosen])
        seen = error > LOWEST_PERCENT
        axes.plot(place[seen], error[seen], "o", ms=3.5, color=colour, label=label)
        below = np.full((~seen).sum(), LOWEST_PERCENT)
        axes.plot(place[~seen], below, "v", ms=4.5, color=colour, clip_on=False)
        axes.axhline(float(np.median(error)), color=colour, lw=1.0)
        axes.axhline(float(np.quantile(error, 0.95)), color=colour, lw=1.0, ls="--")
    axes.set(
        xlabel="random devices, sorted by the error of the mean field",
        ylabel="error against Monte Carlo\n(% of the device's rms current)",
        yscale="log",
        ylim=(LOWEST_PERCENT, 100),
    )
    axes.set_yticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
    axes.grid(alpha=0.3, which="major")
    title = "solid: median, dashed: 95th percentile, triangles: below the judge's noise"
    axes.legend(title=title, loc="upper left", frameon=False, alignment="left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    print(f"figure: {path}")


def main(devices: int = 100, rates: str = "glauber") -> None:
    """Judge what is missing, then print and draw."""
    rows = load()
    done = {(row["seed"], row["rates"]) for row in rows}
    for seed in range(FIRST_SEED, FIRST_SEED + devices):
        if (seed, rates) in done:
            continue
        row = judge(seed, rates)
        rows.append(row)
        STORE.write_text(json.dumps(rows, indent=1) + "\n")
        print(
            f"seed {seed}  {row['rms_na']:6.1f} nA  meanfield {100 * row['meanfield']:5.2f} %  "
            f"correlated {100 * row['correlated']:5.2f} %  (Monte Carlo "
            f"{100 * row['standard_error']:.2f} %, {row['seconds']:.0f} s)",
            flush=True,
        )
    summary(rows, rates)
    at_rest(rows, rates)
    draw(rows)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments == ["times"]:
        times()
        sys.exit()
    main(int(arguments[0]) if arguments else 100, *arguments[1:2])
