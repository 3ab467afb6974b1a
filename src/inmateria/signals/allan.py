"""How well the mean of a stretch is known in noise that is not white.

Samples of 1/f noise are not independent, and their scatter over the root of their
number is far too small an error. The Allan variance of means over tau,

    A(tau) = <(y_next - y)^2> / 2

(Allan 1966, Proc. IEEE 54, 221), says how far a mean of that length is from the one
right after it: for white noise exactly the square of its standard error, for
1/f^gamma noise it goes as tau^(gamma - 1), and it is finite for gamma < 3, where the
variance is not. It is read at shorter tau, where a recording holds enough pairs, and
carried on to the length of the stretch by the power law that it follows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.errors import ShapeError

_LEAST_PAIRS = 7
"""Pairs below which an octave is not counted: their mean square is then known to no more than half
of itself."""
_OCTAVES = 3
# White noise at one end, a steady drift at the other.
_FLATTEST, _STEEPEST = -1.0, 2.0
_NEAR_ZERO = 1e-4


@dataclass(frozen=True, eq=False)
class MeanError:
    """Standard error of a mean, and how it grows with the time between two of them.

    Parameters
    ----------
    standard_error : (...) array
        Of one stretch's mean, in the recording's unit.
    exponent : (...) array
        Power of tau that the Allan variance follows: -1 for white noise, 0 for 1/f,
        1 for a random walk, 2 for a steady drift.
    """

    standard_error: NDArray[np.float64]
    exponent: NDArray[np.float64]

    def difference(self, lengths_apart: ArrayLike) -> NDArray[np.float64]:
        """Standard deviation of the difference of two means.

        Parameters
        ----------
        lengths_apart : array that broadcasts with (...)
            Time between the two stretches' beginnings over the length of one, 1 or more.
        """
        m = np.maximum(np.asarray(lengths_apart, dtype=np.float64), 1.0)
        # <(y_m - y_0)^2> of a self-similar signal; the ratio has a limit at 1/f, tau^0.
        mu = np.where(np.abs(self.exponent) < _NEAR_ZERO, _NEAR_ZERO, self.exponent)
        k = mu + 2
        growth = ((m + 1) ** k + (m - 1) ** k - 2 * m**k - 2) / (2.0**k - 4)
        return np.asarray(self.standard_error * np.sqrt(2 * growth))


def mean_error(current: ArrayLike) -> MeanError:
    """Standard error of the mean of a stretch, from stretches alike.

    Parameters
    ----------
    current : (..., n_stretches, n_samples) array
        Stretches recorded under the same noise, each at rest: all of them tell of the
        noise, none of what it is when the signal moves from one to the next.

    Returns
    -------
    MeanError
        Over the leading axes.

    Raises
    ------
    ShapeError
        If the stretches are too few and short to tell: 8 samples in one stretch, or 7
        stretches of 2.
    """
    values = np.asarray(current, dtype=np.float64)
    if values.ndim < 2:
        raise ShapeError(f"stretches have shape {values.shape}; give (..., n_stretches, n_samples)")
    n_stretches, n_samples = values.shape[-2:]
    octaves, variances, weights = [], [], []
    for octave in range(1, max(1, n_samples).bit_length()):
        pieces = 2**octave
        pairs = n_stretches * (pieces - 1)
        if pairs < _LEAST_PAIRS or pieces > n_samples:
            continue
        length = n_samples // pieces
        # What does not divide is left out at the beginning, where a stretch may still settle.
        kept = values[..., n_samples - pieces * length :]
        means = kept.reshape(*kept.shape[:-1], pieces, length).mean(axis=-1)
        octaves.append(np.log(length / n_samples))
        variances.append((np.diff(means, axis=-1) ** 2).mean(axis=(-2, -1)) / 2)
        weights.append(pairs)
        if len(octaves) == _OCTAVES:
            break
    if not octaves:
        raise ShapeError(
            f"{n_stretches} stretches of {n_samples} samples do not tell an error; give one of 8 "
            f"samples or more, or {_LEAST_PAIRS} of 2"
        )
    variance = np.stack(variances)
    flat = ~(variance > 0).all(axis=0)
    y = np.log(np.where(flat, 1.0, variance))
    x, w = np.array(octaves), np.array(weights, dtype=np.float64)
    middle = (w @ x) / w.sum()
    level = np.tensordot(w, y, axes=1) / w.sum()
    spread = w @ (x - middle) ** 2
    slope = np.tensordot(w * (x - middle), y, axes=1) / spread if spread > 0 else 0.0 * level - 1
    exponent = np.clip(slope, _FLATTEST, _STEEPEST)
    error = np.exp((level - exponent * middle) / 2)
    return MeanError(
        np.asarray(np.where(flat, 0.0, error)), np.asarray(np.where(flat, _FLATTEST, exponent))
    )
