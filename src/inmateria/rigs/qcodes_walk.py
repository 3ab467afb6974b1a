"""The walk that a QCoDeS parameter makes by itself, and the time it takes.

A parameter goes to a distant value in steps of at most `step`, with at least
`inter_delay` seconds between two sets. A `DelegateParameter` may do so itself,
and its source again, in the source's unit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from inmateria.devices.device import FloatArray
from inmateria.rigs.qcodes_parameter import last_set

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qcodes.parameters import ParameterBase

_ROUNDING = 1e-9


def own_stepping(parameter: ParameterBase[Any, Any]) -> tuple[float, float]:
    """Largest step in the parameter's unit (infinite if it does not walk), and seconds a set."""
    largest, seconds, per_unit = float("inf"), 0.0, 1.0
    link: Any = parameter
    while link is not None:
        if link.step is not None:
            largest = min(largest, float(link.step) / per_unit)
        seconds = max(seconds, float(link.inter_delay), float(link.post_delay))
        # A delegate hands value * scale + offset on to its source.
        per_unit *= abs(float(link.scale)) if link.scale is not None else 1.0
        link = getattr(link, "source", None)
    return largest, seconds


def walks(
    parameters: Sequence[ParameterBase[Any, Any]], path: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Sets and seconds of every step of a path.

    Parameters
    ----------
    path : (n_parameters, n_steps + 1) array
        In each parameter's unit, from where it is.

    Returns
    -------
    n_sets : (n_parameters, n_steps) array
    seconds : (n_steps,) array
        Of all parameters, one after another; the time that the instruments
        themselves take is not known and not in it.
    """
    stepping = np.array([own_stepping(p) for p in parameters]).reshape(-1, 2)
    largest, delay = stepping[:, 0, None], stepping[:, 1, None]
    move = np.abs(np.diff(path, axis=1))
    n_sets = np.where(move > 0, np.maximum(np.ceil(move / largest - _ROUNDING), 1), 0)
    # The first delay of each passes while others are set, or has passed since the step before.
    walk = (np.maximum(n_sets - 1, 0) * delay).sum(axis=0)
    return n_sets, walk + (delay * (n_sets > 0)).max(axis=0, initial=0.0)


def goes_home(path: FloatArray) -> bool:
    """Whether no parameter moves away from 0 on a path, (n_parameters, n_steps + 1)."""
    size = np.abs(path)
    slack = _ROUNDING * size.max(axis=1, initial=0.0)[:, None]
    return bool(((np.diff(size, axis=1) <= slack) & (path[:, 1:] * path[:, :-1] >= 0)).all())


def between(parameter: ParameterBase[Any, Any], before: float, asked: float) -> float:
    """Middle of where a parameter may be after a set that failed, unread, in its unit."""
    arrived = last_set(parameter)
    arrived = arrived if np.isfinite(arrived) else before
    largest, _ = own_stepping(parameter)
    # What failed was the next set of its own walk.
    return float(arrived + np.clip(asked - arrived, -largest, largest) / 2)
