"""Points in normalised coordinates, and where they lie in volts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray
from inmateria.errors import TaskError


def per_input(value: float | Sequence[float], n_inputs: int, name: str) -> tuple[float, ...]:
    """One voltage per input; a single one counts for all.

    Raises
    ------
    TaskError
    """
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TaskError(f"{name} is {value!r}; give one voltage, or one per input") from error
    if array.ndim == 0:
        array = np.full(n_inputs, float(array))
    if array.shape != (n_inputs,):
        raise TaskError(f"{name} has shape {array.shape}; give one voltage, or {n_inputs}")
    return tuple(float(v) for v in array)


def scale_points(
    normalised: ArrayLike, low_v: float | Sequence[float], high_v: float | Sequence[float]
) -> FloatArray:
    """Map -1 to `low_v` and 1 to `high_v`, per input.

    Parameters
    ----------
    normalised : (n_points, n_inputs) array
    low_v, high_v : float or one per input, V

    Returns
    -------
    (n_points, n_inputs) array, V

    Raises
    ------
    TaskError
        If a level is not finite or low is not below high.
    """
    z = np.asarray(normalised, dtype=np.float64)
    low = np.array(per_input(low_v, z.shape[-1], "low_v"))
    high = np.array(per_input(high_v, z.shape[-1], "high_v"))
    if not (np.isfinite(low).all() and np.isfinite(high).all() and (low < high).all()):
        raise TaskError(f"low_v {low_v} V must be finite and below high_v {high_v} V")
    return np.asarray(0.5 * (low + high) + 0.5 * (high - low) * z)


def ball_and_shell(
    dimension: int,
    n: int,
    *,
    inner_radius: float,
    gap: float,
    outer_radius: float,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray]:
    """Points uniform in an inner ball and in a shell around it, half of them each.

    Parameters
    ----------
    dimension : int
        2: disc and ring; 3: ball and shell.
    n : int
        Number of points; the shell gets the odd one.
    inner_radius, gap, outer_radius : float
        The shell reaches from `inner_radius` + `gap` to `outer_radius`.

    Returns
    -------
    points : (n, dimension) array
    target : (n,) array
        1 in the shell, 0 in the ball; classes alternate.
    """
    target = np.arange(n) % 2 == 0
    direction = rng.standard_normal((n, dimension))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    start = np.where(target, inner_radius + gap, 0.0) ** dimension
    stop = np.where(target, outer_radius, inner_radius) ** dimension
    # The volume inside radius r grows as r^dimension.
    radius = rng.uniform(start, stop) ** (1.0 / dimension)
    return radius[:, None] * direction, target.astype(np.float64)


def check_radii(inner_radius: float, gap: float, outer_radius: float) -> None:
    """Refuse a ball and a shell that do not exist or reach beyond the inputs' levels.

    Raises
    ------
    TaskError
    """
    if not (inner_radius > 0 and gap >= 0 and inner_radius + gap < outer_radius <= 1):
        raise TaskError(
            f"inner_radius {inner_radius} + gap {gap} must stay below outer_radius "
            f"{outer_radius}, which may be 1 at most; radii are shares of the inputs' levels"
        )
