"""Controls that cannot leave their ranges: a smooth bijection, not a clip.

A free number z in (-inf, inf) stands for the voltage

    V = low + (high - low) (d + (1 - 2 d) sigmoid(z)),    d = 1e-6,

so that whatever an optimiser does to z, V lies in [low, high]. d keeps V a
millionth of the range (2 uV, far below any converter's step) from the ends,
more than float32 loses in the arithmetic. The slope dV/dz falls to zero at the
ends: a control that wants to go further rests there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from inmateria.devices.device import Terminal

_EDGE = 1e-6


@dataclass(frozen=True)
class Bounds:
    """Ranges of the controls, (n_controls,) V each."""

    low: Tensor
    high: Tensor

    @classmethod
    def of(cls, terminals: Sequence[Terminal], dtype: torch.dtype = torch.float32) -> Bounds:
        """Bounds of these terminals."""
        return cls(
            torch.tensor([t.low_v for t in terminals], dtype=dtype),
            torch.tensor([t.high_v for t in terminals], dtype=dtype),
        )

    def voltage(self, free: Tensor) -> Tensor:
        """Free numbers (..., n_controls) to voltages inside the ranges, V."""
        share = _EDGE + (1 - 2 * _EDGE) * torch.sigmoid(free)
        return self.low + (self.high - self.low) * share

    def free(self, voltage: Tensor) -> Tensor:
        """Inverse of `voltage`; what touches an end counts as a thousandth inside."""
        share = (voltage - self.low) / (self.high - self.low)
        return torch.logit((share - _EDGE) / (1 - 2 * _EDGE), eps=1e-3)
