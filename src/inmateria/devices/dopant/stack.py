"""Several hopping networks of one size, solved in one call.

An engine offers it by a class registered in `STACKS`, made from a sequence of
its engines; what it finds in a solve it gives back as `state`, so that the
gradient at the same points needs no second solve. Engines without one, and
networks that differ in size or engine, are called one after the other, each
with all its points on all cores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from inmateria.devices.device import FloatArray
from inmateria.devices.dopant.engine import Engine
from inmateria.devices.dopant.meanfield_stack import MeanFieldStack


class EngineStack(Protocol):
    """Engines of equal kind and size as one; currents in holes per 1 / nu0."""

    def current(self, voltage: FloatArray) -> tuple[FloatArray, Any]:
        """(n_networks, n_points, n_electrodes) V to net holes into every electrode, and a state."""

    def gradient(self, voltage: FloatArray, state: Any, outputs: tuple[int, ...]) -> FloatArray:
        """At the points of that state, (n_networks, n_points, n_outputs, n_electrodes), 1 / V."""


STACKS: dict[str, Callable[[Sequence[Any]], EngineStack]] = {"meanfield": MeanFieldStack}


def stack_engines(engines: Sequence[Engine]) -> EngineStack | None:
    """One stack of all engines; None where there is none for them.

    They must be of one kind, with equal numbers of sites and electrodes.
    """
    if len({engine.name for engine in engines}) != 1 or engines[0].name not in STACKS:
        return None
    sizes = set()
    for engine in engines:
        model = getattr(engine, "model", None)
        if model is None:
            return None
        sizes.add((model.n_sites, model.n_electrodes))
    return STACKS[engines[0].name](engines) if len(sizes) == 1 else None
