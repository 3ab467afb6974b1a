"""The potential of a charged tip above the electron gas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.errors import ParameterError
from inmateria.transport.disorder.parameters import positive


@dataclass(frozen=True)
class Tip:
    """A round tip.

    Parameters
    ----------
    height_mev : float
        Potential below the tip; negative attracts electrons.
    width_nm : float
        w.
    shape : ``"gaussian"`` or ``"lorentzian"``
        exp(-d^2 / (2 w^2)), or 1 / (1 + d^2 / w^2), which is nearer to a point charge's and
        reaches far.

    Raises
    ------
    ParameterError
    """

    height_mev: float
    width_nm: float
    shape: Literal["gaussian", "lorentzian"] = "gaussian"

    def __post_init__(self) -> None:
        positive({"width_nm": self.width_nm})
        if not np.isfinite(self.height_mev) or self.height_mev == 0:
            raise ParameterError(f"height_mev = {self.height_mev}: give a number other than zero")
        if self.shape not in ("gaussian", "lorentzian"):
            raise ParameterError(f"shape = {self.shape!r}: give 'gaussian' or 'lorentzian'")

    def potential(self, distance_nm: ArrayLike) -> NDArray[np.float64]:
        """Potential at a distance from the tip's position in the plane, meV, of its shape."""
        ratio = (np.asarray(distance_nm, dtype=np.float64) / self.width_nm) ** 2
        shape = np.exp(-ratio / 2) if self.shape == "gaussian" else 1 / (1 + ratio)
        return np.asarray(self.height_mev * shape)

    def reach_nm(self, negligible_mev: float) -> float:
        """Distance from which on the potential is below `negligible_mev`; 0 where it always is."""
        ratio = abs(self.height_mev) / negligible_mev
        if ratio <= 1:
            return 0.0
        if self.shape == "gaussian":
            return float(self.width_nm * np.sqrt(2 * np.log(ratio)))
        return float(self.width_nm * np.sqrt(ratio - 1))
