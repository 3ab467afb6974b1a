"""Tasks by the names that a person types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from inmateria.errors import ConfigurationError

if TYPE_CHECKING:
    from inmateria.cli.settings import TaskSettings
    from inmateria.tasks.task import Task, Wired

RING = "RING"
SPHERE = "SPHERE"
SPHERE_INPUTS = ("e2", "e4", "e6")
GROUPS = ("all", "gates", "ring", "sphere")


def task_names(typed: Sequence[str]) -> list[str]:
    """Names of tasks, each once.

    ``gates`` are all sixteen, ``all`` the gates and the ring; ``sphere`` needs a
    third input and is named by itself.

    Raises
    ------
    ConfigurationError
        If there is no task of that name.
    """
    from inmateria.tasks.gates import GATES

    groups = {"ALL": [*GATES, RING], "GATES": list(GATES), RING: [RING], SPHERE: [SPHERE]}
    names: dict[str, None] = {}
    for name in typed:
        folded = name.upper().replace("_", "-").replace(" ", "-")
        if folded not in groups and folded not in GATES:
            raise ConfigurationError(_unknown(name, [*GROUPS, *GATES]))
        names |= dict.fromkeys(groups.get(folded, [folded]))
    # Last, because a run's inputs are those of its first task, and gates have two.
    return sorted(names, key=lambda name: name == SPHERE)


def make_task(name: str, device: Wired, *, inputs: Sequence[str], settings: TaskSettings) -> Task:
    """The task of a name from `task_names`, its levels placed inside the inputs' ranges.

    The sphere takes `inputs` where they are three, else those of its own in
    the settings.

    Raises
    ------
    TaskError
        If the inputs are not terminals of the device.
    """
    from inmateria.tasks.gates import Gate
    from inmateria.tasks.ring import Ring
    from inmateria.tasks.sphere import Sphere
    from inmateria.tasks.task import input_levels

    if name == SPHERE:
        inputs = settings.sphere_inputs or (inputs if len(inputs) == 3 else SPHERE_INPUTS)
    levels: dict[str, Any] = input_levels(device, inputs)
    if name == SPHERE:
        return Sphere(
            tuple(inputs),
            min_accuracy=settings.min_accuracy,
            n_train=settings.sphere_training_points,
            n_test=settings.sphere_test_points,
            **levels,
        )
    if name == RING:
        return Ring(
            tuple(inputs),
            min_accuracy=settings.min_accuracy,
            n_train=settings.ring_training_points,
            n_test=settings.ring_test_points,
            **levels,
        )
    return Gate(
        name,
        tuple(inputs),
        min_margin_na=settings.min_margin_na,
        tolerance_na=settings.tolerance_na,
        **levels,
    )


def _unknown(name: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name.upper(), [k.upper() for k in known], n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    return f"no task {name!r}; {hint}"
