"""Hopping networks: `python -m benchmarks.hopping [PART ...] [--quick]`.

Parts: hops (hops per second against the plain published algorithm in the same
run), algorithms (which of both walks reaches a standard error first), points
(an operating point of every engine, cold and warm), cores (two against one) and
cost (against the number of acceptors; writes docs/figures/cost_against_n.png).
Each part starts processes of its own, on one core unless it says otherwise.
All take some ten minutes; `--quick` measures less and notes nothing down.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

FIGURE = Path(__file__).parents[1] / "docs" / "figures" / "cost_against_n.png"
# Published programs that no package index offers: hops/s at 30 and at 200 acceptors.
PUBLISHED = {"C++": (163_000, 21_500), "Numba": (18_500, 880)}
RATES = ("glauber", "miller-abrahams")
WALKS = ("rejection-free", "null-event")


def row(what: str, *values: str) -> None:
    """One line of a table."""
    print(f"{what:56s}" + "".join(f"{v:>20s}" for v in values), flush=True)


def network(n: int, *, localisation_nm: float = 15.0, same_disc: bool = False, **options):  # type: ignore[no-untyped-def]
    """n acceptors; the disc grows with n at the default density unless `same_disc`."""
    from inmateria.devices.dopant.network import DopantNetwork
    from inmateria.devices.dopant.parameters import DopantParameters

    radius = 150.0 if same_disc else 150.0 * np.sqrt(n / 30)
    parameters = DopantParameters(
        n_acceptors=n,
        n_donors=3 if same_disc else max(1, round(n / 10)),
        radius_nm=radius,
        electrode_width_nm=min(60.0, 0.7 * radius),
        localisation_nm=localisation_nm,
        rates=options.pop("rates", "glauber"),
    )
    # The first seed whose sites all reach an electrode.
    for seed in range(options.pop("seed", 0), 100):
        try:
            return DopantNetwork(seed=seed, parameters=parameters, **options)
        except ValueError:
            continue
    raise RuntimeError(f"no seed below 100 gives a network of {n} acceptors")


def voltages(points: int, seed: int = 0) -> np.ndarray:
    """Random control settings, V."""
    return np.random.default_rng(seed).uniform(-1, 1, (points, 7))


def seconds(action: Callable[[], object], repeats: int = 3) -> float:
    """The least CPU time of some repeats, s: what other programs do adds to it."""
    best = np.inf
    for _ in range(repeats):
        began = time.process_time()
        action()
        best = min(best, time.process_time() - began)
    return float(best)


def plain():  # type: ignore[no-untyped-def]
    """The published algorithm as in the textbook: all rates with exponentials, every hop."""
    import numba

    @numba.njit
    def walk(n, v, volt, eps, K, w, we, glauber, hops, seed):  # type: ignore[no-untyped-def]
        np.random.seed(seed)  # noqa: NPY002 - what such programs do
        sites, electrodes = we.shape
        into = np.zeros(electrodes)
        clock = 0.0
        E = np.empty(sites)
        rates = np.zeros((sites + electrodes, sites + electrodes))
        for _ in range(hops):
            for i in range(sites):
                E[i] = v[i] + eps[i]
                for j in range(sites):
                    E[i] += K[i, j] * n[j]
            total = 0.0
            for i in range(sites + electrodes):
                for j in range(sites + electrodes):
                    rates[i, j] = 0.0
                    if i < sites and n[i] == 0:
                        continue
                    if j < sites and n[j] == 1:
                        continue
                    if i < sites and j < sites:
                        weight, cost = w[i, j], E[j] - E[i] - K[i, j]
                    elif i < sites:
                        weight, cost = we[i, j - sites], volt[j - sites] - E[i]
                    elif j < sites:
                        weight, cost = we[j, i - sites], E[j] - volt[i - sites]
                    else:
                        continue
                    if weight == 0.0:
                        continue
                    if glauber:
                        rates[i, j] = weight / (1.0 + np.exp(min(cost, 700.0)))
                    else:
                        rates[i, j] = weight * (np.exp(-cost) if cost > 0.0 else 1.0)
                    total += rates[i, j]
            clock -= np.log(1.0 - np.random.random()) / total  # noqa: NPY002
            level = np.random.random() * total  # noqa: NPY002
            found = False
            for i in range(sites + electrodes):
                for j in range(sites + electrodes):
                    level -= rates[i, j]
                    if level < 0.0 and rates[i, j] > 0.0:
                        found = True
                        break
                if found:
                    break
            if i < sites:
                n[i] = 0
            else:
                into[i - sites] -= 1.0
            if j < sites:
                n[j] = 1
            else:
                into[j - sites] += 1.0
        return into / clock

    return walk


def plain_speed(device, walk, hops: int) -> float:  # type: ignore[no-untyped-def]
    """Hops per second of the plain algorithm, mean of three settings."""
    basis, eps, K, w, we, _ = device.model.kernel_arrays()
    glauber = device.parameters.rates == "glauber"
    spent = 0.0
    for voltage in voltages(3):
        full = np.concatenate([[0.0], voltage])
        n = (device.occupation(voltage) > 0.5).astype(np.int64)
        arguments = (basis @ full, full / device.model.kt_ev, eps, K, w, we, glauber)
        walk(n, *arguments, 10, 0)
        spent += seconds(lambda n=n, a=arguments: walk(n, *a, hops, 1), 2)
    return 3 * hops / spent


def speed(device, algorithm: str, hops: int) -> float:  # type: ignore[no-untyped-def]
    """Hops per second of a walk, errors and warm-up and all, mean of three settings."""
    walked = []

    def run() -> None:
        found = device.monte_carlo(voltages(3), hops=hops, algorithm=algorithm)
        walked.append(int((found.n_hops + found.equilibration).sum()))

    device.monte_carlo(voltages(3), hops=1000, algorithm=algorithm)
    spent = seconds(run)
    return walked[-1] / spent


CASES = {
    "30 acceptors, a = 15 nm": {"n": 30},
    "200 acceptors, a = 20 nm, disc of the default": {
        "n": 200,
        "localisation_nm": 20.0,
        "same_disc": True,
    },
    "200 acceptors, a = 20 nm, density of the default": {"n": 200, "localisation_nm": 20.0},
}


def hops(quick: bool) -> None:
    """Hops per second, one core, against the plain algorithm in the same run."""
    walk = plain()
    print("\nhops per second, one core; in brackets: times the plain algorithm in the same run")
    row("", *WALKS, "plain, Numba")
    for name, case in CASES.items():
        for rates in RATES:
            device = network(**case, rates=rates)
            large = device.model.n_sites > 100
            peer = plain_speed(device, walk, (300 if large else 5000) // (3 if quick else 1))
            found = []
            for algorithm in WALKS:
                slow = large and algorithm == "rejection-free"
                count = (20_000 if slow else 400_000) // (4 if quick else 1)
                found.append(speed(device, algorithm, count))
            row(f"{name}, {rates}", *(f"{f:,.0f} ({f / peer:.0f})" for f in found), f"{peer:,.0f}")
    print("published, hops/s at 30 and 200 acceptors (other computers):", end=" ")
    print("; ".join(f"{k} {a:,} and {b:,}" for k, (a, b) in PUBLISHED.items()))


def algorithms(quick: bool) -> None:
    """The standard error after one CPU second a point, in units of the rms current."""
    print("\nstandard error after 1 CPU second a point / rms of the currents, in per mille")
    row("", *WALKS, "rejection-free wins")
    for n in (30, 60, 100, 140, 200):
        for same_disc in (False, True):
            device = network(n, same_disc=same_disc)
            found = []
            for algorithm in WALKS:
                device.monte_carlo(voltages(8), hops=640, algorithm=algorithm)
                began = time.process_time()
                count = (30_000 if n < 100 else 10_000) * (1 if quick else 4)
                result = device.monte_carlo(voltages(8), hops=count, algorithm=algorithm)
                spent = (time.process_time() - began) / 8
                rms = np.sqrt(np.mean(result.electrode_current**2))
                error = np.sqrt(np.mean(result.electrode_standard_error**2))
                found.append(float(error / rms * np.sqrt(spent)))
            disc = "default disc" if same_disc else "default density"
            row(
                f"{n} acceptors, {disc}",
                *(f"{1e3 * f:.2f}" for f in found),
                f"{(found[1] / found[0]) ** 2:.2f} x",
            )


def engines_for(n: int) -> list[str]:
    """Engines that take a network of n acceptors."""
    from inmateria.devices.dopant.engine import ENGINES

    return [name for name in ENGINES if name != "kmc" and (name != "exact" or n <= 9)]


def points(quick: bool) -> None:
    """An operating point, 30 acceptors, one core: random settings, and along a trajectory."""
    count = 300 if quick else 2000
    angle = np.linspace(0, 2 * np.pi, count)[:, None]
    # Seven incommensurate sines at 0.5 V; a step moves no electrode by more than 0.02 V.
    along = 0.5 * np.sin(angle * np.sqrt([2, 3, 5, 7, 11, 13, 17]) + np.arange(7))
    print("\noperating point, 30 acceptors, one core")
    row("", "random (cold)", "trajectory (warm)")
    for name in engines_for(30):
        device = network(30, engine=name)
        device.current(voltages(100))
        device.stream().current(along[:100])
        cold = seconds(lambda d=device: [d.stream().current(v[None]) for v in voltages(count)])
        warm = seconds(lambda d=device: d.stream().current(along))
        row(name, *(f"{1e3 * s / count:.3f} ms" for s in (cold, warm)))
    device = network(30)
    scale = np.sqrt(np.mean(device.current(voltages(50)) ** 2))
    few = voltages(50)
    device.monte_carlo(few, standard_error=0.3 * scale)
    spent = seconds(lambda: device.monte_carlo(few, standard_error=0.01 * scale), 1)
    row("kmc, standard error 1 % of the rms current", f"{1e3 * spent / 50:.1f} ms")


def cores(quick: bool) -> None:
    """Wall time of 1,000 operating points on one core over that on two."""
    import numba

    count = 200 if quick else 1000
    print(f"\n{count:,} random operating points, 30 acceptors, two cores against one, wall time")
    for name in [*engines_for(30), "kmc"]:
        settings = {"hops": 20_000} if name == "kmc" else {}
        device = network(30, engine=name, engine_settings=settings)
        batch = voltages(count)
        device.current(batch[:100])
        wall = {1: np.inf, 2: np.inf}
        for threads in (1, 2) * 3:
            numba.set_num_threads(threads)
            began = time.perf_counter()
            device.current(batch)
            wall[threads] = min(wall[threads], time.perf_counter() - began)
        row(name, f"{wall[1] / wall[2]:.2f} x")


def cost(quick: bool) -> None:
    """CPU time of a point against the number of acceptors, disc area growing with N."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    sizes = (10, 30, 100) if quick else (10, 20, 30, 50, 70, 100, 140, 200, 300)
    print("\nms of one core for an operating point; disc area grows with N")
    names = engines_for(30)
    curves: dict[str, list[float]] = {name: [] for name in (*names, "kmc, 100,000 hops")}
    row("acceptors", *curves)
    for n in sizes:
        for name in names:
            device = network(n, engine=name)
            # a large network takes a second a point
            count, repeats = (min(200, 6000 // n), 2) if n <= 140 else (6, 1)
            device.current(voltages(2))
            try:
                spent = seconds(lambda d=device, c=count: d.current(voltages(c)), repeats) / count
            except ArithmeticError as error:
                print(f"{name}, {n} acceptors: {error}")
                spent = np.nan
            curves[name].append(1e3 * spent)
        device = network(n)
        device.monte_carlo(voltages(1), hops=1000)
        found = []
        walk = seconds(
            lambda d=device, f=found: f.append(d.monte_carlo(voltages(2), hops=50_000)), 1
        )
        hops = (found[-1].n_hops + found[-1].equilibration).sum()
        curves["kmc, 100,000 hops"].append(float(1e3 * walk / hops * 1e5))
        row(str(n), *(f"{curve[-1]:.2f}" for curve in curves.values()))
    if quick:
        return
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for (name, curve), mark in zip(curves.items(), "os^Dv", strict=False):
        axes.loglog(sizes, curve, marker=mark, label=name)
    axes.set_xticks(sizes, [str(n) for n in sizes])
    axes.minorticks_off()
    axes.set(xlabel="acceptors (disc area grows with them)", ylabel="ms per operating point")
    axes.grid(alpha=0.3)
    axes.legend()
    FIGURE.parent.mkdir(exist_ok=True)
    figure.savefig(FIGURE, dpi=150, metadata={"Software": None})
    print(f"wrote {FIGURE.name}")


PARTS: dict[str, tuple[Callable[[bool], None], int]] = {
    "hops": (hops, 1),
    "algorithms": (algorithms, 1),
    "points": (points, 1),
    "cores": (cores, 2),
    "cost": (cost, 1),
}


def main(arguments: list[str]) -> int:
    """Print the tables, every part in a process with the number of threads that it wants."""
    quick = "--quick" in arguments
    here = "--here" in arguments
    chosen = [a for a in arguments if not a.startswith("--")]
    unknown = set(chosen) - set(PARTS)
    if unknown:
        print(
            f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}", file=sys.stderr
        )
        return 2
    for part in chosen or PARTS:
        action, threads = PARTS[part]
        if here:
            action(quick)
            continue
        command = [sys.executable, "-m", "benchmarks.hopping", part, "--here"]
        environment = os.environ | {"NUMBA_NUM_THREADS": str(threads), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command + ["--quick"] * quick, env=environment, check=False)
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
