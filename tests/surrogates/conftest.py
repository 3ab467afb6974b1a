"""A device with a closed form, and measurements of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

LOW_V = np.array([-1.0, -0.5, -1.2])
HIGH_V = np.array([1.0, 0.8, 0.6])


def true_current(voltage: np.ndarray) -> np.ndarray:
    """Two outputs, smooth, some 10 nA."""
    a, b, c = np.moveaxis(voltage, -1, 0)
    return np.stack([10 * np.tanh(a - b) + 4 * c, 3 * a * c + 8 * np.sin(2 * b)], axis=-1)


def measure(
    n_rows: int = 2000,
    *,
    noise_na: float = 0.05,
    n_outputs: int = 2,
    rows_per_segment: int = 1,
    seed: int = 0,
) -> xr.Dataset:
    """Uniform points of the closed form with white noise, as a measurement."""
    rng = np.random.default_rng(seed)
    voltage = LOW_V + (HIGH_V - LOW_V) * rng.random((n_rows, 3))
    current = true_current(voltage) + noise_na * rng.standard_normal((n_rows, 2))
    current = current[:, :n_outputs]
    return xr.Dataset(
        {
            "voltage": (("sample", "terminal"), voltage),
            "current": (("sample", "output"), current),
            "clipped": (("sample", "output"), np.zeros(current.shape, dtype=np.int8)),
            "segment": (("sample",), np.arange(n_rows) // rows_per_segment),
        },
        coords={
            "terminal": ["a", "b", "c"],
            "output": ["x", "y"][:n_outputs],
            "low_v": ("terminal", LOW_V),
            "high_v": ("terminal", HIGH_V),
        },
        attrs={"fidelity": "simulation", "rig": '{"current_range_na": Infinity}'},
    )


@pytest.fixture(scope="session")
def measured() -> Callable[..., xr.Dataset]:
    """`measure`, for tests that need a measurement of their own."""
    return measure


@pytest.fixture(scope="session")
def truth() -> Callable[[np.ndarray], np.ndarray]:
    """Current of the measured device without noise."""
    return true_current
