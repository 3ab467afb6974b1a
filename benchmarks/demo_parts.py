"""The figures of the main job, part by part: `python -m benchmarks.demo_parts [PART ...]`.

Parts: engines, rig, sampling (data of all three designs, then a surrogate from
each), gates, throughput, real-devices. All by default, some ten minutes on two
cores; `sampling` with plateaus takes most of them. Parts that need the
reference arrays or models say so where these are absent.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import gates_real_devices, surrogate_fit
from inmateria.data.designs import Plateaus, Sinusoids, Triangles
from inmateria.data.measurement import open_measurement
from inmateria.data.sampling import sample
from inmateria.devices.dopant.network import DEFAULT_SEED, DopantNetwork
from inmateria.rigs.guard import Guard
from inmateria.rigs.simulated import SimulatedRig
from inmateria.signals.sweeps import sweep
from inmateria.surrogates.fit import fit_surrogate
from inmateria.surrogates.surrogate import Surrogate
from inmateria.tasks.gates import gates
from inmateria.training.train import train_all

REFERENCE = Path(__file__).parents[2] / "shared" / "reference" / "dopant_network.npz"
ARRAYS = (
    "electrode_basis",
    "site_energy_kt",
    "pair_coulomb_kt",
    "pair_weight",
    "electrode_weight",
)
ROWS = 100_000
TEST_POINTS = 20_000
INPUTS = ("e2", "e6")


def row(what: str, value: str, goal: str = "") -> None:
    """One line of the table."""
    print(f"{what:58s} {value:>24s}  {goal}", flush=True)


def engines() -> None:
    """Engines against the reference, gradient against differences, cost of a point."""
    if REFERENCE.exists():
        with np.load(REFERENCE) as file:
            arrays = {name: file[name] for name in file.files}
        for engine, prefix, kind, goal in (
            ("exact", "n9_", "exact", "1e-9"),
            ("meanfield", "n30_", "meanfield", "1e-6"),
        ):
            for rates in ("miller-abrahams", "glauber"):
                device = DopantNetwork.from_arrays(
                    **{name: arrays[prefix + name] for name in ARRAYS}, engine=engine, rates=rates
                )
                got = device.current(arrays[prefix + "voltage_v"][:, 1:])[:, 0] / device.nanoampere
                expected = arrays[f"{prefix}current_{kind}_{rates.replace('-', '_')}"]
                worst = np.abs(got - expected).max() / np.abs(expected).max()
                row(f"{engine}, {rates}: largest error / largest current", f"{worst:.1e}", goal)
                if engine == "meanfield" and rates == "miller-abrahams":
                    judge = arrays["n30_current_kmc_miller_abrahams"]
                    error = np.sqrt(np.mean((got - judge) ** 2) / np.mean(judge**2))
                    row("meanfield against Monte Carlo, rms", f"{100 * error:.2f} %", "3.5 %")
    else:
        print("engines: no reference arrays in ../shared/reference; comparison left out")
    device = DopantNetwork()
    voltage = np.random.default_rng(0).uniform(-1, 1, (200, 7))
    step = 1e-5 * np.eye(7)
    up, down = (device.current(voltage[:, None] + s * step)[..., 0] for s in (1, -1))
    differences = (up - down) / 2e-5
    error = np.abs(device.gradient(voltage)[:, 0] - differences).max() / np.abs(differences).max()
    row("gradient against central differences", f"{error:.1e}", "1e-5")
    total = device.electrode_current(voltage)
    worst = np.abs(total.sum(axis=-1)).max() / np.abs(total).max()
    row("sum of all electrode currents / largest", f"{worst:.1e}")
    share = zero_bias_currents()
    row("zero bias: largest current / spread, default device", f"{100 * share[DEFAULT_SEED]:.2f} %")
    shown = ", ".join(f"{100 * s:.1f}" for s in np.percentile(share, [50, 95, 100]))
    row("the same, 100 seeds: median, 95th percentile, worst", f"{shown} %")
    points = np.random.default_rng(1).uniform(-1, 1, (5000, 7))
    began = time.perf_counter()
    device.current(points)
    row("random operating point, all cores", f"{(time.perf_counter() - began) / 5e3 * 1e6:.0f} us")


def zero_bias_currents() -> np.ndarray:
    """Largest electrode current with all electrodes at 0 V, in units of the current's spread.

    Zero in truth; the pair term of the mean field leaves some. One number per seed, (100,).
    """
    voltage = np.random.default_rng(0).uniform(-1, 1, (50, 7))
    devices = (DopantNetwork(seed=seed) for seed in range(100))
    return np.array(
        [
            np.abs(device.electrode_current(np.zeros(7))).max() / device.current(voltage).std()
            for device in devices
        ]
    )


def rig() -> None:
    """How much faster than real time the default rig plays seven tones."""
    device = DopantNetwork()
    seconds = 10.0
    with Guard(SimulatedRig(device)) as guard:
        path = sweep(guard.terminals, kind="sinusoid", base_hz=8.0, seed=0)
        tones = path.at(0, round(seconds * guard.rate), guard.rate)
        guard.ramp_to(tones[:, 0])
        began = time.perf_counter()
        guard.play(tones)
        wall = time.perf_counter() - began
    row("play, 7 tones at 10 kS/s: times real time", f"{seconds / wall:.2f}", "1")


def sampling(*chosen: str) -> Surrogate:
    """100,000 rows by each design, a surrogate from each, judged on uniform points."""
    device = DopantNetwork()
    test = np.random.default_rng(99).uniform(-1, 1, (TEST_POINTS, 7))
    truth = device.current(test)
    designs = {
        "sinusoids, 10 kS/s": (10_000.0, Sinusoids(ROWS / 10_000)),
        "sinusoids, 1 kS/s": (1_000.0, Sinusoids(ROWS / 1_000)),
        "triangles, 1 kS/s": (1_000.0, Triangles(ROWS / 1_000)),
        "plateaus, 10 kS/s": (10_000.0, Plateaus(ROWS, order="tour")),
    }
    surrogate = None
    for name in chosen or designs:
        rate, design = designs[name]
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            with Guard(SimulatedRig(device, rate=rate, seed=5)) as guard:
                path = sample(guard, design, path=Path(folder) / "m.nc")
            sampled = time.perf_counter() - began
            dataset = open_measurement(path)
        began = time.perf_counter()
        surrogate = fit_surrogate(dataset).surrogate
        fitted = time.perf_counter() - began
        error = np.sqrt(np.mean((surrogate.current(test) - truth) ** 2)) / truth.std()
        if not isinstance(design, Plateaus):
            plain = fit_surrogate(dataset, drift=False).surrogate
            with_drift = np.sqrt(np.mean((plain.current(test) - truth) ** 2)) / truth.std()
            row(f"{name}: error with the drift left in", f"{100 * with_drift:.2f} %")
        row(f"{name}: sampling {ROWS:,} rows", f"{sampled:.0f} s")
        row(f"{name}: training", f"{fitted:.0f} s", "60 s")
        row(f"{name}: error on {TEST_POINTS:,} uniform points", f"{100 * error:.2f} %", "4 %")
    assert surrogate is not None
    return surrogate


def gate_training(surrogate: Surrogate) -> None:
    """All 14 non-constant gates on a surrogate."""
    tasks = [gate for gate in gates(INPUTS, device=surrogate) if not gate.constant]
    began = time.perf_counter()
    solutions = train_all(tasks, surrogate)
    wall = time.perf_counter() - began
    passed = sum(bool(s.score.passed) for s in solutions)
    row("14 gates on the surrogate, all together", f"{wall:.1f} s", "20 s")
    row("of these found, margin above the task's", f"{passed}")


PARTS = ("engines", "rig", "sampling", "gates", "throughput", "real-devices")


def main(parts: list[str]) -> int:
    """Print the table."""
    unknown = set(parts) - set(PARTS)
    if unknown:
        print(
            f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}", file=sys.stderr
        )
        return 2
    chosen = parts or list(PARTS)
    with contextlib.redirect_stdout(io.StringIO()):
        warm = DopantNetwork()  # compile before anything is timed
        warm.gradient(np.zeros(7))
        warm.current(np.zeros(7))
    print(f"{'figure':58s} {'measured':>24s}  goal")
    if "engines" in chosen:
        engines()
    if "rig" in chosen:
        rig()
    surrogate = None
    if "sampling" in chosen:
        surrogate = sampling()
    if "gates" in chosen:
        gate_training(surrogate or sampling("triangles, 1 kS/s"))
    if "throughput" in chosen:
        print("\ntraining throughput, same rows and network, in turns")
        sys.argv = ["surrogate_fit"]
        surrogate_fit.main()
    if "real-devices" in chosen:
        print("\nmodels of real devices")
        gates_real_devices.main()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
