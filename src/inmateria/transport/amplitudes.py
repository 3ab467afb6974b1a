"""What a solution of the scattering problem holds: densities and amplitudes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scattering:
    """Electrons from one lead at the Fermi energy.

    Attributes
    ----------
    pldos : (..., n_x, n_y) array
        2 pi sum_n |psi_n|^2, in 1/t per site.
    r : (..., n_lead, n_lead) complex array
    t : (..., n_other, n_lead) complex array
    error : (...) array
        Estimated largest error of the PLDOS, relative to its maximum.
    modes : (...) integer array
        Transverse modes kept away from narrow leads.
    corrections : (...) integer array
        Steps of iterative refinement that were taken.
    """

    pldos: NDArray[np.float64]
    r: NDArray[np.complex128]
    t: NDArray[np.complex128]
    error: NDArray[np.float64]
    modes: NDArray[np.int64]
    corrections: NDArray[np.int64]

    @property
    def transmission(self) -> NDArray[np.float64]:
        """sum |t|^2, (...)."""
        return np.asarray((np.abs(self.t) ** 2).sum(axis=(-2, -1)))

    @property
    def reflection(self) -> NDArray[np.float64]:
        """sum |r|^2, (...)."""
        return np.asarray((np.abs(self.r) ** 2).sum(axis=(-2, -1)))
