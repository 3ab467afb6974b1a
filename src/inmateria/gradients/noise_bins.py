"""What stands beside the tones in a window: noise, harmonics, and drift of the tones themselves.

A window of a lock-in measurement holds more than the tones' amplitudes. After
the tones and a polynomial drift have been fitted away,

- the *empty bins* beside a tone hold the noise that this tone is read with;
- the bins at twice and three times its frequency hold what the curvature of
  the device makes of it;
- a tone whose amplitude or phase changes within the window leaves a remainder
  that grows linearly from its middle.

Each is a linear functional of the samples, orthogonal to the fitted part, and
so a column of a matrix. Noise passes from the column of an empty bin to that of
a tone by the ratio of their norms, which is exact for a density that is flat
between the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from inmateria.signals.lockin import Demodulator

FloatArray: TypeAlias = NDArray[np.float64]

N_NEIGHBOURS = 8
"""Empty bins on which a tone's noise is averaged: 16 numbers, 18 % of scatter."""

FAR = (4, 12)
"""Bins beyond the outermost tones that tell the noise where the tones may drift."""

_LEAST_NORM = 0.2  # of a column's norm that must be left beside the fitted part


@dataclass(frozen=True, eq=False)
class Columns:
    """Functionals that read one amplitude each, in-phase columns before quadrature columns.

    Parameters
    ----------
    matrix : (n_samples, 2 n) array
    norm2 : (n,) array
        Squared norm of a column (mean of both): white noise of variance s^2 a
        sample gives an amplitude of variance s^2 norm2.
    usable : (n,) array of bool
        False where the fitted part leaves too little of it.
    """

    matrix: FloatArray
    norm2: FloatArray
    usable: NDArray[np.bool_]

    def read(self, windows: FloatArray) -> NDArray[np.complex128]:
        """Amplitudes X + i Y, (..., n_samples) to (..., n); NaN where not usable."""
        both = windows @ self.matrix
        n = self.usable.size
        amplitude = both[..., :n] + 1j * both[..., n:]
        return np.asarray(np.where(self.usable, amplitude, np.nan))


class Remainder:
    """What a fit of tones and drift leaves of a window.

    Parameters
    ----------
    frequency_hz : (n_tones,) array
    rate : float
        Hz.
    n_samples : int
    drift_order : int
    taper : (n_samples,) array
        Square root of each sample's weight in the fit.
    """

    def __init__(
        self,
        frequency_hz: FloatArray,
        *,
        rate: float,
        n_samples: int,
        drift_order: int,
        taper: FloatArray,
    ) -> None:
        self._frequency = frequency_hz
        self._time = np.arange(n_samples) / rate
        self._rate, self._taper = rate, taper
        u = 2 * (np.arange(n_samples) + 0.5) / n_samples - 1
        self._place = u
        drift = np.polynomial.legendre.legvander(u, drift_order)
        # A taper widens every tone by a bin.
        self.least_distance = 1 if (taper == taper[0]).all() else 2
        self._fitted, _ = np.linalg.qr(
            taper[:, None] * np.hstack([self._sines(frequency_hz), drift])
        )

    def bins(self, frequency_hz: FloatArray) -> Columns:
        """Functionals that read sines at other frequencies."""
        return self._columns(self._sines(frequency_hz))

    def changes(self) -> Columns:
        """Functionals that read how far each tone changes from the window's middle to its end."""
        return self._columns(self._place[:, None] * self._sines(self._frequency))

    def _sines(self, f: FloatArray) -> FloatArray:
        angle = 2 * np.pi * np.outer(self._time, f)
        return np.hstack([np.sin(angle), np.cos(angle)])

    def _columns(self, raw: FloatArray) -> Columns:
        weighted = self._taper[:, None] * raw
        left = weighted - self._fitted @ (self._fitted.T @ weighted)
        kept, whole = (left**2).sum(axis=0), (weighted**2).sum(axis=0)
        usable = kept > _LEAST_NORM * whole
        # A column c with remainder r reads the amplitude of c as r.y / r.r.
        column = self._taper[:, None] * left / np.where(usable, kept, 1.0)
        n = raw.shape[1] // 2
        norm2 = (column**2).sum(axis=0)
        return Columns(column, 0.5 * (norm2[:n] + norm2[n:]), usable[:n] & usable[n:])


@dataclass(frozen=True, eq=False)
class NoiseBins:
    """Noise of each tone's amplitude from the empty bins beside it.

    Parameters
    ----------
    columns : Columns
        Of the empty bins.
    share : (n_bins, n_tones) array
        Weight of each bin's power in each tone's variance.
    """

    columns: Columns
    share: FloatArray

    def variance(self, windows: FloatArray) -> FloatArray:
        """Variance of X (and of Y) of each tone, (..., n_samples) to (..., n_tones)."""
        power = np.abs(self.columns.read(windows)) ** 2 / 2
        return np.asarray(power @ self.share)


def noise_bins(
    remainder: Remainder, demodulator: Demodulator, *, avoid_hz: FloatArray
) -> NoiseBins:
    """Empty bins nearest to each tone.

    Parameters
    ----------
    remainder : Remainder
    demodulator : Demodulator
        Whose amplitudes' noise is wanted.
    avoid_hz : (n,) array
        Where something else than noise is expected: harmonics.
    """
    f = demodulator.frequency_hz
    empty = _empty_bins(demodulator, avoid_hz, least=remainder.least_distance)
    near = np.argsort(np.abs(empty[:, None] - f), axis=0, kind="stable")[:N_NEIGHBOURS]
    used, where = np.unique(near, return_inverse=True)
    columns = remainder.bins(empty[used])
    own = (demodulator.matrix**2).sum(axis=0)
    norm2 = 0.5 * (own[: f.size] + own[f.size :])
    tone = np.broadcast_to(np.arange(f.size), near.shape)
    share = np.zeros((used.size, f.size))
    share[where.reshape(near.shape), tone] = norm2
    share *= np.where(columns.usable, 1 / columns.norm2, 0.0)[:, None]
    count = (share > 0).sum(axis=0)
    share = np.where(count > 0, share / np.maximum(count, 1), np.nan)
    keep = np.flatnonzero(columns.usable)
    return NoiseBins(_part(columns, keep), share[keep])


def far_noise(remainder: Remainder, demodulator: Demodulator, changes: Columns) -> NoiseBins:
    """Noise of the tones' changes, from bins that a changing tone hardly reaches."""
    f = demodulator.frequency_hz
    step = demodulator.rate / len(demodulator.matrix)
    offset = step * np.arange(*FAR)
    bins = np.concatenate([f.min() - offset, f.max() + offset])
    bins = bins[(bins > step / 2) & (bins < demodulator.rate / 2 - step / 2)]
    columns = remainder.bins(bins)
    keep = np.flatnonzero(columns.usable)
    columns = _part(columns, keep)
    share = changes.norm2 / (keep.size * columns.norm2[:, None])
    return NoiseBins(columns, share)


def _empty_bins(demodulator: Demodulator, avoid_hz: FloatArray, *, least: int) -> FloatArray:
    """Whole-cycle frequencies `least` bins or more away from every tone, around the tones."""
    n = len(demodulator.matrix)
    step = demodulator.rate / n
    cycles = demodulator.frequency_hz / step
    # Far enough for eight on either side, were all tones neighbours.
    reach = 2 * N_NEIGHBOURS + 2 * cycles.size
    first = max(1, int(cycles.min()) - reach)
    last = min((n - 1) // 2, int(cycles.max()) + 1 + reach)
    bins = np.arange(first, last + 1)
    far = _distance(bins, cycles) > least - 0.001
    if avoid_hz.size:
        far &= _distance(bins, avoid_hz / step) > 0.999
    return np.asarray(step * bins[far])


def _distance(bins: NDArray[np.int64], others: FloatArray) -> FloatArray:
    """From each bin to the nearest of some others."""
    taken = np.sort(others)
    right = np.searchsorted(taken, bins)
    above = np.abs(taken[np.minimum(right, taken.size - 1)] - bins)
    below = np.abs(taken[np.maximum(right - 1, 0)] - bins)
    return np.minimum(above, below)


def _part(columns: Columns, keep: NDArray[np.intp]) -> Columns:
    n = columns.usable.size
    both = np.concatenate([keep, keep + n])
    return Columns(columns.matrix[:, both], columns.norm2[keep], columns.usable[keep])
