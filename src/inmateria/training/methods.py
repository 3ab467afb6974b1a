"""Training methods by name: what they are called, where they are, which options they take."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from inmateria.training.solution import Solution


@dataclass(frozen=True)
class Method:
    """A training method, imported when it is first used.

    Parameters
    ----------
    name : str
    where : str
        ``"module:function"`` of the function for a rig:
        ``search(task_on_rig, *, seed, **options) -> None``.
    summary : str
        One line, for people.
    options_of : sequence of str
        ``"module:function"`` of those that take the function's further ``**options``.
    batch : str
        ``"module:function"`` for a device that is differentiable in itself:
        ``search(tasks, device, *, seed, **options)`` gives a Solution for each of
        several tasks that share their points.
    """

    name: str
    where: str
    summary: str
    options_of: tuple[str, ...] = ()
    batch: str = ""

    def on_rig(self) -> Callable[..., None]:
        """The function for a rig."""
        found: Callable[..., None] = _imported(self.where)
        return found

    def on_device(self) -> Callable[..., list[Solution]] | None:
        """The function for a differentiable device, if there is one."""
        return _imported(self.batch) if self.batch else None

    def options(self, *, rig: bool) -> tuple[str, ...]:
        """Names of the options that it takes."""
        where = (self.where, *self.options_of) if rig else (self.batch,)
        names: dict[str, None] = {}
        for one in where:
            for name, parameter in inspect.signature(_imported(one)).parameters.items():
                if parameter.kind == inspect.Parameter.KEYWORD_ONLY and name != "seed":
                    names[name] = None
        return tuple(names)


_HERE = "inmateria.training"
_HOMODYNE = f"{_HERE}.homodyne_descent:homodyne"
_DESCENT = f"{_HERE}.descent:descend"

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "in-silico",
            f"{_HERE}.on_surrogate:on_surrogate",
            "gradient descent through a surrogate (or a device that knows its gradient)",
            batch=f"{_HERE}.in_silico:in_silico",
        ),
        Method(
            "homodyne",
            _HOMODYNE,
            "gradient descent in the material, all controls modulated at once",
            options_of=(_DESCENT,),
        ),
        Method(
            "homodyne-sequential",
            f"{_HERE}.homodyne_descent:homodyne_sequential",
            "gradient descent in the material, one control modulated after the other",
            options_of=(_HOMODYNE, _DESCENT),
        ),
        Method(
            "finite-difference",
            f"{_HERE}.homodyne_descent:finite_difference",
            "gradient descent by central finite differences on the rig",
            options_of=(_DESCENT,),
        ),
        Method(
            "spsa",
            f"{_HERE}.homodyne_descent:spsa",
            "descent along random directions, two settings each",
            options_of=(_DESCENT,),
        ),
        Method("genetic", f"{_HERE}.genetic:genetic", "genetic algorithm"),
        Method("cma-es", f"{_HERE}.cma_es:cma_es", "covariance matrix adaptation"),
        Method("particle-swarm", f"{_HERE}.particle_swarm:particle_swarm", "particle swarm"),
        Method(
            "physics-aware",
            f"{_HERE}.physics_aware:physics_aware",
            "device forward, surrogate backward",
            options_of=(_DESCENT,),
        ),
    )
}
"""Training methods by name."""


def _imported(where: str) -> Any:
    module, _, name = where.partition(":")
    return getattr(import_module(module), name)
