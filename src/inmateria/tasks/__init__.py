"""Tasks: inputs, targets, and how currents are judged."""

from inmateria.tasks.capacity import Labeling, labelings
from inmateria.tasks.description import task_from_description
from inmateria.tasks.features import Features
from inmateria.tasks.gates import GATES, Gate, gates
from inmateria.tasks.ring import Ring
from inmateria.tasks.sphere import Sphere
from inmateria.tasks.task import (
    Score,
    Task,
    control_terminals,
    input_levels,
    levels_for,
    output_index,
    task_current,
    task_voltage,
)

__all__ = [
    "GATES",
    "Features",
    "Gate",
    "Labeling",
    "Ring",
    "Score",
    "Sphere",
    "Task",
    "control_terminals",
    "gates",
    "input_levels",
    "labelings",
    "levels_for",
    "output_index",
    "task_current",
    "task_from_description",
    "task_voltage",
]
