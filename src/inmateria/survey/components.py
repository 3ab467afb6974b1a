"""Principal components of the four-input current vectors over control settings.

The covariance of (I00, I01, I10, I11) over random settings has four orthogonal
directions; how their variances fall off says what the controls can change
(Tertilt et al. 2024, Phys. Rev. Applied 22, 024063). Direction k is named by its
squared overlaps with the modes of `nonlinearity.BASIS`: the mean, the effects of
the two inputs, and the cross term, which XOR and XNOR are made of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray
from inmateria.survey.abundance import check_vectors
from inmateria.survey.nonlinearity import BASIS


@dataclass(frozen=True)
class Components:
    """Principal components, largest variance first.

    Parameters
    ----------
    variance_na2 : (4,) array, nA^2
    direction : (4, 4) array
        Row k is the k-th direction over the states 00, 01, 10, 11, of unit
        length; its overlap with the mode that it is nearest to is positive.
    mean_na : (4,) array, nA
        Of the current vectors.
    """

    variance_na2: FloatArray
    direction: FloatArray
    mean_na: FloatArray

    @property
    def share(self) -> FloatArray:
        """Share of the variance in each component, (4,); zeros where nothing varies."""
        total = self.variance_na2.sum()
        return self.variance_na2 / total if total > 0 else np.zeros(4)

    @property
    def overlap(self) -> FloatArray:
        """(4, 4) squared overlaps of component k with mode m; rows and columns sum to one."""
        return np.asarray((self.direction @ BASIS.T) ** 2)

    @property
    def mode_share(self) -> FloatArray:
        """Share of the variance along each mode of `BASIS`, (4,)."""
        return np.asarray(self.share @ self.overlap)


def principal_components(current: ArrayLike) -> Components:
    """Components of (n_settings, 4) nA by diagonalising the covariance matrix.

    One setting alone has no variance.
    """
    y = check_vectors(current)
    mean = y.mean(axis=0)
    away = y - mean
    covariance = away.T @ away / max(1, len(y) - 1)
    value, vector = np.linalg.eigh(covariance)
    value, direction = value[::-1], vector.T[::-1]
    # Differences of rounding size are no variance: keeps a linear device at rank 3.
    floor = 16 * np.finfo(np.float64).eps * max(float(np.abs(covariance).max()), 0.0)
    value = np.where(value > floor, value, 0.0)
    along = direction @ BASIS.T
    nearest = np.abs(along).argmax(axis=1)
    sign = np.sign(along[np.arange(4), nearest])
    return Components(value, direction * sign[:, None], mean)
