"""Scattering states of a lead: PLDOS, reflection and transmission, to a chosen accuracy.

Mode n of the lead comes in with unit flux,
psi_n = (exp(i k_n x) chi_n + sum_a r_an exp(-i k_a x) chi_a sqrt(v_n / v_a)) / sqrt(v_n),
x = 0 on the sample's column next to it, and goes out into the other lead's modes with
amplitudes t_bn, whose x = 0 is the column next to that. Then

    psi = i G chi_n sqrt(v_n),    r = -1 + i sqrt(v) chi^T G chi sqrt(v),

and without a magnetic field r is symmetric.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.errors import ConvergenceError, ParameterError
from inmateria.transport.cores import on_cores
from inmateria.transport.gas import ElectronGas
from inmateria.transport.mode_counts import STEP, choose_modes, make_plan
from inmateria.transport.real_engine import Sample, Workspace, at_lead
from inmateria.transport.sweep import Plan

DEFAULT_ACCURACY = 1e-6
MOST_CORRECTIONS = 12


@dataclass(frozen=True)
class Scattering:
    """Electrons from one lead at the Fermi energy.

    Attributes
    ----------
    pldos : (..., n_x, n_y) array
        2 pi sum_n |psi_n|^2, in 1/t per site.
    r : (..., n_lead, n_lead) complex array
    t : (..., n_other, n_lead) complex array
    error : (...) array
        Estimated largest error of the PLDOS, relative to its maximum.
    modes : (...) integer array
        Transverse modes kept away from narrow leads.
    corrections : (...) integer array
        Steps of iterative refinement that were taken.
    """

    pldos: NDArray[np.float64]
    r: NDArray[np.complex128]
    t: NDArray[np.complex128]
    error: NDArray[np.float64]
    modes: NDArray[np.int64]
    corrections: NDArray[np.int64]

    @property
    def transmission(self) -> NDArray[np.float64]:
        """sum |t|^2, (...)."""
        return np.asarray((np.abs(self.t) ** 2).sum(axis=(-2, -1)))

    @property
    def reflection(self) -> NDArray[np.float64]:
        """sum |r|^2, (...)."""
        return np.asarray((np.abs(self.r) ** 2).sum(axis=(-2, -1)))


def scatter(
    gas: ElectronGas,
    potential_mev: ArrayLike,
    *,
    accuracy: float = DEFAULT_ACCURACY,
    modes: int | None = None,
    lead: Literal["source", "drain"] = "source",
    progress: Callable[[int, int], None] | None = None,
) -> Scattering:
    """Solve for the scattering states of a lead.

    Parameters
    ----------
    gas : ElectronGas
    potential_mev : (..., n_x, n_y) array, meV
    accuracy : float
        Largest error of the PLDOS relative to its maximum. Each sample is corrected until
        its own estimate is below.
    modes : int, optional
        Transverse modes to keep away from narrow leads, in place of a number that goes with
        `accuracy` and each sample's potential.
    lead : ``"source"`` or ``"drain"``
        Where the electrons come from.
    progress : callable, optional
        Told how many samples are done, and how many there are.

    Raises
    ------
    ShapeError, NotFiniteError, ParameterError
    ConvergenceError
        If a given number of modes does not lead to the accuracy.
    """
    if not 1e-13 <= accuracy <= 0.1:
        raise ParameterError(f"accuracy = {accuracy}: give a number between 1e-13 and 0.1")
    if lead not in ("source", "drain"):
        raise ParameterError(f"lead = {lead!r}: give 'source' or 'drain'")
    potential = gas.in_hoppings(potential_mev)
    batch = potential.reshape(-1, gas.n_x, gas.n_y)
    n_in, n_out = gas.modes(gas.source).n_open, gas.modes(gas.drain).n_open
    if lead == "drain":
        n_in, n_out = n_out, n_in
    answer = _Answer(len(batch), gas, n_in, n_out)
    energy = gas.fermi_mev / gas.hopping_mev
    chosen = np.array(
        [
            choose_modes(gas.n_y, energy, float(v.min()), accuracy) if modes is None else modes
            for v in batch
        ],
        dtype=np.int64,
    )
    waiting = np.arange(len(batch))
    done = 0
    while waiting.size:
        number = int(chosen[waiting].min())
        now = waiting[chosen[waiting] == number]
        plan = make_plan(gas, number)

        def solve_one(s: np.int64, work: Workspace, plan: Plan = plan) -> None:
            answer.fill(int(s), batch[s], plan, work, accuracy, lead == "drain")

        def say(n: int, done: int = done) -> None:
            if progress is not None:
                progress(min(done + n, len(batch)), len(batch))

        on_cores(solve_one, now, partial(Workspace, plan, n_in), say)
        failed = now[~(answer.error[now] <= accuracy)]
        answer.modes[now] = number
        if failed.size and (modes is not None or number == gas.n_y):
            worst = failed[np.argmax(answer.error[failed])]
            raise ConvergenceError(
                f"sample {worst}: {number} modes do not lead to an accuracy of {accuracy:g} "
                f"(estimated error {answer.error[worst]:.2g}); "
                + ("leave `modes` out" if modes is not None else "ask for less accuracy")
            )
        chosen[failed] = np.minimum(chosen[failed] + 2 * STEP, gas.n_y)
        done += now.size - failed.size
        waiting = np.setdiff1d(waiting, np.setdiff1d(now, failed))
    return answer.finish(potential.shape[:-2], gas, lead)


class _Answer:
    """Flat arrays over samples that the engine writes to."""

    def __init__(self, n: int, gas: ElectronGas, n_in: int, n_out: int) -> None:
        self.pldos = np.empty((n, gas.n_x, gas.n_y))
        self.near = np.empty((n, n_in, n_in), dtype=np.complex128)
        self.far = np.empty((n, n_out, n_in), dtype=np.complex128)
        self.error = np.empty(n)
        self.modes = np.empty(n, dtype=np.int64)
        self.corrections = np.empty(n, dtype=np.int64)

    def fill(
        self,
        s: int,
        potential: NDArray[np.float64],
        plan: Plan,
        work: Workspace,
        accuracy: float,
        from_drain: bool,
    ) -> None:
        n_recovered = recovered_modes(int(plan.counts.min()), potential.shape[1], accuracy)
        sample = Sample(plan, potential, largest_growth(accuracy), work)
        states = sample.states(from_drain, n_recovered, accuracy, MOST_CORRECTIONS, self.pldos[s])
        ends = (plan.out, states.last), (plan.into, states.first)
        own, other = ends if from_drain else ends[::-1]
        self.near[s], self.far[s] = at_lead(*own), at_lead(*other)
        self.error[s], self.corrections[s] = states.error, states.corrections

    def finish(
        self, leading: tuple[int, ...], gas: ElectronGas, lead: Literal["source", "drain"]
    ) -> Scattering:
        own, other = gas.modes(gas.source), gas.modes(gas.drain)
        if lead == "drain":
            own, other = other, own
        r = np.sqrt(own.velocity)[:, None] * self.near - np.eye(own.n_open)
        t = np.sqrt(other.velocity)[:, None] * self.far
        return Scattering(
            self.pldos.reshape(*leading, *self.pldos.shape[1:]),
            r.reshape(*leading, *r.shape[1:]),
            t.reshape(*leading, *t.shape[1:]),
            self.error.reshape(leading),
            self.modes.reshape(leading),
            self.corrections.reshape(leading),
        )


def recovered_modes(kept: int, n_y: int, accuracy: float) -> int:
    """Modes up to which dropped ones are brought back before any correction."""
    return n_y if accuracy < 1e-4 else min(n_y, kept + max(32, kept // 2))


def largest_growth(accuracy: float) -> float:
    """Products that a sweep without pivoting may have: corrections take out its rounding."""
    return 1e6 if accuracy >= 1e-9 else 1e4
