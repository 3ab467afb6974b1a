"""What an instrument makes of an image on the sites: means over pixels, or a tip's map.

Both are linear, m = A image, and a loss of m has the derivative A^T dL/dm on the sites.

`Pixels`
    Means over squares of sites.
`TipPositions`
    A scanning-gate map to first order, from the sensitivity S = dT/dV: with W the tip's
    potential, dT(s) = sum_r W(r - s) S(r) at every so manyth site s. W is even, so that A^T
    is the same sum over positions, zero where the tip does not stand.
"""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from inmateria.datasets.averaging import block_average
from inmateria.errors import ParameterError
from inmateria.transport.geometry import GasGeometry
from inmateria.transport.scanning_gate import tip_sites
from inmateria.transport.tip import Tip
from inmateria.transport.tip_lattice import TipLattice

Real = NDArray[np.float64]
ImageName = Literal["pldos", "sensitivity", "gate-map"]


class Instrument(Protocol):
    """A linear map of images.

    Attributes
    ----------
    shape : (int, int)
        Of what it measures.
    """

    shape: tuple[int, int]

    def measure(self, on_sites: Real) -> Real:
        """What is measured of an image (n_x, n_y)."""
        ...

    def pull_back(self, slope: Real) -> Real:
        """dL/dimage (n_x, n_y) from dL/dm, of `shape`."""
        ...


class Pixels:
    """Means over squares of `pixel` times `pixel` sites.

    Raises
    ------
    ParameterError
        If they do not fill the gas.
    """

    def __init__(self, gas: GasGeometry, pixel: int) -> None:
        if pixel < 1 or gas.n_x % pixel or gas.n_y % pixel:
            raise ParameterError(
                f"pixels of {pixel} sites on {gas.n_x} x {gas.n_y} sites: give a divisor of both"
            )
        self.pixel = pixel
        self.shape = gas.n_x // pixel, gas.n_y // pixel

    def measure(self, on_sites: Real) -> Real:
        """Means over pixels."""
        return np.asarray(block_average(on_sites, self.pixel))

    def pull_back(self, slope: Real) -> Real:
        """Every site of a pixel takes its share."""
        if self.pixel == 1:
            return slope
        return slope.repeat(self.pixel, axis=0).repeat(self.pixel, axis=1) / self.pixel**2


class TipPositions:
    """A weak tip above every `stride`-th site, from the first on; takes S in 1/meV.

    Raises
    ------
    ParameterError
        If the tip falls between the sites.
    """

    def __init__(self, gas: GasGeometry, tip: Tip, stride: int | tuple[int, int] = 1) -> None:
        self.on_lattice = TipLattice(gas, tip)
        self.sites = tip_sites(gas, stride)
        self.sample_shape, self.hopping_mev = gas.shape, gas.hopping_mev
        self.shape = self.sites[0].size, self.sites[1].size

    def measure(self, on_sites: Real) -> Real:
        """The change of transmission by the tip's position."""
        # The tip on the lattice is in t.
        return np.asarray(self.on_lattice.sums(self.hopping_mev * on_sites)[np.ix_(*self.sites)])

    def pull_back(self, slope: Real) -> Real:
        """The tip at each position, weighted."""
        weight = np.zeros(self.sample_shape)
        weight[np.ix_(*self.sites)] = self.hopping_mev * slope
        return self.on_lattice.sums(weight)


def instrument(
    gas: GasGeometry,
    image: ImageName,
    *,
    pixel: int = 1,
    tip: Tip | None = None,
    stride: int | tuple[int, int] = 1,
) -> Instrument:
    """The instrument behind an image.

    Raises
    ------
    ParameterError
        If tip, stride or pixel do not go with the image.
    """
    if image != "gate-map":
        if tip is not None or stride not in (1, (1, 1)):
            raise ParameterError(
                f"a tip or a stride with image = {image!r}: give image = 'gate-map', or neither"
            )
        return Pixels(gas, pixel)
    if tip is None:
        raise ParameterError(
            "image = 'gate-map' without its tip: give tip = Tip(height_mev, width_nm), and "
            "free_scale = True where the height is not known"
        )
    if pixel != 1:
        raise ParameterError(
            f"pixel = {pixel} with image = 'gate-map', which is measured at positions: give stride"
        )
    return TipPositions(gas, tip, stride)
