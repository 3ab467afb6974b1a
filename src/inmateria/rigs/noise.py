"""Current noise with a power-law spectrum, streamed without seams.

1/f^gamma noise is a sum of Ornstein-Uhlenbeck processes whose corner
frequencies are spread evenly over the logarithm of frequency (Bernamont 1937,
Ann. Phys. 11, 71). Sampled exactly, each is an AR(1) sequence

    x[n] = a x[n-1] + sqrt(1 - a^2) sigma w[n],    a = exp(-2 pi f_corner / rate),
    S(f) = (2 / rate) sigma^2 (1 - a^2) / ((1 - a)^2 + 4 a sin^2(pi f / rate)),

one-sided. The variances sigma^2 >= 0 are fitted to the spectrum of the samples,
up to the Nyquist frequency, where AR(1) sequences alone fall too slowly: the sum
therefore passes through (1 + b z^-1) / (1 + b), with the b that fits best.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.signal import lfilter

from inmateria.devices.device import FloatArray
from inmateria.errors import ParameterError

_MODES_PER_DECADE = 3
_BLOCK = 65_536  # samples drawn at once: bounds the memory of a long stretch
_ZEROS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)


@dataclass(frozen=True)
class PowerLawNoise:
    """What the noise of a current measurement looks like.

    The defaults are those of Boon et al. 2025: 1e-5 nA^2/Hz at 1 kHz, falling
    as 1/f^1.5.

    Parameters
    ----------
    level_na2_per_hz, at_hz : float
        One-sided spectral density of the power law, nA^2/Hz, and the frequency
        at which it has that density.
    exponent : float
        Power of 1/f, above 0 and at most 2.
    white_na2_per_hz : float
        One-sided density of the white part, nA^2/Hz.
    lowest_hz : float
        The power law holds down to here and flattens below; without a floor
        its power would be infinite.
    """

    level_na2_per_hz: float = 1e-5
    at_hz: float = 1e3
    exponent: float = 1.5
    white_na2_per_hz: float = 0.0
    lowest_hz: float = 0.1

    def __post_init__(self) -> None:
        for name in ("level_na2_per_hz", "white_na2_per_hz"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise ParameterError(f"noise {name} = {value}; give a density of zero or more")
        for name in ("at_hz", "lowest_hz"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise ParameterError(f"noise {name} = {value} Hz; give a frequency above zero")
        if not 0 < self.exponent <= 2:
            raise ParameterError(
                f"noise exponent = {self.exponent}; give one above 0 and at most 2 "
                "(white noise goes in white_na2_per_hz)"
            )

    def density(self, frequency_hz: FloatArray) -> FloatArray:
        """Intended one-sided density above `lowest_hz`, (...) Hz to (...) nA^2/Hz."""
        power_law = self.level_na2_per_hz * (self.at_hz / frequency_hz) ** self.exponent
        return np.asarray(power_law + self.white_na2_per_hz)

    def modes(self, rate: float) -> Modes:
        """AR(1) modes whose sum has this spectrum when sampled at `rate` Hz."""
        if not self.lowest_hz < rate / 2:
            raise ParameterError(
                f"noise lowest_hz = {self.lowest_hz:g} Hz is not below half the sampling rate, "
                f"{rate / 2:g} Hz; lower it"
            )
        unit = _unit_modes(self.exponent, self.lowest_hz, rate)
        level = self.level_na2_per_hz * self.at_hz**self.exponent
        return Modes(unit.pole, level * unit.variance, unit.zero, rate)

    def stream(self, n_outputs: int, rate: float, *, seed: int) -> NoiseStream:
        """Endless noise for `n_outputs` independent outputs at `rate` Hz."""
        return NoiseStream(self, n_outputs, rate, seed=seed)


@dataclass(frozen=True, eq=False)
class Modes:
    """AR(1) modes and the zero that their sum passes through.

    Parameters
    ----------
    pole, variance : (n_modes,) arrays
        a and sigma^2 (nA^2).
    zero : float
        b.
    rate : float
        Samples per second, Hz.
    """

    pole: NDArray[np.float64]
    variance: NDArray[np.float64]
    zero: float
    rate: float

    def density(self, frequency_hz: FloatArray) -> FloatArray:
        """One-sided density of the sampled sum, (...) Hz to (...) nA^2/Hz."""
        shape = _mode_density(frequency_hz, self.pole, self.zero, self.rate)
        return np.asarray(shape @ self.variance)


class NoiseStream:
    """Noise that goes on where it stopped, started in its stationary state.

    However a stretch is cut into calls, the samples are the same.

    Parameters
    ----------
    noise : PowerLawNoise
    n_outputs : int
        Outputs, independent of each other.
    rate : float
        Samples per second, Hz.
    seed : int
    """

    def __init__(self, noise: PowerLawNoise, n_outputs: int, rate: float, *, seed: int) -> None:
        modes = noise.modes(rate)
        used = modes.variance > 0
        self._pole = modes.pole[used]
        self._gain = np.sqrt(modes.variance[used] * (1 - self._pole**2))
        self._zero = modes.zero
        self._white = np.sqrt(noise.white_na2_per_hz * rate / 2)
        self._random = [
            np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(n_outputs)
        ]
        self._last = np.array(
            [np.sqrt(modes.variance[used]) * r.standard_normal(used.sum()) for r in self._random]
        )

    def next(self, n_samples: int) -> FloatArray:
        """The next stretch, (n_outputs, n_samples) nA."""
        out = np.zeros((len(self._random), n_samples))
        for first in range(0, n_samples, _BLOCK):
            block = out[:, first : first + _BLOCK]
            for output in range(len(self._random)):
                self._add(output, block[output])
        return out

    def _add(self, output: int, current: FloatArray) -> None:
        """Add the next stretch to `current`, (n_samples,) nA, in place."""
        n_modes = self._pole.size
        # Time runs slowest, so that a sample's draws do not depend on the stretch's length.
        w = self._random[output].standard_normal((current.size, n_modes + 1))
        for m in range(n_modes):
            last = self._last[output, m]
            x, _ = lfilter(
                [self._gain[m]], [1.0, -self._pole[m]], w[:, m], zi=[self._pole[m] * last]
            )
            current[0] += (x[0] + self._zero * last) / (1 + self._zero)
            current[1:] += (x[1:] + self._zero * x[:-1]) / (1 + self._zero)
            self._last[output, m] = x[-1]
        current += self._white * w[:, n_modes]


@lru_cache(maxsize=32)
def _unit_modes(exponent: float, lowest_hz: float, rate: float) -> Modes:
    """Modes with the density 1 / f^exponent: the best fit among the zeros tried."""
    nyquist = rate / 2
    # Corners reach below the band, where the lowest ones must already roll off.
    n_modes = int(np.ceil(np.log10(nyquist / lowest_hz) * _MODES_PER_DECADE)) + 3
    corner = np.geomspace(lowest_hz / 5, nyquist, n_modes)
    pole = np.exp(-2 * np.pi * corner / rate)
    frequency = np.geomspace(lowest_hz, nyquist, 20 * n_modes)
    best: tuple[float, Modes] | None = None
    for zero in _ZEROS:
        relative = _mode_density(frequency, pole, zero, rate) * frequency[:, None] ** exponent
        height = relative.max(axis=0)
        weight, residual = nnls(relative / height, np.ones(frequency.size), maxiter=100 * n_modes)
        if best is None or residual < best[0]:
            best = float(residual), Modes(pole, weight / height, zero, rate)
    assert best is not None
    return best[1]


def _mode_density(frequency: FloatArray, pole: FloatArray, zero: float, rate: float) -> FloatArray:
    """Density of modes of unit variance, (...) Hz to (..., n_modes) 1/Hz."""
    s = (np.sin(np.pi * np.asarray(frequency) / rate) ** 2)[..., None]
    through_zero = ((1 + zero) ** 2 - 4 * zero * s) / (1 + zero) ** 2
    ar1 = (2 / rate) * (1 - pole**2) / ((1 - pole) ** 2 + 4 * pole * s)
    return np.asarray(ar1 * through_zero)
