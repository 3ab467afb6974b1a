"""Modes of a clean hard-wall strip of the square lattice, in closed form.

A strip of n rows has the transverse modes

    chi_m(j) = sqrt(2 / (n + 1)) sin(pi m j / (n + 1)),    m, j = 1 .. n,

and at energy E (units of the hopping t) the longitudinal wave number of mode m
obeys 2 cos k_m = 4 - 2 cos(pi m / (n + 1)) - E. Where |2 cos k| < 2 the mode is
open with velocity v = 2 sin k (t a / hbar); else exp(i k) decays. A half-infinite
strip gives a site next to it the retarded self-energy -exp(i k_m) per mode.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inmateria.errors import ParameterError

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


def transverse_modes(n_rows: int) -> NDArray[np.float64]:
    """Hard-wall modes chi_m(j), an orthogonal (n_rows, n_rows) array over (j, m)."""
    j = np.arange(1, n_rows + 1)
    angle = np.pi * (np.outer(j, j) % (2 * (n_rows + 1))) / (n_rows + 1)
    return np.asarray(np.sqrt(2 / (n_rows + 1)) * np.sin(angle))


def thresholds(n_rows: int) -> NDArray[np.float64]:
    """Energies at which the modes open, (n_rows,) in units of t."""
    m = np.arange(1, n_rows + 1)
    return np.asarray(2 - 2 * np.cos(np.pi * m / (n_rows + 1)))


def strip_modes(n_rows: int, energy_t: float) -> StripModes:
    """Modes of a strip of `n_rows` rows at an energy in units of t.

    Raises
    ------
    ParameterError
        If the energy lies on the threshold of a mode, where its velocity is zero.
    """
    two_cos = 2.0 + thresholds(n_rows) - energy_t
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
