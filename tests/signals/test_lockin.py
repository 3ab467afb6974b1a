"""Demodulation: exact amplitudes, and the paper's chain sample by sample."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from inmateria.errors import FrequencyPlanError, ParameterError, ShapeError
from inmateria.signals.lockin import SETTLED_CUTOFF, butterworth, least_squares, lowpass_weights

RATE, N = 10_000.0, 1000
T = np.arange(N) / RATE
ODD = np.arange(850.0, 990.0, 20.0)


def recording(frequency: np.ndarray, amplitude: np.ndarray, angle: np.ndarray) -> np.ndarray:
    return np.asarray((amplitude * np.sin(2 * np.pi * np.outer(T, frequency) + angle)).sum(axis=1))


@pytest.mark.parametrize("taper", ["none", "hann"])
@pytest.mark.parametrize("frequency", [ODD, 850 + 20.7 * np.arange(7), np.array([873.1])])
def test_least_squares_gives_amplitude_and_phase_whatever_the_offset_and_drift(
    taper: str, frequency: np.ndarray
) -> None:
    random = np.random.default_rng(0)
    amplitude, angle = random.uniform(0.1, 1, frequency.size), random.uniform(-3, 3, frequency.size)
    played = random.uniform(-3, 3, frequency.size)
    current = 20 + 300 * T + recording(frequency, amplitude, played + angle)
    read = least_squares(frequency, rate=RATE, n_samples=N, phase=played, taper=taper)(current)
    # Solved to rounding: 1e-16 x 50 nA x a condition number below 100.
    np.testing.assert_allclose(read.amplitude, amplitude, atol=1e-11)
    np.testing.assert_allclose(read.angle, angle, atol=1e-10)
    np.testing.assert_allclose(read.in_phase, amplitude * np.cos(angle), atol=1e-11)
    np.testing.assert_allclose(read.complex, amplitude * np.exp(1j * angle), atol=1e-11)


def test_whole_cycles_of_the_window_are_orthogonal() -> None:
    # Consecutive bins, 1 / T apart: without a drift the fit is the discrete Fourier transform.
    frequency = 10.0 * np.arange(80, 90)
    fit = least_squares(frequency, rate=RATE, n_samples=N, drift_order=0)
    angle = 2 * np.pi * np.outer(T, frequency)
    np.testing.assert_allclose(
        fit.matrix, 2 / N * np.hstack([np.sin(angle), np.cos(angle)]), atol=1e-15
    )


def test_hann_keeps_out_what_is_still_settling() -> None:
    # A 20 nA step with a time constant of 5 ms that began 15 ms before the window.
    late = 20 * np.exp(-(T + 0.015) / 0.005)
    plain = least_squares(ODD, rate=RATE, n_samples=N)(late).amplitude.max()
    tapered = least_squares(ODD, rate=RATE, n_samples=N, taper="hann")(late).amplitude.max()
    # Weights that rise as t^2 take a factor of (omega tau)^-2 = 1e-3 off a jump at the start.
    assert tapered < plain / 100


def test_the_paper_chain_is_the_last_sample_of_mixing_and_filtering() -> None:
    random = np.random.default_rng(1)
    current = random.normal(20, 1, (5, N))
    read = butterworth(ODD, rate=RATE, n_samples=N)(current)
    sections = butter(3, SETTLED_CUTOFF * RATE / N, fs=RATE, output="sos")
    gain = sosfilt(sections, np.ones(N))[-1]
    centred = current - current.mean(axis=-1, keepdims=True)
    for m, f in enumerate(ODD):
        for part, values in ((np.sin, read.in_phase), (np.cos, read.quadrature)):
            mixed = 2 * centred * part(2 * np.pi * f * T)
            np.testing.assert_allclose(
                values[:, m], sosfilt(sections, mixed, axis=-1)[:, -1] / gain, atol=1e-12
            )


def test_the_cutoff_settles_to_two_percent_at_the_end() -> None:
    weights = lowpass_weights(4 * N, rate=RATE, cutoff_hz=SETTLED_CUTOFF * RATE / N)
    step = np.cumsum(weights[::-1])
    # From T on within 2 %, and not a twentieth of T earlier: 1.056 is the smallest such cutoff.
    assert np.abs(step[N:] - 1).max() < 0.0201
    assert np.abs(step[int(0.95 * N) :] - 1).max() > 0.02


@pytest.mark.parametrize("make", [least_squares, butterworth])
def test_the_response_is_what_another_frequency_gives(make: object) -> None:
    demodulator = make(ODD, rate=RATE, n_samples=N)  # type: ignore[operator]
    other = 700.0
    response = demodulator.response(other)[:, 0]
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    played = np.sin(2 * np.pi * other * T + angle[:, None])
    read = demodulator(played)
    both = np.concatenate([read.in_phase, read.quadrature], axis=1)
    # 64 phases a quarter of a hundredth apart: the mean of sin^2 is exactly one half.
    np.testing.assert_allclose((both**2).mean(axis=0), np.abs(response) ** 2 / 2, atol=1e-12)


def test_batches_and_single_windows_agree() -> None:
    current = np.random.default_rng(2).normal(size=(3, 2, N))
    demodulator = least_squares(ODD, rate=RATE, n_samples=N)
    all_at_once = demodulator(current)
    assert all_at_once.in_phase.shape == (3, 2, 7)
    np.testing.assert_allclose(
        demodulator(current[1, 1]).in_phase, all_at_once.in_phase[1, 1], atol=1e-13
    )


def test_bad_input() -> None:
    with pytest.raises(ShapeError, match="1000 samples"):
        least_squares(ODD, rate=RATE, n_samples=N)(np.zeros(999))
    with pytest.raises(FrequencyPlanError, match="cannot tell these 2 tones"):
        least_squares([900.0, 900.01], rate=RATE, n_samples=N)
    with pytest.raises(FrequencyPlanError, match="need 42 samples"):
        least_squares(100.0 + 10 * np.arange(20), rate=RATE, n_samples=40)
    with pytest.raises(ParameterError, match="taper"):
        least_squares(ODD, rate=RATE, n_samples=N, taper="hamming")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="drift_order"):
        least_squares(ODD, rate=RATE, n_samples=N, drift_order=-1)
    with pytest.raises(ParameterError, match="cutoff"):
        butterworth(ODD, rate=RATE, n_samples=N, cutoff_hz=6000.0)
    with pytest.raises(ParameterError, match="finite"):
        least_squares([np.nan], rate=RATE, n_samples=N)
