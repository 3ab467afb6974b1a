"""Sphere: a ball against the shell around it, in the space of three inputs.

Boon et al. 2025 train it with 300 points and test it with 1,000, inputs within
-0.7 V and 0.7 V. The radii are those of the ring.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from inmateria.tasks.shells import Shells


@dataclass(frozen=True)
class Sphere(Shells):
    """Ball (low) against shell (high) on three inputs; parameters as in `Shells`."""

    kind: ClassVar[str] = "sphere"
    dimension: ClassVar[int] = 3

    inputs: tuple[str, ...] = ("e2", "e4", "e6")
    n_train: int = 300
    n_test: int = 1000
