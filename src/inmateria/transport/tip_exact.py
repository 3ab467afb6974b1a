"""What a tip of any strength does to the transmission, position by position.

The part of the sample before the tip and the part after it are eliminated once; each
position costs the slices that the tip reaches (`tip_window`). Dropped modes are not brought
back here. What they would add to T is left out with and without the tip alike, so the
change that the tip makes is taken from the kept modes and T itself from `scatter`. The number of
modes is raised until whole solves with the tip, at some positions, and sixteen modes more, at
many, agree.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inmateria.errors import ConvergenceError
from inmateria.transport.cores import on_cores
from inmateria.transport.geometry import GasGeometry
from inmateria.transport.mode_counts import STEP, make_plan, propagating
from inmateria.transport.samples import Progress
from inmateria.transport.scattering import scatter
from inmateria.transport.tip_first_order import FirstOrder, examined
from inmateria.transport.tip_lattice import Sites, TipLattice
from inmateria.transport.tip_sides import from_drain, make_sides
from inmateria.transport.tip_window import with_tips

Real = NDArray[np.float64]

# Positions that a thread takes at a time: calls from Python would hold up others.
TOGETHER = 16
# Of the accuracy: what slices beyond the tip's window may add.
NEGLECTED = 0.1
# Positions that were not examined were up to six times as wrong as the worst that was.
MARGIN = 0.15
# Positions at which more modes are tried: errors differ widely between positions.
COMPARED = 64
# Errors of T fall at least as this power of the number of modes until they are 1e-6.
FALLS = 12


class TwoSides:
    """A sample without its tip, eliminated from the source and from the drain.

    Parameters
    ----------
    gas : GasGeometry
    potential : (n_x, n_y) array, in t
    tip : TipLattice
    half_width : int
        Slices that the tip reaches to either side.
    modes : int
        Transverse modes kept away from narrow leads.
    growth : float
        Largest product that a sweep without pivoting may have.
    """

    def __init__(
        self,
        gas: GasGeometry,
        potential: Real,
        tip: TipLattice,
        half_width: int,
        modes: int,
        growth: float,
    ) -> None:
        self.plan = plan = make_plan(gas, modes)
        self.potential, self.tip, self.growth = potential, tip, growth
        self.half_width = half_width
        self.sides = make_sides(plan)
        from_drain(plan, potential, min(half_width + 1, gas.n_x), self.sides)
        g = np.empty((1, plan.velocity_in.size, plan.velocity_in.size), dtype=np.complex128)
        none, where = np.zeros(potential.shape), np.zeros((1, 2), dtype=np.int64)
        with_tips(plan, potential, none, where, gas.n_x, growth, True, self.sides, g)
        self.unperturbed = self.transmission(g)[0]

    def transmission(self, g: NDArray[np.complex128]) -> Real:
        """T from b^T G b without the source's absorption, (n, n_open, n_open)."""
        v = self.plan.velocity_in
        root = np.sqrt(v)
        closed = np.linalg.solve(np.eye(v.size) + 0.5j * g * v, g)
        r = 1j * root[:, None] * closed * root - np.eye(v.size)
        return np.asarray(v.size - (np.abs(r) ** 2).sum(axis=(1, 2)))

    def changes(self, sites: list[tuple[int, int]], progress: Progress | None = None) -> Real:
        """Change of T by the tip at each of some sites, (n_sites,)."""
        n_open = self.plan.velocity_in.size
        g = np.empty((len(sites), n_open, n_open), dtype=np.complex128)

        where = np.array(sites).reshape(-1, 2)

        def solve(first: int, _: None) -> None:
            some = slice(first, first + TOGETHER)
            with_tips(
                self.plan,
                self.potential,
                self.tip.by_distance,
                where[some],
                self.half_width,
                self.growth,
                False,
                self.sides,
                g[some],
            )

        def say(done: int) -> None:
            if progress is not None:
                progress(min(done * TOGETHER, len(sites)), len(sites))

        on_cores(solve, range(0, len(sites), TOGETHER), lambda: None, say)
        return np.asarray(self.transmission(g) - self.unperturbed)


def exact(
    gas: GasGeometry,
    potential_t: Real,
    tip: TipLattice,
    sites: Sites,
    found: FirstOrder,
    *,
    accuracy: float,
    modes: NDArray[np.int64],
    progress: Progress | None = None,
) -> tuple[Real, Real]:
    """Change of T by a tip of any strength, and its error.

    Parameters
    ----------
    gas : GasGeometry
    potential_t : (n_samples, n_x, n_y) array, in t
    tip : TipLattice
    sites : ((n_tip_x,), (n_tip_y,)) integer arrays
        Columns and rows above which the tip stands.
    found : FirstOrder
        Of the same samples and positions.
    accuracy : float
        Absolute, of T.
    modes : (n_samples,) integer array
        Modes to begin with, where that is more than anyway; then what was taken.
    progress : callable, optional
        Told how many positions of all samples are done, and how many there are.

    Returns
    -------
    change : (n_samples, n_tip_x, n_tip_y) array
    error : (n_samples,) array
        Largest difference from whole solves, and from sixteen modes more, at the positions
        examined.

    Raises
    ------
    ConvergenceError
        If all modes do not lead to the accuracy.
    """
    columns, rows = sites
    change, error = np.empty(found.change.shape), np.empty(len(potential_t))
    everywhere = [(int(i), int(j)) for i in columns for j in rows]
    many = [(int(columns[i]), int(rows[j])) for i, j in scattered(columns.size, rows.size)]
    for s, potential in enumerate(potential_t):
        first = propagating(gas.n_y, gas.fermi_mev / gas.hopping_mev, float(potential.min()))
        modes[s] = min(gas.n_y, max(modes[s], int(np.ceil(first / STEP + 1)) * STEP))
        width = reach(tip, float(found.largest_pldos[s]), NEGLECTED * accuracy)
        some = [(int(columns[i]), int(rows[j])) for i, j in examined(found.change[s])]
        whole = np.stack([potential + tip.above(*site) for site in some]) * gas.hopping_mev
        right = scatter(gas, whole, accuracy=accuracy / 10).transmission - found.unperturbed[s]

        def eliminated(modes: int, potential: Real = potential, width: int = width) -> TwoSides:
            return TwoSides(gas, potential, tip, width, modes, growth(accuracy))

        while True:
            sides = eliminated(int(modes[s]))
            error[s] = np.abs(sides.changes(some) - right).max()
            if modes[s] == gas.n_y:
                break
            if error[s] <= MARGIN * accuracy:
                finer = eliminated(min(int(modes[s]) + 2 * STEP, gas.n_y))
                off = np.abs(sides.changes(many) - finer.changes(many)).max()
                error[s] = max(error[s], off)
            if error[s] <= MARGIN * accuracy:
                break
            wanted = modes[s] * (error[s] / (MARGIN * accuracy)) ** (1 / FALLS)
            modes[s] = min(gas.n_y, int(np.ceil(max(wanted, modes[s] + 1) / STEP)) * STEP)
        if not error[s] <= accuracy:
            raise ConvergenceError(
                f"sample {s}: all {gas.n_y} modes leave an error of {error[s]:.2g} in the "
                f"transmission instead of {accuracy:g}; ask for less accuracy"
            )

        def say(done: int, n: int, s: int = s) -> None:
            if progress is not None:
                progress(s * n + done, len(potential_t) * n)

        change[s] = sides.changes(everywhere, say).reshape(change[s].shape)
    return change, error


def scattered(n_columns: int, n_rows: int) -> list[tuple[int, int]]:
    """Positions of a map, evenly, by the sequence of k / p and k / p^2 with p^3 = p + 1."""
    k = np.arange(1, COMPARED + 1)
    i = (n_columns * (k / 1.324717957244746 % 1)).astype(int)
    j = (n_rows * (k / 1.324717957244746**2 % 1)).astype(int)
    return sorted(set(zip(i.tolist(), j.tolist(), strict=True)))


def growth(accuracy: float) -> float:
    """Products that an inverse may have: its rounding is some 1e-14 times their square."""
    return max(1e2, 3e5 * float(np.sqrt(accuracy)))


def reach(tip: TipLattice, largest_pldos: float, negligible: float) -> int:
    """Slices to either side of a tip beyond which it changes T by less than `negligible`.

    |dT/dV| <= 2 sum_ab |r_ab psi_a psi_b| <= PLDOS / pi, as no r_ab gives back more than came.
    """
    by_slice = np.abs(2 * tip.by_distance.sum(axis=1) - tip.by_distance[:, 0])
    beyond = np.cumsum(by_slice[::-1])[::-1] - by_slice
    return int(np.argmax(2 * beyond * largest_pldos / np.pi <= negligible))
