"""CMA-ES: a Gaussian that learns the shape of the valley it is in.

Hansen's covariance matrix adaptation, from the `cma` package. When it stops by
itself (it has converged, or the loss is flat) it starts again anywhere with
twice the population (IPOP, Auger and Hansen 2005), as long as the search goes
on. Coordinates are shares of the controls' ranges; the package keeps them
inside by its smooth transformation of the bounds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from inmateria.devices.device import FloatArray
from inmateria.errors import TrainingError
from inmateria.training.population import MeasuredTask, check_count, check_number, measured_loss

_TOLERANCE = 1e-3
"""Converged: steps of a thousandth of the range, 2 mV of 2 V, where noise hides the rest."""

_LARGEST = 16
"""Populations grow to so many times the first: a flat loss ends a start at once."""


def cma_es(
    task_on_rig: MeasuredTask,
    *,
    seed: int,
    population: int | None = None,
    generations: int = 1000,
    step: float = 0.3,
    growth: int = 2,
) -> None:
    """Search by CMA-ES until the search is ended from outside or generations are done.

    Parameters
    ----------
    task_on_rig : MeasuredTask
        With two controls or more.
    seed : int
    population : int, optional
        Settings per generation of the first start; 4 + 3 log(n_controls) by
        default, as the package recommends.
    generations : int
        Over all restarts.
    step : float
        Initial standard deviation as a share of each range.
    growth : int
        Factor on the population from one start to the next, up to 16 times the
        first; 1 keeps it.

    Raises
    ------
    ParameterError, TrainingError
    """
    check_count("generations", generations, least=1)
    check_count("growth", growth, least=1)
    check_number("step", step, low=0, high=1)
    n_controls = len(task_on_rig.low_v)
    if n_controls < 2:
        raise TrainingError(
            "CMA-ES learns how controls depend on each other and needs two; this task leaves 1: "
            "use 'particle-swarm' or 'genetic'"
        )
    size = 4 + int(3 * np.log(n_controls)) if population is None else population
    check_count("population", size, least=3)
    rng = np.random.default_rng(seed)
    done, largest = 0, _LARGEST * size
    while done < generations:
        strategy = _start(rng, n_controls, size, step)
        stopped = False
        while done < generations and not stopped:
            asked = strategy.ask()
            loss = measured_loss(task_on_rig, np.array(asked), generation=done)
            strategy.tell(asked, _finite(loss).tolist())
            done += 1
            stopped = bool(strategy.stop())
        size = min(size * growth, largest)


def _start(rng: np.random.Generator, n_controls: int, size: int, step: float) -> Any:
    # Imported here: it takes a while, and other methods do without.
    from cma import CMAEvolutionStrategy

    return CMAEvolutionStrategy(
        rng.random(n_controls),
        step,
        {
            "popsize": size,
            "bounds": [0.0, 1.0],
            "tolx": _TOLERANCE,
            "maxiter": np.inf,
            # NaN: leave NumPy's global generator alone; all numbers come from ours.
            "seed": np.nan,
            "randn": lambda *shape: rng.standard_normal(shape),
            "verbose": -10,
            "verb_log": 0,
            "verb_disp": 0,
            "signals_filename": "",
        },
    )


def _finite(loss: FloatArray) -> FloatArray:
    """Infinite losses as a number above all others: the package computes with them."""
    known = loss[np.isfinite(loss)]
    worst = 1.0 + 2.0 * float(np.abs(known).max(initial=0.0))
    return np.where(np.isfinite(loss), loss, worst)
