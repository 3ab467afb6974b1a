"""Demodulating a batch of recordings: `python -m benchmarks.demodulation`.

256 operating points x 1,000 samples x 7 tones by the paper's chain: mean removed,
mixed with sine and cosine, third-order Butterworth low-pass, last value, divided
by the gain at the end. Three ways, on one core, in turns:

- one `scipy.signal.sosfilt` for each point, tone and quadrature, as a script
  around a lock-in would do it;
- the same with all mixed signals in one array, one call of `sosfilt`;
- one matrix product with precomputed weights.

The least process time of several turns counts, since anything else on the
machine only adds to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from scipy.signal import butter, sosfilt
from threadpoolctl import threadpool_limits

from inmateria.devices.device import FloatArray
from inmateria.signals.lockin import SETTLED_CUTOFF, butterworth

POINTS, SAMPLES, RATE = 256, 1000, 10_000.0
FREQUENCY_HZ = np.arange(760.0, 1001.0, 40.0)
TURNS = 7
FASTER_THAN_LOOP, FASTER_THAN_VECTORISED, EQUAL_TO = 100, 30, 1e-9


def mixers() -> FloatArray:
    """Sine and cosine of every tone, (2 n_tones, n_samples)."""
    angle = 2 * np.pi * FREQUENCY_HZ[:, None] * np.arange(SAMPLES) / RATE
    return np.concatenate([np.sin(angle), np.cos(angle)])


def filter_and_gain() -> tuple[FloatArray, float]:
    """Sections of the low-pass, and what it makes of a constant at the window's end."""
    sos = butter(3, SETTLED_CUTOFF * RATE / SAMPLES, fs=RATE, output="sos")
    return sos, float(sosfilt(sos, np.ones(SAMPLES))[-1])


def by_loop(current: FloatArray) -> FloatArray:
    """(n_points, n_samples) to (n_points, 2 n_tones), a filter at a time."""
    sos, gain = filter_and_gain()
    mixer = mixers()
    found = np.empty((len(current), len(mixer)))
    for k, row in enumerate(current):
        centred = row - row.mean()
        for m, wave in enumerate(mixer):
            found[k, m] = sosfilt(sos, 2 * centred * wave)[-1] / gain
    return found


def vectorised(current: FloatArray) -> FloatArray:
    """The same with one call of the filter."""
    sos, gain = filter_and_gain()
    centred = current - current.mean(axis=1, keepdims=True)
    mixed = 2 * centred[:, None, :] * mixers()
    return np.asarray(sosfilt(sos, mixed, axis=-1)[..., -1] / gain)


def main() -> None:
    """Print times and the difference."""
    random = np.random.default_rng(0)
    amplitude = random.normal(0, 0.4, (POINTS, 2 * FREQUENCY_HZ.size))
    current = amplitude @ mixers() + random.normal(0, 0.1, (POINTS, SAMPLES)) + 20.0
    demodulator = butterworth(FREQUENCY_HZ, rate=RATE, n_samples=SAMPLES)

    def product(values: FloatArray) -> FloatArray:
        phasors = demodulator(values)
        return np.concatenate([phasors.in_phase, phasors.quadrature], axis=1)

    ways: dict[str, tuple[Callable[[FloatArray], FloatArray], int]] = {
        "loop of sosfilt": (by_loop, 1),
        "sosfilt, vectorised": (vectorised, 3),
        "matrix product": (product, 100),
    }
    least = dict.fromkeys(ways, np.inf)
    results = {name: way(current) for name, (way, _) in ways.items()}
    with threadpool_limits(1):
        for _ in range(TURNS):
            for name, (way, calls) in ways.items():
                began = time.process_time()
                for _ in range(calls):
                    way(current)
                least[name] = min(least[name], (time.process_time() - began) / calls)
    fastest = least["matrix product"]
    reference = results["loop of sosfilt"]
    goal = (f"({FASTER_THAN_LOOP} or more)", f"({FASTER_THAN_VECTORISED} or more)", "")
    print(f"{POINTS} points x {SAMPLES} samples x {FREQUENCY_HZ.size} tones, one core")
    print(f"off the loop by, relative to the maximum: goal {EQUAL_TO:g}")
    print(f"{'':20s} {'time':>10s}  times the product's (goal)  off the loop by")
    for (name, seconds), wanted in zip(least.items(), goal, strict=True):
        off = np.abs(results[name] - reference).max() / np.abs(reference).max()
        times = f"{seconds / fastest:.0f} {wanted}"
        print(f"{name:20s} {1e3 * seconds:7.3f} ms  {times:26s} {off:.1e}")


if __name__ == "__main__":
    main()
