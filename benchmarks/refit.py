"""What a refit is worth on a device that has changed: `python -m benchmarks.refit [PART ...]`.

Parts: verdicts, and the changes (nothing, converter, lever-arm, dopants), a row of a table each.

The old surrogate is fitted to 60 s of the default device (triangles at 1 kS/s,
noise on; three layers of 64, so that the table takes minutes). Then the device
changes: the converter's gain by 5 % and its offset by 1.5 nA; the coupling of
one electrode to the dopants (its lever arm) by 5 %; the energy of every dopant
by 6 meV, drawn anew, a sixteenth of the disorder; or nothing. 10 s and 30 s of the
changed device are recorded, other noise on, and given to a refit and to a fresh
fit; 60 s of it to a fresh fit are the bound. Errors are those at 5,000 uniform
points against the changed device without noise, with their common offset and
without it: 10 s of 1/f noise leave an offset of a nanoampere in any fit.

`verdicts` counts what comparisons of the old surrogate with each device at 200
random points end in, each with other points and other noise.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import xarray as xr

from inmateria.data.designs import Triangles
from inmateria.data.measurement import open_measurement
from inmateria.data.sampling import sample
from inmateria.devices.device import Device
from inmateria.devices.dopant.network import DopantNetwork
from inmateria.rigs.guard import Guard
from inmateria.rigs.simulated import SimulatedRig
from inmateria.surrogates.fit import fit_surrogate
from inmateria.surrogates.refit import refit_surrogate
from inmateria.surrogates.surrogate import Surrogate
from inmateria.training.random_points import compare_at_random_points

RATE_HZ = 1000.0
LONG_S, SHORT_S = 60, (10, 30)
TEST_POINTS = 5000
COMPARISONS = 12
NETWORK = {"hidden": (64, 64, 64)}
# A fresh fit of few rows needs more passes over them: as many steps as of the long one, or nearly.
EPOCHS = {10: 120, 30: 60, LONG_S: 40}
ELECTRODE = 1
MOVED_MEV = 6.0


class Converted:
    """A device behind a converter of another gain and offset."""

    def __init__(self, device: DopantNetwork, gain: float, offset_na: float) -> None:
        self.device, self.gain, self.offset_na = device, gain, offset_na
        self.terminals, self.outputs = device.terminals, device.outputs

    def current(self, voltage: np.ndarray) -> np.ndarray:
        """(..., n_terminals) V to (..., n_outputs) nA."""
        return np.asarray(self.gain * self.device.current(voltage) + self.offset_na)

    def describe(self) -> dict[str, object]:
        """As the device itself: the converter is not part of it."""
        return self.device.describe()


def changed_devices() -> dict[str, Device]:
    """The default device and three that it may turn into."""
    device = DopantNetwork()
    model = device.model
    kept = {
        name: getattr(model, name)
        for name in ("pair_coulomb_kt", "pair_weight", "electrode_weight", "temperature_k")
    }
    lever = model.electrode_basis.copy()
    lever[:, ELECTRODE] *= 1.05
    drawn = np.random.default_rng(0).standard_normal(len(model.site_energy_kt))
    moved = model.site_energy_kt + drawn * MOVED_MEV / (0.0861733 * model.temperature_k)
    return {
        "nothing": device,
        "converter": Converted(device, 1.05, 1.5),
        "lever-arm": DopantNetwork.from_arrays(
            electrode_basis=lever, site_energy_kt=model.site_energy_kt, **kept
        ),
        "dopants": DopantNetwork.from_arrays(
            electrode_basis=model.electrode_basis, site_energy_kt=moved, **kept
        ),
    }


def record(device: Device, seed: int) -> xr.Dataset:
    """A minute of a device, noise on."""
    with tempfile.TemporaryDirectory() as folder:
        with Guard(SimulatedRig(device, rate=RATE_HZ, seed=seed)) as guard:
            path = sample(guard, Triangles(float(LONG_S), seed=seed), path=Path(folder) / "m.nc")
        return open_measurement(path)


def beginning(dataset: xr.Dataset, seconds: int) -> xr.Dataset:
    """The first seconds of a recording."""
    return dataset.isel(sample=slice(0, round(seconds * RATE_HZ)))


def error(surrogate: Surrogate, test: np.ndarray, truth: np.ndarray) -> str:
    """Rms error at the test points, nA, and in brackets without the common offset."""
    away = surrogate.current(test) - truth
    return f"{np.sqrt(np.mean(away**2)):.2f} ({away.std():.2f})"


def verdicts(old: Surrogate, device: Device) -> str:
    """How often a comparison at random points ends in which verdict."""
    found = Counter(
        compare_at_random_points(
            old, SimulatedRig(device, rate=RATE_HZ, seed=100 + seed), seed=seed
        ).verdict
        for seed in range(COMPARISONS)
    )
    return ", ".join(f"{verdict} {found[verdict]}" for verdict in ("agrees", "drifted", "parted"))


def row(old: Surrogate, name: str, device: Device, test: np.ndarray) -> list[str]:
    """Errors of the old surrogate, of refits and of fresh fits on a device."""
    truth = device.current(test)
    data = record(device, 11)
    cells, last = [name, error(old, test, truth)], []
    for seconds in SHORT_S:
        short = beginning(data, seconds)
        refitted = refit_surrogate(old, short)
        last.append(refitted.last_step)
        fresh = fit_surrogate(short, **NETWORK, epochs=EPOCHS[seconds])
        cells += [error(s, test, truth) for s in (refitted.surrogate, fresh.surrogate)]
    bound = fit_surrogate(data, **NETWORK, epochs=EPOCHS[LONG_S]).surrogate
    return [*cells, error(bound, test, truth), ", ".join(last)]


def main(parts: list[str]) -> int:
    """Print the verdicts, then the table."""
    devices = changed_devices()
    unknown = set(parts) - {"verdicts", *devices}
    if unknown:
        known = ", ".join(["verdicts", *devices])
        print(f"no part {', '.join(sorted(unknown))}; there are {known}", file=sys.stderr)
        return 2
    began, cpu = time.perf_counter(), time.process_time()
    test = np.random.default_rng(99).uniform(-1, 1, (TEST_POINTS, 7))
    old = fit_surrogate(record(devices["nothing"], 5), **NETWORK, epochs=EPOCHS[LONG_S]).surrogate
    stated = ", ".join(f"{name} {value:.3g}" for name, value in old.error.items())
    print(f"old surrogate: {stated}", flush=True)
    if not parts or "verdicts" in parts:
        for name, device in devices.items():
            print(f"{name:>12s}: {verdicts(old, device)}", flush=True)
    chosen = [name for name in devices if not parts or name in parts]
    if chosen:
        spread = devices["nothing"].current(test).std()
        print(f"errors in nA, in brackets without offset; spread {spread:.1f} nA")
        short = (f"{kind} {s} s" for s in SHORT_S for kind in ("refit", "fresh"))
        heads = ["changed", "old", *short, f"fresh {LONG_S} s", "last step, 10 s and 30 s"]
        print("  ".join(f"{head:>12s}" for head in heads), flush=True)
    for name in chosen:
        cells = row(old, name, devices[name], test)
        print("  ".join(f"{cell:>12s}" for cell in cells), flush=True)
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(f"{wall:.0f} s, of which {cpu:.0f} s on the processor")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
