"""Ring: a disc against the ring around it, in the plane of two inputs.

Ruiz Euler et al. 2020 use two classes 0.5 apart; here the disc has radius
0.25 and the ring reaches from 0.75 to 1, in units of the inputs' levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from inmateria.tasks.shells import Shells


@dataclass(frozen=True)
class Ring(Shells):
    """Disc (low) against ring (high) on two inputs; parameters as in `Shells`."""

    kind: ClassVar[str] = "ring"
    dimension: ClassVar[int] = 2
