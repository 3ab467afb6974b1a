"""Training methods: control voltages for a task, and their verification on the device.

Importing this package does not import torch; its modules do, so the public
names are loaded when they are first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "Cost": "solution",
    "Descent": "in_silico",
    "InputSearch": "find_inputs",
    "LOSSES": "losses",
    "METHODS": "train",
    "Solution": "solution",
    "Verification": "verify",
    "as_differentiable": "differentiable",
    "capacity": "capacity",
    "find_inputs": "find_inputs",
    "load_solution": "solution",
    "train": "train",
    "train_all": "train",
    "verify": "verify",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
