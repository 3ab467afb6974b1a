"""Lines of the mains: found where they are, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.errors import ShapeError
from inmateria.rigs.noise import PowerLawNoise
from inmateria.signals.mains import mains_lines, near_mains

RATE = 2000.0


def noise(n_channels: int, seconds: float, seed: int) -> np.ndarray:
    stream = PowerLawNoise(1e-4, 100.0, 1.5).stream(n_channels, RATE, seed=seed)
    return stream.next(round(seconds * RATE))


def test_lines_are_found_with_their_amplitudes() -> None:
    recording = noise(3, 4.0, 1)
    t = np.arange(recording.shape[1]) / RATE
    # A grid that is a tenth of a hertz off, between two bins, and its third harmonic.
    recording[1] += 0.5 * np.sin(2 * np.pi * 49.9 * t + 1) + 0.05 * np.sin(2 * np.pi * 149.7 * t)
    recording[2] += 0.2 * np.cos(2 * np.pi * 60.0 * t)
    found = mains_lines(recording, RATE)
    assert [(line.channel, round(line.frequency_hz)) for line in found] == [
        (1, 50),
        (1, 150),
        (2, 60),
    ]
    for line, amplitude in zip(found, (0.5, 0.05, 0.2), strict=True):
        # Five bins of a Hann lobe hold 99.9 % of a tone between two bins.
        assert line.amplitude == pytest.approx(amplitude, abs=5 * line.standard_error + 2e-3)
        assert line.standard_error < 0.1 * amplitude


def test_noise_alone_shows_hardly_any() -> None:
    # 100 channels at a thousandth each: 0.1 expected, and 3 in one of 6000 runs.
    assert len(mains_lines(noise(100, 2.0, 2), RATE)) < 3


def test_a_tone_elsewhere_is_no_line() -> None:
    t = np.arange(8000) / RATE
    assert mains_lines(noise(1, 4.0, 3) + np.sin(2 * np.pi * 73.0 * t), RATE) == ()


def test_what_is_too_short_or_slow_shows_none() -> None:
    t = np.arange(400) / RATE
    assert mains_lines(noise(1, 0.2, 4) + np.sin(2 * np.pi * 50 * t), RATE) == ()
    assert mains_lines(np.random.default_rng(0).normal(size=(1, 400)), 20.0) == ()
    with pytest.raises(ShapeError):
        mains_lines(t, RATE)


def test_near_mains() -> None:
    f = [49.0, 51.6, 118.5, 5.0, 300.0, 0.5]
    assert near_mains(f, within_hz=1.55).tolist() == [True, False, True, False, True, False]
