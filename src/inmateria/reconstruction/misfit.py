"""How well a potential explains a measured image, without knowing the truth.

The PLDOS that a potential gives is computed and compared with the measured one:

    misfit = rms(k computed - measured) / rms(measured - its mean),

k = 1, or the best scale where the instrument's unit is unknown. 1 explains nothing, 0
everything. Half a turn of a wave's phase is enough for 1: a potential may be good and its
image not, but not the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.datasets.averaging import block_average
from inmateria.errors import ParameterError, ShapeError
from inmateria.transport.gas import ElectronGas

Real = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ComputedImage:
    """The image of a potential beside a measured one.

    Attributes
    ----------
    image : (n_x, n_y) array
        On the measured one's pixels and in its unit.
    scale : float
        k.
    misfit : float
    """

    image: Real
    scale: float
    misfit: float


def computed_pldos(
    gas: ElectronGas,
    potential_mev: ArrayLike,
    measured: ArrayLike,
    *,
    free_scale: bool = True,
    accuracy: float = 1e-3,
) -> ComputedImage:
    """The PLDOS of a potential on sites, beside a measured one on coarser pixels.

    Parameters
    ----------
    gas : ElectronGas
    potential_mev : (n_x, n_y) array, meV
    measured : array
        Means over squares of a whole number of sites.
    free_scale : bool
        Whether the measured one's unit is unknown; it is 1/t else.
    accuracy : float

    Raises
    ------
    ShapeError, NotFiniteError, ParameterError
    """
    wanted = np.asarray(measured, dtype=np.float64)
    pixel = sites_per_pixel(gas, wanted.shape)
    spread = float(wanted.std())
    if not spread > 0:
        raise ParameterError("the measured image is the same everywhere: nothing to compare with")
    found = block_average(gas.pldos(potential_mev, accuracy=accuracy), pixel)
    k = float((found * wanted).sum() / (found**2).sum()) if free_scale else 1.0
    rms = float(np.sqrt(((k * found - wanted) ** 2).mean()))
    return ComputedImage(np.asarray(k * found), k, rms / spread)


def sites_per_pixel(gas: ElectronGas, shape: tuple[int, ...]) -> int:
    """Sites along the side of a pixel of an image.

    Raises
    ------
    ShapeError
        If the image does not have a whole number of sites a pixel.
    """
    pixel = gas.n_x // max(1, shape[0]) if len(shape) == 2 else 0
    if not pixel or gas.shape != (pixel * shape[0], pixel * shape[1]):
        raise ShapeError(
            f"an image of shape {shape} of a gas of {gas.n_x} x {gas.n_y} sites: give "
            "a whole number of sites a pixel"
        )
    return pixel
