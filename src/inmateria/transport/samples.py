"""Many potentials, each solved to the accuracy that is asked for, on all cores.

What is wanted of a sample is taken by a visitor while its factorisation is at hand:
amplitudes, gradients and scanning-gate maps share this loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inmateria.errors import ConvergenceError, ParameterError
from inmateria.transport.cores import on_cores
from inmateria.transport.geometry import GasGeometry
from inmateria.transport.mode_counts import STEP, choose_modes, make_plan
from inmateria.transport.real_engine import Sample, States, Workspace

LeadName = Literal["source", "drain"]
Visitor = Callable[[int, Sample, States], None]
Progress = Callable[[int, int], None]

MOST_CORRECTIONS = 12
# An estimate of the error is right only where it is small.
LOOSEST = 1e-2


@dataclass(frozen=True)
class Effort:
    """How the samples were solved, (n_samples,) each.

    Attributes
    ----------
    error : array
        Estimated largest error of the PLDOS, relative to its maximum.
    modes : integer array
        Transverse modes kept away from narrow leads.
    corrections : integer array
        Steps of iterative refinement.
    """

    error: NDArray[np.float64]
    modes: NDArray[np.int64]
    corrections: NDArray[np.int64]


def each_sample(
    gas: GasGeometry,
    potential_t: NDArray[np.float64],
    visit: Visitor,
    *,
    accuracy: float,
    modes: int | None = None,
    lead: LeadName = "source",
    progress: Progress | None = None,
) -> Effort:
    """Solve for the scattering states of a lead and let `visit` take what it wants.

    Parameters
    ----------
    gas : GasGeometry
    potential_t : (n_samples, n_x, n_y) array, in t
    visit : callable
        Called once per sample with its number, the factorised `Sample` and its `States`,
        from several threads; both are overwritten afterwards.
    accuracy : float
        Of the PLDOS, relative to its maximum; each sample is corrected until its own
        estimate is below, with more modes where corrections do not gain.
    modes : int, optional
        In place of a number that goes with `accuracy` and the sample's potential.
    progress : callable, optional
        Told how many samples are done, and how many there are.

    Raises
    ------
    ParameterError
    ConvergenceError
        If a given number of modes, or all of them, does not lead to the accuracy.
    """
    if not 1e-13 <= accuracy <= 0.1:
        raise ParameterError(f"accuracy = {accuracy}: give a number between 1e-13 and 0.1")
    if lead not in ("source", "drain"):
        raise ParameterError(f"lead = {lead!r}: give 'source' or 'drain'")
    accuracy = min(accuracy, LOOSEST)
    n = len(potential_t)
    n_columns = gas.modes(gas.source if lead == "source" else gas.drain).n_open
    energy = gas.fermi_mev / gas.hopping_mev
    chosen = np.array(
        [modes or choose_modes(gas.n_y, energy, float(v.min()), accuracy) for v in potential_t],
        dtype=np.int64,
    )
    effort = Effort(np.full(n, np.inf), chosen, np.zeros(n, dtype=np.int64))
    waiting = np.arange(n)
    while waiting.size:
        number = int(chosen[waiting].min())
        now = waiting[chosen[waiting] == number]
        plan = make_plan(gas, number)
        n_recovered = recovered_modes(int(plan.counts.min()), gas.n_y, accuracy)

        def solve(s: np.int64, work: Workspace, n_recovered: int = n_recovered) -> None:
            sample = Sample(work.plan, potential_t[s], largest_growth(accuracy), work)
            states = sample.states(lead == "drain", n_recovered, accuracy, MOST_CORRECTIONS)
            effort.error[s], effort.corrections[s] = states.error, states.corrections
            if states.error <= accuracy:
                visit(int(s), sample, states)

        def say(m: int, done: int = n - waiting.size) -> None:
            if progress is not None:
                progress(done + m, n)

        on_cores(solve, now, partial(Workspace, plan, n_columns), say)
        failed = now[~(effort.error[now] <= accuracy)]
        if failed.size and (modes is not None or number == gas.n_y):
            worst = failed[np.argmax(effort.error[failed])]
            raise ConvergenceError(
                f"sample {worst}: {number} modes do not lead to an accuracy of {accuracy:g} "
                f"(estimated error {effort.error[worst]:.2g}); "
                + ("leave `modes` out" if modes is not None else "ask for less accuracy")
            )
        # Rough disorder needs all: get there in a few steps.
        more = np.maximum(2 * STEP, chosen[failed] // (2 * STEP) * STEP)
        chosen[failed] = np.minimum(chosen[failed] + more, gas.n_y)
        waiting = waiting[~(effort.error[waiting] <= accuracy)]
    return effort


def recovered_modes(kept: int, n_y: int, accuracy: float) -> int:
    """Modes up to which dropped ones are brought back before any correction."""
    wanted = kept + max(32, kept // 2)
    return n_y if accuracy < 1e-4 else min(n_y, -(-wanted // 16) * 16)


def largest_growth(accuracy: float) -> float:
    """Products that a sweep without pivoting may have: corrections take out its rounding."""
    return 1e7 if accuracy >= 1e-9 else 1e5
