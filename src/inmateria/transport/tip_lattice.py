"""A tip's potential on the lattice, and its sum with a field for every position at once.

The field is zero beyond the sample, so its Fourier transform is padded by as far as the tip
reaches: what it covers outside the sample does not count.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from inmateria.errors import ParameterError
from inmateria.transport.geometry import GasGeometry
from inmateria.transport.tip import Tip

Real = NDArray[np.float64]
# Columns and rows of sites above which a tip stands.
Sites = tuple[NDArray[np.int64], NDArray[np.int64]]

# Below this part of the tip's height its potential is rounding.
NOTHING = 1e-16


class TipLattice:
    """A tip above the sites of a gas.

    Attributes
    ----------
    by_distance : (n_x, n_y) array, in t
        Potential by distances along x and y, in sites.
    lowest : float, in t
        Of the tip's potential; 0 where it repels.

    Raises
    ------
    ParameterError
        If the tip falls between the sites.
    """

    def __init__(self, gas: GasGeometry, tip: Tip) -> None:
        if tip.width_nm < gas.spacing_nm / 2:
            raise ParameterError(
                f"a tip of width_nm = {tip.width_nm:g} on sites {gas.spacing_nm:g} nm apart: give "
                f"at least {gas.spacing_nm / 2:g} nm or use a finer lattice"
            )
        x, y = (gas.spacing_nm * np.arange(n) for n in gas.shape)
        self.by_distance = tip.potential(np.hypot(x[:, None], y)) / gas.hopping_mev
        self.lowest = min(tip.height_mev, 0.0) / gas.hopping_mev
        far = int(tip.reach_nm(NOTHING * abs(tip.height_mev)) / gas.spacing_nm)
        self.reach = min(gas.n_x - 1, far), min(gas.n_y - 1, far)
        self.padded = (
            fft.next_fast_len(gas.n_x + self.reach[0], real=True),
            fft.next_fast_len(gas.n_y + self.reach[1], real=True),
        )
        kernel = np.zeros(self.padded)
        shifts = [np.arange(-r, r + 1) for r in self.reach]
        kernel[np.ix_(*shifts)] = self.by_distance[np.ix_(*map(np.abs, shifts))]
        # It is even: its transform is real.
        self.transform = fft.rfft2(kernel, workers=1).real

    def above(self, i: int, j: int) -> Real:
        """The potential of the tip at site (i, j), (n_x, n_y) in t."""
        n_x, n_y = self.by_distance.shape
        rows, columns = np.abs(np.arange(n_x) - i), np.abs(np.arange(n_y) - j)
        return self.by_distance[rows[:, None], columns]

    def sums(self, field: Real) -> Real:
        """Sum over sites of a field times the tip's potential, by the tip's site; (n_x, n_y)."""
        n_x, n_y = field.shape
        product = fft.rfft2(field, self.padded, workers=1) * self.transform
        return np.asarray(fft.irfft2(product, self.padded, workers=1)[:n_x, :n_y])
