"""Tasks made again from what they say about themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from inmateria.errors import TaskError
from inmateria.tasks.capacity import Labeling
from inmateria.tasks.features import Features
from inmateria.tasks.gates import Gate
from inmateria.tasks.ring import Ring
from inmateria.tasks.sphere import Sphere
from inmateria.tasks.task import Task

KINDS: dict[str, Callable[..., Task]] = {
    "gate": Gate,
    "ring": Ring,
    "sphere": Sphere,
    "features": Features,
    "labeling": Labeling,
}
"""What ``describe()["kind"]`` may say."""


def task_from_description(description: Mapping[str, Any]) -> Task:
    """The task whose `describe` gave this.

    Raises
    ------
    TaskError
        If the kind is unknown or an argument is missing or wrong.
    """
    kind = description.get("kind")
    if kind not in KINDS:
        raise TaskError(f"no task of kind {kind!r}; there are {', '.join(KINDS)}")
    arguments = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in description.items()
        if key != "kind"
    }
    try:
        return KINDS[kind](**arguments)
    except TypeError as error:
        raise TaskError(f"description of a {kind} does not fit: {error}") from error
