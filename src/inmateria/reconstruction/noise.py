"""White noise of a measured PLDOS, told from the waves by its wave numbers.

The density of waves at the Fermi energy has no structure much finer than half a Fermi wave
length: beyond q = 2 k_F its spectrum falls steeply, to 1e-3 of its mean where pixels of 10 nm
end in the default geometry. What is there is noise. In a cosine transform, which does not
mind that opposite edges differ, white noise has the same variance at all wave numbers.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike

from inmateria.errors import NotFiniteError, ShapeError
from inmateria.transport.constants import CHARGE_C, HBAR_J_S
from inmateria.transport.geometry import GasGeometry

# Of the largest wave number of the pixels, that of their diagonal.
_HIGH = 0.8
# Above so many times 2 k_F waves are no longer to be seen.
_CLEAR = 1.3
# A standard deviation from fewer numbers is none.
_FEWEST = 30


def white_noise(image: ArrayLike, gas: GasGeometry) -> float:
    """Standard deviation of what is not waves, in the image's unit.

    Parameters
    ----------
    image : (n_x, n_y) array
        A PLDOS on square pixels that cover the sample, in any unit.
    gas : GasGeometry

    Returns
    -------
    float
        Down to 2e-3 of the mean on pixels of 10 nm; NaN where pixels are too coarse to tell.

    Raises
    ------
    ShapeError, NotFiniteError
    """
    values = np.asarray(image, dtype=np.float64)
    pixel_nm = gas.n_x * gas.spacing_nm / values.shape[0] if values.ndim == 2 else 0.0
    if not pixel_nm or round(gas.n_y * gas.spacing_nm / pixel_nm) != values.shape[1]:
        raise ShapeError(
            f"an image of shape {values.shape} for a gas of {gas.n_x} x {gas.n_y} sites: give one "
            "that covers it with square pixels"
        )
    if not np.isfinite(values).all():
        raise NotFiniteError("the image holds NaN or infinity: fill these pixels")
    fermi_per_nm = 1e-9 * np.sqrt(2 * gas.mass_kg * gas.fermi_mev * 1e-3 * CHARGE_C) / HBAR_J_S
    lowest = _HIGH * np.sqrt(2) * np.pi / pixel_nm
    if lowest < _CLEAR * 2 * fermi_per_nm:
        return float("nan")
    q = np.hypot(
        *np.meshgrid(*(np.pi / pixel_nm * np.arange(n) / n for n in values.shape), indexing="ij")
    )
    high = scipy.fft.dctn(values, norm="ortho")[q >= lowest]
    return float(np.sqrt((high**2).mean())) if high.size >= _FEWEST else float("nan")
