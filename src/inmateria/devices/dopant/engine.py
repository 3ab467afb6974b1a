"""What an engine is: a way to the steady state of a `HoppingModel`, chosen by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from inmateria.devices.dopant.correlated import Correlated
from inmateria.devices.dopant.exact import Exact
from inmateria.devices.dopant.flow import BondCurrents
from inmateria.devices.dopant.kmc import KineticMonteCarlo
from inmateria.devices.dopant.meanfield import MeanField
from inmateria.devices.dopant.model import HoppingModel
from inmateria.errors import ParameterError

FloatArray = NDArray[np.float64]


class Engine(Protocol):
    """A way to compute the steady state of a `HoppingModel`; currents in holes per 1 / nu0.

    Made as ``Class(model, rates=..., **settings)`` with settings of its own.
    """

    name: str

    def begin(self) -> Any:
        """Where a trajectory starts, for engines that go on from the last point; else None."""

    def current(self, voltage: FloatArray, *, start: Any = None) -> FloatArray:
        """(n_points, n_electrodes) V to net holes into every electrode, the same shape."""

    def occupation(self, voltage: FloatArray) -> FloatArray:
        """(n_points, n_electrodes) V to (n_points, n_sites) mean occupations."""

    def gradient(self, voltage: FloatArray, outputs: tuple[int, ...]) -> FloatArray:
        """(n_points, n_electrodes) V to (n_points, n_outputs, n_electrodes), 1 / V."""

    def bond_currents(self, voltage: FloatArray) -> BondCurrents:
        """(n_points, n_electrodes) V to the net flow along every bond."""


ENGINES: dict[str, type[Engine]] = {
    "meanfield": MeanField,
    "correlated": Correlated,
    "exact": Exact,
    "kmc": KineticMonteCarlo,
}


def make_engine(
    name: str, model: HoppingModel, *, rates: str, settings: Mapping[str, Any]
) -> Engine:
    """The engine of that name for a model.

    Raises
    ------
    ParameterError
        If there is no such engine, or it has no such setting.
    """
    if name not in ENGINES:
        raise ParameterError(f"engine {name!r} is unknown; choose one of {', '.join(ENGINES)}")
    known = [p for p in inspect.signature(ENGINES[name]).parameters if p not in ("model", "rates")]
    for setting in settings:
        if setting not in known:
            offer = f"it takes {', '.join(known)}" if known else "it takes none"
            raise ParameterError(f"engine {name!r} has no setting {setting!r}; {offer}")
    # A protocol has no constructor of its own, so the type cannot say what `known` has checked.
    build: Any = ENGINES[name]
    engine: Engine = build(model, rates=rates, **settings)
    return engine
