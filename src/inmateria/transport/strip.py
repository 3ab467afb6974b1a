"""Modes of a clean strip of the square lattice, in closed form.

Between hard walls a strip of n rows has the transverse modes

    chi_m(j) = sqrt(2 / (n + 1)) sin(pi m j / (n + 1)),    m, j = 1 .. n,

and at energy E (units of the hopping t) the longitudinal wave number of mode m
obeys 2 cos k_m = 4 - 2 cos(q_m) - E with q_m = pi m / (n + 1). Where |2 cos k| < 2 the
mode is open with velocity v = 2 sin k (t a / hbar); else exp(i k) decays. A half-infinite
strip gives a site next to it the retarded self-energy -exp(i k_m) per mode.

Closed to a cylinder (periodic walls), the last row next to the first, it has q = 2 pi p / n
and real Fourier modes, two of each energy but for p = 0 and, where n is even, p = n / 2:

    1 / sqrt(n),  then  sqrt(2 / n) cos(q j),  sqrt(2 / n) sin(q j),  ..  (-1)^j / sqrt(n),

j = 0 .. n - 1. Real ones keep r symmetric without a magnetic field.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inmateria.errors import ParameterError

Walls = Literal["hard", "periodic"]

# Closer to a threshold than this, the velocity of a mode is rounding noise.
THRESHOLD_T = 1e-9


@dataclass(frozen=True)
class StripModes:
    """Modes of a strip at one energy, lowest first.

    Attributes
    ----------
    two_cos_k : (n_rows,) array
    phase : (n_rows,) complex array
        exp(i k): on the unit circle for open modes, inside it for the others.
    open : (n_rows,) bool array
    velocity : (n_open,) array, in units of t a / hbar
    """

    two_cos_k: NDArray[np.float64]
    phase: NDArray[np.complex128]
    open: NDArray[np.bool_]
    velocity: NDArray[np.float64]

    @property
    def n_open(self) -> int:
        """Number of open modes."""
        return int(self.open.sum())


def transverse_modes(n_rows: int, *, walls: Walls = "hard") -> NDArray[np.float64]:
    """Modes chi_m(j), lowest first: an orthogonal (n_rows, n_rows) array over (j, m)."""
    if walls == "periodic":
        return _around(n_rows)
    j = np.arange(1, n_rows + 1)
    angle = np.pi * (np.outer(j, j) % (2 * (n_rows + 1))) / (n_rows + 1)
    return np.asarray(np.sqrt(2 / (n_rows + 1)) * np.sin(angle))


def _around(n_rows: int) -> NDArray[np.float64]:
    """Fourier modes around a cylinder."""
    j, m = np.arange(n_rows), np.arange(n_rows)
    angle = 2 * np.pi * (np.outer(j, (m + 1) // 2) % n_rows) / n_rows
    modes = np.sqrt(2 / n_rows) * np.where(m % 2, np.cos(angle), np.sin(angle))
    modes[:, 0] = 1 / np.sqrt(n_rows)
    if n_rows % 2 == 0:
        modes[:, -1] = (1 - 2 * (j % 2)) / np.sqrt(n_rows)
    return np.asarray(modes)


def thresholds(n_rows: int, *, walls: Walls = "hard") -> NDArray[np.float64]:
    """Energies at which the modes open, (n_rows,) in units of t."""
    if walls == "periodic":
        around = np.arange(1, n_rows + 1) // 2
        return np.asarray(2 - 2 * np.cos(2 * np.pi * around / n_rows))
    m = np.arange(1, n_rows + 1)
    return np.asarray(2 - 2 * np.cos(np.pi * m / (n_rows + 1)))


def strip_modes(n_rows: int, energy_t: float, *, walls: Walls = "hard") -> StripModes:
    """Modes of a strip of `n_rows` rows at an energy in units of t.

    Raises
    ------
    ParameterError
        If the energy lies on the threshold of a mode, where its velocity is zero.
    """
    two_cos = 2.0 + thresholds(n_rows, walls=walls) - energy_t
    nearest = int(np.argmin(np.abs(np.abs(two_cos) - 2)))
    if abs(abs(two_cos[nearest]) - 2) < THRESHOLD_T:
        raise ParameterError(
            f"energy {energy_t:.12g} t lies on the threshold of mode {nearest + 1} of a lead of "
            f"{n_rows} rows, where its velocity is zero; move it by more than {THRESHOLD_T:g} t"
        )
    is_open = np.abs(two_cos) < 2
    cosine = two_cos / 2
    inside = np.arccos(np.clip(cosine, -1, 1))
    decay = np.exp(-np.arccosh(np.maximum(np.abs(cosine), 1)))
    phase = np.where(is_open, np.exp(1j * inside), np.sign(cosine) * decay)
    return StripModes(two_cos, phase, is_open, 2 * np.sin(inside[is_open]))
