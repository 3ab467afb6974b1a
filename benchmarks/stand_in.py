"""A network model of the default device, as quick to ask as a memory: python -m benchmarks.stand_in

Homodyne detection plays 10,000 samples a second, and a dopant network solves each of them anew
(0.1 ms): a thousand seconds of device time are a thousand seconds of computing. Comparisons that
need a hundred thousand of them run on this model of the device instead: 3 layers of 64 SiLU units
(smooth, as the device is), fitted to 200,000 noiseless points drawn uniformly. What is found on it
is checked on the network itself where that is affordable.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.surrogate_fit import as_measurement, uniform_points
from inmateria.devices.dopant.network import DopantNetwork
from inmateria.surrogates.fit import fit_surrogate
from inmateria.surrogates.surrogate import Surrogate, load_surrogate

MODEL = Path(__file__).parent / "models" / "default-device"
ROWS, TEST_ROWS = 200_000, 5_000


def stand_in() -> Surrogate:
    """The model as it is kept beside the benchmarks."""
    return load_surrogate(MODEL)


def main() -> None:
    """Fit the model, say how good it is, and keep it."""
    device = DopantNetwork()
    random = np.random.default_rng(0)
    voltage = uniform_points(device.terminals, ROWS, random)
    fit = fit_surrogate(
        as_measurement(voltage, device.current(voltage), device.terminals),
        hidden=(64, 64, 64),
        activation="silu",
        epochs=40,
        drift=False,
    )
    test = uniform_points(device.terminals, TEST_ROWS, random)
    current = device.current(test)
    error = fit.surrogate.current(test) - current
    slope, exact = fit.surrogate.gradient(test), device.gradient(test)
    print(
        f"{TEST_ROWS} other points: rms error {np.sqrt((error**2).mean()):.2f} nA, "
        f"{np.sqrt((error**2).mean()) / current.std():.1%} of the spread; of the gradient "
        f"{np.sqrt(((slope - exact) ** 2).mean() / (exact**2).mean()):.1%}"
    )
    MODEL.parent.mkdir(exist_ok=True)
    print(fit.surrogate.save(MODEL))


if __name__ == "__main__":
    main()
