"""A surrogate and its device at random points: does the one still stand for the other?

Points are drawn uniformly within what the surrogate knows and the guard allows,
and visited as plateaus along a short way, so that ramps take little time. Then
the first quarter of the way is walked again: what two visits to a point differ
by is noise and drift, and none of it is the surrogate's.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from inmateria.devices.device import FloatArray, Terminal
from inmateria.errors import ParameterError, TrainingError, VoltageLimitError
from inmateria.rigs.guard import Guard
from inmateria.rigs.rig import Rig
from inmateria.signals.tour import tour
from inmateria.signals.waveforms import plateaus
from inmateria.surrogates.same_device import check_same_device, described_device
from inmateria.surrogates.surrogate import Surrogate
from inmateria.training.agreement import Agreement, Levels, judge
from inmateria.training.difference import STRETCH

FEWEST_POINTS = 8 * STRETCH
REPEATED_SHARE = 0.25
CLIPPED_SHARE = 0.999  # a saturated converter reads a little below its range


def compare_at_random_points(
    surrogate: Surrogate,
    rig: Rig,
    *,
    n_points: int = 200,
    hold_s: float = 0.02,
    settle_s: float = 0.015,
    seed: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> Agreement:
    """Measure a device where nothing was chosen, and compare with its surrogate.

    Parameters
    ----------
    surrogate : Surrogate
    rig : Rig
        A `Guard`, or a rig that is then put behind one. Ends at 0 V.
    n_points : int
        A quarter of them is visited twice; 80 or more.
    hold_s, settle_s : float, s
        Averaged, and waited before.
    seed : int
        Draws the points.
    progress : callable, optional
        Called with (levels measured, levels in all).

    Raises
    ------
    ParameterError
    TrainingError
        If the surrogate is that of another device, or the chain clips at half
        of the points.
    VoltageLimitError
        If surrogate and guard have no voltage of a terminal in common.
    """
    if isinstance(n_points, bool) or n_points != int(n_points) or n_points < FEWEST_POINTS:
        raise ParameterError(
            f"n_points = {n_points}; give a whole number of {FEWEST_POINTS} or more: fewer do not "
            "tell noise from error"
        )
    if not isinstance(rig, Guard):
        with Guard(rig) as guard:
            return compare_at_random_points(
                surrogate, guard, n_points=n_points, hold_s=hold_s, settle_s=settle_s, seed=seed,
                progress=progress,
            )  # fmt: skip
    described = rig.describe()
    check_same_device(
        surrogate,
        terminals=rig.terminals,
        outputs=rig.outputs,
        device=described_device(described),
    )
    voltage = _points(surrogate, rig.terminals, int(n_points), seed)
    n_again = max(2 * STRETCH, round(REPEATED_SHARE * len(voltage)))
    way = np.concatenate([voltage, voltage[:n_again]])
    level, clipped, played_s = _visit(rig, way, hold_s, settle_s, progress)
    good = ~clipped[: len(voltage)]
    good[:n_again] &= ~clipped[len(voltage) :]
    n_good = int(good.sum())
    again = level[len(voltage) :][good[:n_again]]
    if 2 * n_good < len(voltage) or len(again) < 2 * STRETCH:
        raise TrainingError(
            f"the chain clips at {len(voltage) - n_good} of {len(voltage)} points (beyond "
            f"{rig.current_range_na:.4g} nA); widen the range of the converter"
        )
    levels = Levels(
        terminals=tuple(t.name for t in rig.terminals),
        outputs=rig.outputs,
        voltage=voltage[good],
        level_na=level[: len(voltage)][good],
        again_na=again,
        clipped=len(voltage) - n_good,
        device_s=played_s,
        fidelity=rig.fidelity,
        rig=described,
    )
    return judge(surrogate, levels)


def _points(surrogate: Surrogate, terminals: tuple[Terminal, ...], n: int, seed: int) -> FloatArray:
    """Uniform points in the order of a short way, (n, n_terminals) V, terminals as the rig's."""
    known = {t.name: t for t in surrogate.terminals}
    low = np.array([max(t.low_v, known[t.name].low_v) for t in terminals])
    high = np.array([min(t.high_v, known[t.name].high_v) for t in terminals])
    for k in np.flatnonzero(low >= high):
        t = terminals[k]
        raise VoltageLimitError(
            f"terminal {t.name} may go from {t.low_v:g} V to {t.high_v:g} V and the surrogate "
            f"knows {known[t.name].low_v:g} V to {known[t.name].high_v:g} V; widen the limits or "
            "fit a surrogate within them"
        )
    drawn = np.random.default_rng(seed).uniform(low, high, (n, len(terminals)))
    return drawn[tour(drawn)]


def _visit(
    rig: Guard,
    way: FloatArray,
    hold_s: float,
    settle_s: float,
    progress: Callable[[int, int], object] | None,
) -> tuple[FloatArray, np.ndarray, float]:
    """Levels (n, n_outputs) nA along the way, where the chain clipped, and the time, s."""
    levels, clipped, samples = [], [], 0
    limit = CLIPPED_SHARE * rig.current_range_na
    try:
        for first in range(0, len(way), STRETCH):
            waveform = plateaus(
                way[first : first + STRETCH],
                rate=rig.rate,
                hold_s=hold_s,
                settle_s=settle_s,
                slew_v_per_s=rig.slew_v_per_s,
                start=rig.last_voltage,
            )
            current = rig.play(waveform)
            levels.append(waveform.plateau_mean(current).T)
            clipped.append((waveform.plateau_mean(np.abs(current) >= limit) > 0).any(axis=0))
            samples += waveform.n_samples
            if progress is not None:
                progress(min(first + STRETCH, len(way)), len(way))
    finally:
        rig.park()
    return np.concatenate(levels), np.concatenate(clipped), samples / rig.rate
