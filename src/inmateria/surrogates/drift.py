"""Slow noise, told apart from the device while a network is trained.

1/f noise hardly changes within a segment of a trajectory, while the voltages
visit much of their ranges there. What all rows of a segment have in common, and
the network does not explain, is therefore drift: an offset per segment,

    c_s = mean over the rows of s of (measured - network),

taken anew after every epoch from the residuals seen in it, and subtracted from
the rows of the next. The offsets have no common mean, which belongs to the
device. This is alternating least squares for a model with a random intercept
per group (N. M. Laird and J. H. Ware, Biometrics 38, 963 (1982)).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inmateria.devices.device import FloatArray

# A mean over fewer rows is noise itself, and a single row (a plateau) would explain all of itself.
FEWEST_ROWS = 50
# A correlation of neighbours nearer to one cannot be told from a trend in some ten values.
MOST_ALIKE = 0.9


class Drift:
    """An offset for each segment and output, in the network's own units.

    Parameters
    ----------
    segment : (n_rows,) integer tensor
        Numbers from 0.
    current : (n_rows, n_outputs) tensor
    """

    def __init__(self, segment: Tensor, current: Tensor) -> None:
        self._segment = segment
        groups = int(segment.max()) + 1
        self._rows = torch.bincount(segment, minlength=groups).to(current.dtype)[:, None]
        self.offset = torch.zeros(groups, current.shape[1], dtype=current.dtype)
        self._sum = torch.zeros_like(self.offset)
        self._seen = torch.zeros(groups, 1, dtype=current.dtype)

    def of_rows(self, rows: Tensor) -> Tensor:
        """Offsets of some rows, (n, n_outputs)."""
        return self.offset[self._segment[rows]]

    def see(self, rows: Tensor, residual: Tensor) -> None:
        """Residuals (n, n_outputs) of some rows, their offsets already taken out."""
        group = self._segment[rows]
        self._sum.index_add_(0, group, residual)
        self._seen.index_add_(0, group, torch.ones(len(group), 1, dtype=residual.dtype))

    def update(self) -> None:
        """Offsets from what was seen since the last update."""
        known = (self._rows >= FEWEST_ROWS) & (self._seen > 0)
        mean = self.offset + self._sum / self._seen.clamp(min=1)
        if known.any():
            weight = torch.where(known, self._rows, 0)
            mean = mean - (mean * weight).sum(0) / weight.sum()
        self.offset = torch.where(known, mean, 0)
        self._sum.zero_()
        self._seen.zero_()


def drift_groups(segment: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which rows share their slow noise, numbered from 0: those of a segment.

    Segments of fewer than `FEWEST_ROWS` rows (plateaus) do not tell it, and make one group.
    """
    _, group, rows = np.unique(segment, return_inverse=True, return_counts=True)
    return np.asarray(
        np.unique(np.where(rows[group] >= FEWEST_ROWS, group, -1), return_inverse=True)[1]
    )


def without_drift(values: FloatArray, group: NDArray[np.int64]) -> FloatArray:
    """(n_rows, n) values without their group's mean."""
    return np.asarray(values - segment_means(values, group)[group])


def segment_means(values: FloatArray, segment: NDArray[np.int64]) -> FloatArray:
    """Mean of each segment, (n_segments, n) of (n_rows, n) values; segments are numbered from 0."""
    rows = np.bincount(segment)
    sums = np.stack([np.bincount(segment, column) for column in values.T], axis=1)
    return np.asarray(sums / rows[:, None])


def driftless_rms(residual: FloatArray, segment: NDArray[np.int64]) -> float | None:
    """Root mean square of residuals without their segment's mean, nA.

    What is left is a surrogate's error with the fast part of the noise. None
    where no segment has rows enough, as on plateaus.

    Parameters
    ----------
    residual : (n_rows, n_outputs) array, nA
    segment : (n_rows,) array
    """
    _, group, rows = np.unique(segment, return_inverse=True, return_counts=True)
    long = rows[group] >= FEWEST_ROWS
    if not long.any():
        return None
    away = (residual - segment_means(residual, group)[group])[long]
    # each mean takes a degree of freedom with it
    freedom = int(long.sum()) - int((rows >= FEWEST_ROWS).sum())
    return float(np.sqrt(np.sum(away**2) / (freedom * residual.shape[1])))


def error_of_mean(values: FloatArray) -> float:
    """Standard error of the mean of (n,) successive, correlated values.

    n of them count as n (1 - rho) / (1 + rho), rho the correlation of neighbours
    (Bayley & Hammersley 1946, J. R. Stat. Soc. B 8, 184); infinite for fewer than two.
    """
    n = len(values)
    if n < 2:
        return float("inf")
    away = values - values.mean()
    power = float(away @ away)
    rho = float(away[1:] @ away[:-1]) / power if power else 0.0
    # estimates from few values are low by (1 + 3 rho) / n (Marriott & Pope 1954)
    rho = min(max((rho + 1 / n) / (1 - 3 / n), 0.0), MOST_ALIKE) if n > 3 else 0.0
    return float(np.sqrt(power / (n - 1) / n * (1 + rho) / (1 - rho)))
