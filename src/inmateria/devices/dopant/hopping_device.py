"""What the tools that look at a dopant network want of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.devices.device import Terminal

if TYPE_CHECKING:
    from inmateria.devices.dopant.engine import Engine
    from inmateria.devices.dopant.geometry import Geometry
    from inmateria.devices.dopant.kmc import MonteCarlo
    from inmateria.devices.dopant.model import HoppingModel
    from inmateria.devices.dopant.parameters import DopantParameters

FloatArray = NDArray[np.float64]


class HoppingDevice(Protocol):
    """A device made of a `HoppingModel`: a `DopantNetwork`, seen from below."""

    engine: Engine
    geometry: Geometry | None
    model: HoppingModel
    parameters: DopantParameters

    @property
    def terminals(self) -> tuple[Terminal, ...]:
        """Driven electrodes."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Electrodes at 0 V whose current is measured."""

    def current(self, voltage: ArrayLike) -> FloatArray:
        """(..., n_terminals) V to (..., n_outputs) nA."""

    def occupation(self, voltage: ArrayLike) -> FloatArray:
        """(..., n_terminals) V to (..., n_sites)."""

    def monte_carlo(
        self,
        voltage: ArrayLike,
        *,
        standard_error: ArrayLike | None = None,
        bonds: bool = False,
        progress: Callable[[int, int, int], None] | None = None,
        **settings: Any,
    ) -> MonteCarlo:
        """Currents and occupations by kinetic Monte Carlo."""

    def describe(self) -> dict[str, Any]:
        """Plain JSON values."""
