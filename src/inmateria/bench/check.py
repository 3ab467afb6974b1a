"""A dry run: the same code on the same guard, and a rig that plays nothing.

Each step of a run is rehearsed by itself, and what would have been refused is kept
as its message. What a search will try cannot be foreseen: its bounds are given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from inmateria.bench.bench import Bench
from inmateria.bench.rehearsal import Rehearsal
from inmateria.devices.device import FloatArray
from inmateria.errors import InMateriaError, StoppedError
from inmateria.rigs.guard import Guard

if TYPE_CHECKING:
    from inmateria.tasks.task import Task, Wired
    from inmateria.training.solution import Solution


@dataclass(frozen=True, eq=False)
class Stage:
    """A step of a run, as it would be sent.

    Parameters
    ----------
    name : str
    seconds : float
        Of device time, ramps included, s.
    n_samples : int
    lowest_v, highest_v : (n_terminals,) arrays, V
        The 0 V before and after included.
    steepest_v_per_s : (n_terminals,) array, V/s
    at_most : bool
        Whether these are bounds, and not what will be sent.
    refused : str, optional
        Why it would be refused.
    """

    name: str
    seconds: float
    n_samples: int
    lowest_v: FloatArray
    highest_v: FloatArray
    steepest_v_per_s: FloatArray
    at_most: bool = False
    refused: str | None = None


def rehearse(name: str, place: Wired, drive: Callable[[Guard], object], *, rate_hz: float) -> Stage:
    """Let `drive` have a guard with a rig that plays nothing.

    Parameters
    ----------
    name : str
    place : Bench, or a Device
        A bench brings its limits, slew and compliance; a device is guarded as it is in a
        simulation.
    drive : callable
    rate_hz : float
        At most, on a bench.
    """
    guard, rig = _on_paper(place, rate_hz)
    refused = None
    try:
        with guard:
            drive(guard)
    except StoppedError:
        raise
    except InMateriaError as error:
        refused = str(error)
    seen = rig.transcript
    return Stage(
        name,
        seen.n_samples / rig.rate,
        seen.n_samples,
        seen.lowest_v,
        seen.highest_v,
        seen.steepest_v_per_s,
        refused=refused,
    )


def rehearse_unknown(
    name: str,
    place: Wired,
    task: Task,
    drive: Callable[[Guard, Solution], object],
    *,
    rate_hz: float,
) -> Stage:
    """Bounds of a step that applies a solution which is yet to be found.

    All controls stand at their lowest voltage and then all at their highest: no solution
    goes beyond, or takes longer ramps from 0 V.
    """

    def applied(solution: Solution) -> Stage:
        return rehearse(name, place, lambda guard: drive(guard, solution), rate_hz=rate_hz)

    low, high = map(applied, corners(task, place))
    longer = low if low.seconds >= high.seconds else high
    return replace(
        longer,
        lowest_v=np.minimum(low.lowest_v, high.lowest_v),
        highest_v=np.maximum(low.highest_v, high.highest_v),
        steepest_v_per_s=np.maximum(low.steepest_v_per_s, high.steepest_v_per_s),
        at_most=True,
        refused=low.refused or high.refused,
    )


def bounds(name: str, place: Wired, *, seconds: float, rate_hz: float) -> Stage:
    """A search that may go anywhere within the limits for `seconds`."""
    guard, _ = _on_paper(place, rate_hz)
    return Stage(
        name,
        seconds,
        round(seconds * guard.rate),
        np.array([min(t.low_v, 0.0) for t in place.terminals]),
        np.array([max(t.high_v, 0.0) for t in place.terminals]),
        np.full(len(place.terminals), guard.slew_v_per_s),
        at_most=True,
    )


def corners(task: Task, place: Wired) -> tuple[Solution, Solution]:
    """Made-up solutions: all controls at their lowest, and all at their highest voltage."""
    from inmateria.tasks.task import control_terminals
    from inmateria.training.solution import Cost, Solution

    free = control_terminals(task, place)
    nothing = np.zeros(len(task.target))

    def made_up(controls: dict[str, float]) -> Solution:
        return Solution(
            task=task.name,
            task_description=task.describe(),
            inputs=task.inputs,
            controls=controls,
            score=task.score(nothing),
            current_na=tuple(nothing.tolist()),
            output=place.outputs[0],
            method="none",
            seed=0,
            cost=Cost(0, 0.0, 0.0),
        )

    return made_up({t.name: t.low_v for t in free}), made_up({t.name: t.high_v for t in free})


def _on_paper(place: Wired, rate_hz: float) -> tuple[Guard, Rehearsal]:
    """The guard of a place and, behind it, a rig that plays nothing."""
    if not isinstance(place, Bench):
        rig = Rehearsal(place.terminals, place.outputs, rate=rate_hz)
        return Guard(rig), rig
    reach = min(place.settings.reach_na(output) for output in place.settings.output)
    rate = place.rate(rate_hz)
    rig = Rehearsal(place.terminals, place.outputs, rate=rate, current_range_na=reach)
    return place.guarded(rig), rig


def overall(stages: Sequence[Stage]) -> Stage | None:
    """All steps as one; None of none."""
    if not stages:
        return None
    refused = [stage.refused for stage in stages if stage.refused]
    return Stage(
        "all",
        sum(stage.seconds for stage in stages),
        sum(stage.n_samples for stage in stages),
        np.min([stage.lowest_v for stage in stages], axis=0),
        np.max([stage.highest_v for stage in stages], axis=0),
        np.max([stage.steepest_v_per_s for stage in stages], axis=0),
        at_most=any(stage.at_most for stage in stages),
        refused="; ".join(refused) or None,
    )
