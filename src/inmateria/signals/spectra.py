"""Power spectral density of recordings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.errors import ParameterError, ShapeError


@dataclass(frozen=True, eq=False)
class Spectrum:
    """One-sided power spectral density.

    Parameters
    ----------
    frequency_hz : (n_frequencies,) array
    density : (..., n_frequencies) array
        Unit of the recording squared per hertz: nA^2/Hz for a current in nA.
    relative_error : float
        Standard error of each density as a share of it.
    """

    frequency_hz: NDArray[np.float64]
    density: NDArray[np.float64]
    relative_error: float


def power_spectrum(current: ArrayLike, rate: float, *, segment_s: float | None = None) -> Spectrum:
    """One-sided spectral density by Welch's method (Hann window, half overlap).

    A segment's periodogram scatters by 100 %; neighbours that overlap by half
    share a correlation of 1/36 between their squares under a Hann window, so
    K segments give 1 / sqrt(K / (1 + 2/36 (K-1)/K))
    (Welch 1967, IEEE Trans. Audio Electroacoust. 15, 70).

    Parameters
    ----------
    current : (..., n_samples) array, nA
    rate : float
        Samples per second, Hz.
    segment_s : float, optional
        Length of a segment, s; its inverse is the resolution. An eighth of the
        recording by default.

    Returns
    -------
    Spectrum
        `.density` (..., n_frequencies), nA^2/Hz. The mean of each segment is
        removed, so the lowest one or two frequencies are too small.
    """
    from scipy.signal import welch

    values = np.asarray(current, dtype=np.float64)
    if not (np.isfinite(rate) and rate > 0):
        raise ParameterError(f"rate = {rate} Hz; give a number above zero")
    if values.ndim == 0 or values.shape[-1] < 8:
        raise ShapeError(f"recording has shape {values.shape}; a spectrum needs 8 samples or more")
    n_samples = values.shape[-1]
    n_segment = n_samples // 8 if segment_s is None else round(segment_s * rate)
    n_segment = max(n_segment, 4) if segment_s is None else n_segment
    if not 4 <= n_segment <= n_samples:
        raise ParameterError(
            f"segment of {n_segment} samples; give between {4 / rate:g} s and "
            f"{n_samples / rate:g} s, the length of the recording"
        )
    frequency, density = welch(values, fs=rate, window="hann", nperseg=n_segment)
    n_averaged = (n_samples - n_segment) // (n_segment - n_segment // 2) + 1
    error = np.sqrt((1 + 2 / 36 * (n_averaged - 1) / n_averaged) / n_averaged)
    return Spectrum(frequency, np.asarray(density, dtype=np.float64), float(error))
