"""Lines of the mains in a recording: 50 and 60 Hz and their multiples.

The grid keeps its frequency to a fraction of a per cent, so a line is looked for in a
narrow band about each multiple. A bin of a periodogram of noise is exponentially
distributed about the density there. Where the density itself is the median of bins beside
it, worth n independent ones, a bin exceeds it x-fold with probability (1 + x / n)^-n, the
highest of M with M times that: this says how high a line has to be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from inmateria.errors import ParameterError, ShapeError

MAINS_HZ = (50.0, 60.0)
_HARMONICS = 20
_WANDER = 0.004  # share of a frequency that a grid wanders by, 0.2 Hz in 50
_LEAST_CYCLES = 20
_BESIDE = 40  # bins on either side that tell the noise
_HANN_BINS = 1.5  # noise bandwidth of a Hann window
_MEDIAN = 1 / np.log(2) ** 2  # how many times more bins a median takes than a mean
_HIGHEST_SHARE = 0.95  # of half the rate


@dataclass(frozen=True)
class Line:
    """A line in the spectrum of one channel.

    Parameters
    ----------
    channel : int
        Row of the recording.
    frequency_hz : float
        Where the line was found.
    amplitude, standard_error : float
        Of the sine, in the recording's unit.
    """

    channel: int
    frequency_hz: float
    amplitude: float
    standard_error: float


def mains_lines(
    current: ArrayLike,
    rate: float,
    *,
    mains_hz: Sequence[float] = MAINS_HZ,
    false_alarm: float = 1e-3,
) -> tuple[Line, ...]:
    """Lines at multiples of the mains' frequencies.

    Parameters
    ----------
    current : (n_channels, n_samples) array, nA
        With nothing played.
    rate : float
        Samples per second, Hz.
    mains_hz : sequence of float
    false_alarm : float
        Probability that noise alone shows a line, a channel.

    Returns
    -------
    tuple of Line
        By channel, then by frequency. None where a recording is shorter than twenty cycles
        or a frequency above half the rate.
    """
    from scipy.signal import periodogram

    values = np.asarray(current, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] < 2:
        raise ShapeError(f"recording has shape {values.shape}; give (n_channels, n_samples)")
    if not (np.isfinite(rate) and rate > 0):
        raise ParameterError(f"rate = {rate} Hz; give a number above zero")
    frequency, density = periodogram(values, fs=rate, window="hann", detrend="linear")
    step = frequency[1]
    bands = []
    for line in _multiples(mains_hz, _HIGHEST_SHARE * rate / 2):
        half = int(np.ceil(_WANDER * line / step + 1))
        middle = round(line / step)
        if line >= _LEAST_CYCLES * step and middle + half + _BESIDE + 3 < frequency.size:
            bands.append((middle, half))
    searched = sum(2 * half + 1 for _, half in bands)
    found: dict[tuple[int, int], Line] = {}
    for channel, power in enumerate(density):
        for middle, half in bands:
            peak = middle - half + int(power[middle - half : middle + half + 1].argmax())
            lobe = np.arange(peak - 2, peak + 3)
            around = np.arange(middle - half - _BESIDE - 3, middle + half + _BESIDE + 4)
            beside = around[(around > 1) & (np.abs(around - middle) > half + 3)]
            floor = float(np.median(power[beside]) / np.log(2))
            worth = beside.size / (_HANN_BINS * _MEDIAN)
            least = worth * ((searched / false_alarm) ** (1 / worth) - 1)
            if power[peak] > least * floor and power[peak] > 0:
                amplitude = np.sqrt(2 * step * max(float((power[lobe] - floor).sum()), 0.0))
                error = np.sqrt(_HANN_BINS * floor * step)
                found[channel, peak] = Line(
                    channel, float(frequency[peak]), float(amplitude), float(error)
                )
    return tuple(found[key] for key in sorted(found))


def near_mains(frequency_hz: ArrayLike, *, within_hz: float) -> np.ndarray:
    """Whether frequencies lie at a multiple of 50 or 60 Hz, (...) Hz to (...) bool."""
    f = np.asarray(frequency_hz, dtype=np.float64)
    off = [np.abs(f - m * np.maximum(np.rint(f / m), 1)) for m in MAINS_HZ]
    return np.asarray(np.min(off, axis=0) < within_hz)


def _multiples(mains_hz: Sequence[float], highest: float) -> list[float]:
    every = {m * k for m in mains_hz for k in range(1, _HARMONICS + 1)}
    return sorted(f for f in every if f < highest)
