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

import torch
from torch import Tensor

# A mean over fewer rows is noise itself, and a single row (a plateau) would explain all of itself.
FEWEST_ROWS = 50


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
