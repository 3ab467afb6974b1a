"""Spectral densities of signals whose density is known."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.errors import ParameterError, ShapeError
from inmateria.signals.spectra import power_spectrum

RATE = 10_000.0


def test_white_noise_has_twice_its_variance_over_the_rate():
    noise = np.random.default_rng(0).normal(0, 3.0, (2, 400_000))
    spectrum = power_spectrum(noise, RATE, segment_s=0.05)
    inner = slice(2, -1)
    expected = 2 * 9.0 / RATE
    n = spectrum.frequency_hz[inner].size
    mean = spectrum.density[:, inner].mean(axis=1)
    # A Hann window correlates the densities of neighbouring bins, (2/3)^2 and (1/6)^2 of the
    # square: n bins count as n / (1 + 2 (4/9 + 1/36)) = n / 1.94. Five standard errors.
    error = spectrum.relative_error * np.sqrt(1.94 / n)
    np.testing.assert_allclose(mean, expected, rtol=5 * error)


def test_the_error_it_states_is_its_scatter():
    noise = np.random.default_rng(1).normal(size=(200, 20_000))
    spectrum = power_spectrum(noise, RATE, segment_s=0.05)
    inner = spectrum.density[:, 3:-3]
    scatter = (inner.std(axis=0, ddof=1) / inner.mean(axis=0)).mean()
    # The standard deviation of 200 values is known to 1 / sqrt(400) = 5 %, averaged over 244
    # bins (126 independent ones) to 0.5 %; gamma-distributed densities widen it a little.
    assert scatter == pytest.approx(spectrum.relative_error, rel=0.03)


def test_power_is_that_of_a_tone():
    t = np.arange(100_000) / RATE
    spectrum = power_spectrum(2.0 * np.sin(2 * np.pi * 1000 * t), RATE, segment_s=0.1)
    power = spectrum.density.sum() * spectrum.frequency_hz[1]
    # 1000 Hz is a whole number of cycles in 0.1 s, so nothing leaks out of three bins.
    assert power == pytest.approx(2.0, rel=1e-9)


def test_short_recordings_are_taken_in_one_segment_of_four_or_more():
    assert power_spectrum(np.arange(8.0), RATE).frequency_hz.shape == (3,)


@pytest.mark.parametrize(
    ("error", "current", "rate", "segment_s"),
    [
        (ShapeError, 1.0, RATE, None),
        (ShapeError, np.ones(7), RATE, None),
        (ParameterError, np.ones(100), 0.0, None),
        (ParameterError, np.ones(100), RATE, 1.0),
        (ParameterError, np.ones(100), RATE, 1e-4),
    ],
)
def test_what_has_no_meaning_is_refused(error, current, rate, segment_s):
    with pytest.raises(error):
        power_spectrum(current, rate, segment_s=segment_s)
