"""Lock-in demodulation of many tones at once, as one matrix product.

Whatever filters and averages a recording linearly is, for the one number that
is read at its end, a fixed weight for each sample. All tones of a plan are
therefore demodulated by one precomputed (n_samples, 2 n_tones) matrix, and a
batch of recordings by one matrix product.

Two choices of weights:

- `least_squares`: the tones, a polynomial drift and nothing else, fitted to the
  window. Tones at whole cycles of the window are exactly orthogonal, so they
  need lie no further apart than 1 / T. With a Hann taper the weights fall to
  zero at both ends of the window: 2 / T between tones, but what enters at the
  ends (drift, a switch that is still settling) hardly counts.
- `butterworth`: the chain of Boon et al. 2025. The mean removed, mixed with
  sine and cosine, a third-order low-pass that has settled to 2 % at T (cutoff
  1.056 / T), read at the end, divided by its gain there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import butter, sosfilt

from inmateria.errors import FrequencyPlanError, ParameterError, ShapeError

FloatArray: TypeAlias = NDArray[np.float64]
Taper: TypeAlias = Literal["none", "hann"]

SETTLED_CUTOFF = 1.056
"""Cutoff times T of a third-order Butterworth low-pass that stays within 2 % from T on."""


@dataclass(frozen=True, eq=False)
class Phasors:
    """Amplitudes of the tones in a recording.

    Parameters
    ----------
    in_phase, quadrature : (..., n_tones) arrays, in the recording's unit
        X and Y of X sin(2 pi f t + phi) + Y cos(2 pi f t + phi).
    """

    in_phase: FloatArray
    quadrature: FloatArray

    @property
    def amplitude(self) -> FloatArray:
        """R, (..., n_tones), never negative."""
        return np.hypot(self.in_phase, self.quadrature)

    @property
    def angle(self) -> FloatArray:
        """Phase of each tone relative to what was played, (..., n_tones) radians."""
        return np.arctan2(self.quadrature, self.in_phase)

    @property
    def complex(self) -> NDArray[np.complex128]:
        """X + i Y, (..., n_tones): the response by which the played tone was multiplied."""
        return np.asarray(self.in_phase + 1j * self.quadrature)


@dataclass(frozen=True, eq=False)
class Demodulator:
    """Weights that turn a window into amplitudes.

    Parameters
    ----------
    matrix : (n_samples, 2 n_tones) array
        In-phase columns of all tones, then their quadrature columns.
    frequency_hz : (n_tones,) array
    rate : float
        Hz.
    """

    matrix: FloatArray
    frequency_hz: FloatArray
    rate: float

    def __call__(self, current: ArrayLike) -> Phasors:
        """Demodulate windows, (..., n_samples) to (..., n_tones) each.

        Raises
        ------
        ShapeError
        """
        values = np.asarray(current, dtype=np.float64)
        if values.ndim == 0 or values.shape[-1] != len(self.matrix):
            raise ShapeError(
                f"recording has shape {values.shape}; its last axis must hold the window's "
                f"{len(self.matrix)} samples"
            )
        both = values @ self.matrix
        n = self.frequency_hz.size
        return Phasors(both[..., :n], both[..., n:])

    def response(self, frequency_hz: ArrayLike) -> NDArray[np.complex128]:
        """Finite-window response of every weight to other frequencies.

        Parameters
        ----------
        frequency_hz : (n,) array, Hz

        Returns
        -------
        (2 n_tones, n) complex array
            sum_t w_t exp(-2 pi i f t): a sine of amplitude A and random phase adds
            A^2 |response|^2 / 2 to the variance of that amplitude, noise of
            one-sided density S the integral of S |response|^2 df.
        """
        f = np.atleast_1d(np.asarray(frequency_hz, dtype=np.float64))
        t = np.arange(len(self.matrix)) / self.rate
        return np.asarray(self.matrix.T @ np.exp(-2j * np.pi * np.outer(t, f)))


def least_squares(
    frequency_hz: ArrayLike,
    *,
    rate: float,
    n_samples: int,
    phase: ArrayLike = 0.0,
    drift_order: int = 1,
    taper: Taper = "none",
    also_hz: ArrayLike = (),
) -> Demodulator:
    """Weights of a least-squares fit of tones and a polynomial drift.

    Parameters
    ----------
    frequency_hz : (n_tones,) array
    rate : float
        Hz.
    n_samples : int
    phase : float or (n_tones,) array, radians
        Of the tones as they are played.
    drift_order : int
        Highest power of time that is fitted away; 0 is the mean alone.
    taper : str
        ``"none"`` or ``"hann"``: how much the samples weigh.
    also_hz : (n_other,) array
        Frequencies that are fitted too, without being reported.

    Raises
    ------
    FrequencyPlanError
        If the window cannot tell these frequencies apart.
    """
    f, phi = _tones(frequency_hz, phase)
    if drift_order < 0:
        raise ParameterError(f"drift_order = {drift_order}; give 0 or more")
    if taper not in ("none", "hann"):
        raise ParameterError(f"taper {taper!r}; choose 'none' or 'hann'")
    t = np.arange(n_samples) / rate
    u = 2 * (np.arange(n_samples) + 0.5) / n_samples - 1
    drift = np.polynomial.legendre.legvander(u, drift_order)
    other, _ = _tones(also_hz, 0.0)
    model = np.hstack([_sines(f, phi, t), drift, _sines(other, np.zeros(other.size), t)])
    if model.shape[1] > n_samples:
        raise FrequencyPlanError(
            f"{f.size} tones with drift need {model.shape[1]} samples, the window has {n_samples}: "
            "measure longer"
        )
    weight = np.ones(n_samples)
    if taper == "hann":
        weight = np.sin(np.pi * (np.arange(n_samples) + 0.5) / n_samples)
    q, r = np.linalg.qr(weight[:, None] * model)
    diagonal = np.abs(np.diag(r))
    if diagonal.min() < 0.02 * diagonal.max():
        apart = (2 if taper == "hann" else 1) * rate / n_samples
        raise FrequencyPlanError(
            f"a window of {n_samples / rate:g} s{' under a Hann taper' if taper == 'hann' else ''} "
            f"cannot tell these {f.size} tones from each other and a drift of order {drift_order}; "
            f"space them by {apart:g} Hz or more, or take drift_order=0"
        )
    inverse = np.linalg.solve(r, q.T)[: 2 * f.size] * weight
    return Demodulator(np.ascontiguousarray(inverse.T), f, float(rate))


def butterworth(
    frequency_hz: ArrayLike,
    *,
    rate: float,
    n_samples: int,
    phase: ArrayLike = 0.0,
    cutoff_hz: float | None = None,
    order: int = 3,
) -> Demodulator:
    """Weights of the paper's chain: mean removed, mix, low-pass, last value, normalised.

    Parameters
    ----------
    frequency_hz, rate, n_samples, phase
        As in `least_squares`.
    cutoff_hz : float, optional
        Of the low-pass; 1.056 / T by default, settled to 2 % at T.
    order : int

    Raises
    ------
    ParameterError
        If the cutoff is not below half the rate.
    """
    f, phi = _tones(frequency_hz, phase)
    cutoff = SETTLED_CUTOFF * rate / n_samples if cutoff_hz is None else cutoff_hz
    if not 0 < cutoff < rate / 2:
        raise ParameterError(
            f"low-pass cutoff {cutoff:g} Hz is not between 0 Hz and half the rate, {rate / 2:g} Hz"
        )
    row = lowpass_weights(n_samples, rate=rate, cutoff_hz=cutoff, order=order)
    mixer = _sines(f, phi, np.arange(n_samples) / rate)
    matrix = 2 * row[:, None] * mixer
    # The mean is removed before mixing: what a constant would give is taken off.
    return Demodulator(matrix - matrix.mean(axis=0), f, float(rate))


def lowpass_weights(n_samples: int, *, rate: float, cutoff_hz: float, order: int = 3) -> FloatArray:
    """Share of each sample in a low-pass's last output, (n_samples,), of sum 1."""
    impulse = np.zeros(n_samples)
    impulse[0] = 1.0
    response = sosfilt(butter(order, cutoff_hz, fs=rate, output="sos"), impulse)
    return np.asarray(response[::-1] / response.sum())


def _tones(frequency_hz: ArrayLike, phase: ArrayLike) -> tuple[FloatArray, FloatArray]:
    f = np.atleast_1d(np.asarray(frequency_hz, dtype=np.float64))
    if f.ndim != 1 or not np.isfinite(f).all():
        raise ParameterError("frequencies must be a list of finite numbers in Hz")
    return f, np.broadcast_to(np.asarray(phase, dtype=np.float64), f.shape).copy()


def _sines(f: FloatArray, phase: FloatArray, t: FloatArray) -> FloatArray:
    """(n_samples, 2 n_tones): sines, then cosines."""
    angle = 2 * np.pi * np.outer(t, f) + phase
    return np.hstack([np.sin(angle), np.cos(angle)])
