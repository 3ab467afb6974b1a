"""Squared errors that a window's weights let through: from noise, tones and other lines.

For weights w_m(t) on the samples of a window, W_m(f) = sum_t w_m(t) exp(-2 pi i f t):
noise of one-sided density S adds the integral of S |W_m|^2 to the variance of
sum_t w_m(t) I(t), a line of amplitude A and random phase A^2 |W_m(f)|^2 / 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft
from scipy.integrate import simpson

from inmateria.devices.device import FloatArray
from inmateria.rigs.noise import PowerLawNoise

ComplexArray: TypeAlias = NDArray[np.complex128]

_PAD = 8  # points a line width, 1 / T, on the linear grid of the noise integral
_SPLIT = 2  # in units of 1 / T: where the logarithmic grid ends
_LOWEST = 1e-4  # in units of 1 / T: where it begins
_LOG_POINTS = 401
_CHUNK = 4_000_000  # numbers held at once


@runtime_checkable
class HasDensity(Protocol):
    """Noise that knows its spectrum."""

    def density(self, frequency_hz: FloatArray) -> FloatArray:
        """One-sided density, (...) Hz to (...) nA^2/Hz."""


Noise: TypeAlias = HasDensity | Callable[[FloatArray], FloatArray]


def sampled_density(noise: Noise, rate: float) -> Callable[[FloatArray], FloatArray]:
    """One-sided density (Hz to nA^2/Hz) of noise sampled at `rate` Hz, as far as it is known."""
    if isinstance(noise, PowerLawNoise):
        sampled, white = noise.modes(rate), noise.white_na2_per_hz
        return lambda f: sampled.density(f) + white
    return noise.density if isinstance(noise, HasDensity) else noise


def noise_variance(
    weights: FloatArray, density: Callable[[FloatArray], FloatArray], rate: float
) -> FloatArray:
    """Integral of S |W|^2 from 0 Hz to half the rate, (n_samples, n) to (n,) nA^2.

    Weights remove the mean, so |W|^2 rises at least as f^2 from 0 Hz and outruns
    any 1/f^gamma below 1/f^3; but a steep spectrum needs a logarithmic grid there.
    """
    n_samples = len(weights)
    width = rate / n_samples
    exponent = np.linspace(np.log(_LOWEST * width), np.log(_SPLIT * width), _LOG_POINTS)
    low = np.exp(exponent, dtype=np.float64)
    t = np.arange(n_samples) / rate
    high = np.arange(_SPLIT * _PAD, _PAD * n_samples // 2 + 1, dtype=np.float64) * (width / _PAD)
    density_low = np.asarray(density(low), dtype=np.float64)
    density_high = np.asarray(density(high), dtype=np.float64)
    result = np.empty(weights.shape[1])
    step = max(1, _CHUNK // (_PAD * n_samples))
    wave = np.exp(-2j * np.pi * np.outer(low, t))
    for first in range(0, weights.shape[1], step):
        part = slice(first, first + step)
        columns = weights[:, part]
        slow = np.abs(wave @ columns) ** 2 * (density_low * low)[:, None]
        fast = np.abs(rfft(columns, n=_PAD * n_samples, axis=0)[_SPLIT * _PAD :]) ** 2
        result[part] = simpson(slow, x=np.log(low), axis=0)
        result[part] += simpson(fast * density_high[:, None], dx=width / _PAD, axis=0)
    return result


def errors_from_tones(
    weights: FloatArray,
    f: FloatArray,
    tone: FloatArray,
    phase: FloatArray,
    rate: float,
    random_phases: bool,
) -> tuple[FloatArray, FloatArray]:
    """Squared error in X_m from the tone itself, and from the others, (n,) nA^2 each.

    Parameters
    ----------
    weights : (n_samples, n) array
        In-phase weights of every tone.
    f, tone, phase : (n,) arrays, Hz, nA (signed), radians
    rate : float, Hz
    random_phases : bool
        Average over the phases of the others, else use `phase`.
    """
    # response[m, n] = conj(W_m(f_n)): a line Im(A exp(i w t)) gives X = Im(A response).
    response = _responses(weights, f, rate)
    given = np.imag(np.exp(1j * phase) * response) * tone
    own = (np.diag(given) - tone) ** 2
    np.fill_diagonal(given, 0.0)
    if not random_phases:
        return own, given.sum(axis=1) ** 2
    power = np.abs(response) ** 2 * tone**2 / 2
    # Tones that share a frequency hold a fixed phase, in quadrature.
    power = np.where(f[:, None] == f, given**2, power)
    return own, power.sum(axis=1)


def second_order_lines(
    f: FloatArray, a: FloatArray, phase: FloatArray, curvature: FloatArray
) -> tuple[FloatArray, NDArray[np.complex128]]:
    """Frequencies (n_lines,) Hz and amplitudes A of Im(A exp(2 pi i f t)), nA."""
    n, k = np.triu_indices(f.size, 1)
    turn = np.exp(1j * phase)
    pair = 0.5j * a[n] * a[k] * curvature[n, k]  # i: a cosine as the imaginary part
    frequency = np.concatenate([2 * f, f[n] + f[k], f[n] - f[k]])
    amplitude = np.concatenate(
        [
            -0.25j * a**2 * np.diag(curvature) * turn**2,
            -pair * turn[n] * turn[k],
            pair * turn[n] * turn[k].conj(),
        ]
    )
    return frequency, amplitude


def error_from_lines(
    weights: FloatArray,
    f: FloatArray,
    amplitude: NDArray[np.complex128],
    rate: float,
    random_phases: bool,
) -> FloatArray:
    """Squared error in every X_m from lines, (n,) nA^2."""
    # Lines at one frequency are added up first; 1,000 tones make a million lines.
    place = f * len(weights) / rate
    _, first, which = np.unique(np.rint(place * 1e6), return_index=True, return_inverse=True)
    response = _responses(weights, f[first], rate)
    if random_phases:
        power = np.bincount(which, weights=np.abs(amplitude) ** 2)
        return np.asarray(np.abs(response) ** 2 @ power / 2)
    real, imag = (np.bincount(which, weights=part) for part in (amplitude.real, amplitude.imag))
    return np.asarray(np.imag(response @ (real + 1j * imag)) ** 2)


def _responses(weights: FloatArray, f: FloatArray, rate: float) -> NDArray[np.complex128]:
    """sum_t w_m(t) exp(2 pi i f t), (n, n_frequencies)."""
    n_samples = len(weights)
    cycles = f * n_samples / rate
    whole = np.rint(cycles)
    if np.all(np.abs(cycles - whole) < 1e-9 * n_samples):
        # Lines at whole cycles of the window are bins of one transform.
        bins = np.fft.fft(weights, axis=0)[(-whole.astype(np.int64)) % n_samples]
        return np.asarray(bins.T)
    t = np.arange(n_samples) / rate
    return np.asarray(weights.T @ np.exp(2j * np.pi * np.outer(t, f)))
