"""Network models of devices, as quick to ask as a memory: python -m benchmarks.stand_in [SEED ...]

Homodyne detection plays 10,000 samples a second, and a dopant network solves each of them anew
(0.1 ms): a thousand seconds of device time are a thousand seconds of computing. Comparisons that
need a hundred thousand of them run on such a model of the device instead: 3 layers of 64 SiLU units
(smooth, as the device is), fitted to 200,000 noiseless points drawn uniformly. What is found on it
is checked on the network itself where that is affordable.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from benchmarks.surrogate_fit import as_measurement, uniform_points
from inmateria.devices.dopant.network import DopantNetwork
from inmateria.surrogates.fit import fit_surrogate
from inmateria.surrogates.surrogate import Surrogate, load_surrogate

MODELS = Path(__file__).parent / "models"
DEFAULT = 91
ROWS, TEST_ROWS = 200_000, 5_000


def path_of(seed: int) -> Path:
    """Where the model of a device is kept."""
    return MODELS / ("default-device" if seed == DEFAULT else f"device-{seed}")


def stand_in(seed: int = DEFAULT) -> Surrogate:
    """The model of a device as it is kept beside the benchmarks."""
    return load_surrogate(path_of(seed))


def fit(seed: int) -> None:
    """Fit the model of a device, say how good it is, and keep it."""
    device = DopantNetwork(seed=seed)
    random = np.random.default_rng(0)
    voltage = uniform_points(device.terminals, ROWS, random)
    found = fit_surrogate(
        as_measurement(voltage, device.current(voltage), device.terminals),
        hidden=(64, 64, 64),
        activation="silu",
        epochs=40,
        drift=False,
    ).surrogate
    test = uniform_points(device.terminals, TEST_ROWS, random)
    current = device.current(test)
    error = found.current(test) - current
    slope, exact = found.gradient(test), device.gradient(test)
    print(
        f"seed {seed}, {TEST_ROWS} other points: rms error {np.sqrt((error**2).mean()):.2f} nA, "
        f"{np.sqrt((error**2).mean()) / current.std():.1%} of the spread; of the gradient "
        f"{np.sqrt(((slope - exact) ** 2).mean() / (exact**2).mean()):.1%}"
    )
    MODELS.mkdir(exist_ok=True)
    print(found.save(path_of(seed)).name)


def main() -> None:
    """Fit the models of these seeds, by default of the default device."""
    for seed in sys.argv[1:] or [DEFAULT]:
        fit(int(seed))


if __name__ == "__main__":
    main()
