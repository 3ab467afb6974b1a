"""Endless trajectories through voltage space: one tone per terminal.

Frequencies in the ratio of square roots of primes never return to the same
point, so that the terminals together fill the box of their ranges
(Ruiz Euler et al. 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from inmateria.errors import ParameterError, ShapeError

Kind = Literal["sinusoid", "triangle"]


class Range(Protocol):
    """Anything with a lowest and a highest voltage, such as a terminal."""

    @property
    def low_v(self) -> float:
        """Lowest voltage, V."""

    @property
    def high_v(self) -> float:
        """Highest voltage, V."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """One tone per terminal between its lowest and highest voltage.

    Parameters
    ----------
    kind : 'sinusoid' or 'triangle'
        A triangle spends equal time at all voltages; a sinusoid lingers at the
        ends of the range.
    frequency_hz, phase, low_v, high_v : (n_terminals,) arrays
        Phases in radians; at phase zero a tone starts rising from the middle.
    """

    kind: Kind
    frequency_hz: NDArray[np.float64]
    phase: NDArray[np.float64]
    low_v: NDArray[np.float64]
    high_v: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.kind not in ("sinusoid", "triangle"):
            raise ParameterError(f"sweep kind {self.kind!r}; choose 'sinusoid' or 'triangle'")
        for name in ("frequency_hz", "phase", "low_v", "high_v"):
            array = np.array(getattr(self, name), dtype=np.float64)
            if array.ndim != 1 or array.shape != np.shape(self.frequency_hz):
                raise ShapeError(f"{name} has shape {array.shape}; give one number a terminal")
            if not np.isfinite(array).all():
                raise ParameterError(f"{name} holds NaN or infinity; give finite numbers")
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        if (self.frequency_hz <= 0).any():
            raise ParameterError("sweep frequencies must be above 0 Hz")
        if (self.low_v > self.high_v).any():
            raise ParameterError("a sweep's low_v is above its high_v; swap them")

    @property
    def max_slew_v_per_s(self) -> float:
        """Fastest change of any terminal, V/s."""
        span = self.high_v - self.low_v
        per_cycle = np.pi if self.kind == "sinusoid" else 2.0
        return float((per_cycle * span * self.frequency_hz).max(initial=0.0))

    def at(self, first_sample: int, n_samples: int, rate: float) -> NDArray[np.float64]:
        """Stretch of the trajectory, (n_terminals, n_samples) V.

        Stretches join without seams: a sample depends on its number alone.

        Parameters
        ----------
        first_sample, n_samples : int
        rate : float
            Samples per second, Hz.
        """
        if not (np.isfinite(rate) and rate > 0):
            raise ParameterError(f"rate = {rate} Hz; give a number above zero")
        if first_sample < 0 or n_samples < 0:
            raise ParameterError(
                f"samples {first_sample} and {n_samples} on; give numbers of zero or more"
            )
        time = np.arange(first_sample, first_sample + n_samples, dtype=np.float64) / rate
        # Reduced to one cycle before the sine, so that hours do not cost precision.
        cycle = np.mod(self.frequency_hz[:, None] * time + (self.phase / (2 * np.pi))[:, None], 1.0)
        if self.kind == "sinusoid":
            unit = np.sin(2 * np.pi * cycle)
        else:
            unit = 1 - 4 * np.abs(np.mod(cycle + 0.25, 1.0) - 0.5)
        low, high = self.low_v[:, None], self.high_v[:, None]
        return np.clip((low + high) / 2 + (high - low) / 2 * unit, low, high)


def sweep(terminals: Sequence[Range], *, kind: Kind, base_hz: float, seed: int) -> Sweep:
    """Incommensurate tones with random phases over the terminals' full ranges.

    Parameters
    ----------
    terminals : sequence of n_terminals ranges
    kind : 'sinusoid' or 'triangle'
    base_hz : float
        Lowest frequency, Hz.
    seed : int
        Of the phases.
    """
    n = len(terminals)
    return Sweep(
        kind=kind,
        frequency_hz=incommensurate_frequencies(n, base_hz=base_hz),
        phase=np.random.default_rng(seed).uniform(0, 2 * np.pi, n),
        low_v=np.array([t.low_v for t in terminals]),
        high_v=np.array([t.high_v for t in terminals]),
    )


def incommensurate_frequencies(n: int, *, base_hz: float) -> NDArray[np.float64]:
    """Frequencies proportional to the square roots of the first n primes, (n,) Hz.

    The lowest is `base_hz`. Square roots of distinct primes are linearly
    independent over the rationals, so no sum of the tones repeats.
    """
    if n < 0:
        raise ParameterError(f"{n} frequencies; give zero or more")
    if not (np.isfinite(base_hz) and base_hz > 0):
        raise ParameterError(f"base_hz = {base_hz} Hz; give a number above zero")
    primes: list[int] = []
    candidate = 2
    while len(primes) < n:
        if all(candidate % p for p in primes):
            primes.append(candidate)
        candidate += 1
    return base_hz * np.sqrt(np.array(primes, dtype=np.float64) / 2)
