"""One sample in the real recursion: factorise once, then solve for any sources.

The imaginary part of the source lead's self-energy, D = (i / 2) v in its open modes b,
is put in by the Woodbury identity: with A = A0 + b D b^T,

    A^-1 = G0 - G0 b (D^-1 + b^T G0 b)^-1 b^T G0.

The error of a PLDOS is estimated from how much the last step changed it. A step that
changed it by d, when the step before changed it by d', leaves about d rho / (1 - rho)
with rho = d / d'. After the first step, `recover`, rho is taken to be 0.4 (0.05 to 0.37
was seen in samples whose modes `mode_counts` chose), and four times what the dropped modes
change at second order comes on top: disorder that is rough on the scale of the lattice
scatters into all of them and shifts the phases of the kept ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inmateria.transport.dropped_modes import (
    add_neighbours,
    chain_solve,
    clear_dropped,
    density,
    recover,
    residual,
    scatter_into_dropped,
    transform_slices,
)
from inmateria.transport.sweep import Plan, combine, eliminate, solve, substitute
from inmateria.transport.symmetric_inverse import BLOCK, invert_by_eigenvalues

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

ASSUMED_CONTRACTION = 0.2
# Errors were 1.6 to 12 times the second-order change in rough disorder.
SECOND_ORDER = 12.0
# A step may gain more than the next one will.
FASTEST_CONTRACTION = 0.3
# Slower than this, more modes are cheaper than more corrections.
SLOWEST_CONTRACTION = 0.6

# What the rounding of a sweep may leave where no correction has been made.
ROUNDING = 1e-5


def at_lead(overlap: Real, columns: Real) -> Complex:
    """overlap^T x of columns on one slice, (2 n_columns, n_y): complex (n_open, n_columns)."""
    both = (columns @ overlap).T
    half = both.shape[1] // 2
    return np.asarray(both[:, :half] + 1j * both[:, half:])


class Workspace:
    """Arrays of one core for samples of one plan and a number of columns."""

    def __init__(self, plan: Plan, n_columns: int) -> None:
        self.plan = plan
        n_x, n_y = plan.tail.shape
        size = -(-n_y // BLOCK) * BLOCK
        self.kept = np.empty(int((plan.counts**2).sum()))
        self.triangle = np.zeros((size, size))
        self.bare = np.empty((n_x, 2 * plan.into.shape[1], n_y))
        self.fields = np.empty((5, n_x, 2 * n_columns, n_y))
        self.scratch = np.empty((6, 2 * n_columns, n_y))
        self.density = np.empty((n_x, n_y))


@dataclass(frozen=True)
class States:
    """Scattering states of a lead, and how right they are.

    Attributes
    ----------
    psi : (n_x, 2 n_columns, n_y) array
        States of unit flux on sites, real parts first; a view of the workspace.
    pldos : (n_x, n_y) array
        A view too.
    r : (n_columns, n_columns) complex array
    t : (n_other, n_columns) complex array
    error : float
        Estimated, of the PLDOS, relative to its maximum; infinity where corrections did
        not shrink.
    corrections : int
    """

    psi: Real
    pldos: Real
    r: Complex
    t: Complex
    error: float
    corrections: int


class Sample:
    """A potential, eliminated.

    Parameters
    ----------
    plan : Plan
    potential : (n_x, n_y) array, in t
    growth : float
        Largest product that a sweep without pivoting may have.
    work : Workspace
        Is overwritten, and must not be used for another sample meanwhile.
    """

    def __init__(self, plan: Plan, potential: Real, growth: float, work: Workspace) -> None:
        self.plan, self.potential, self.work = plan, potential, work
        n_open = plan.velocity_in.size
        work.bare[:] = 0.0
        work.bare[0, :n_open] = plan.into.T
        i = 0
        while True:
            i = eliminate(plan, potential, i, growth, work.kept, work.triangle, work.bare)
            n, start = plan.counts[i], plan.starts[i]
            lower = np.tril(work.triangle[:n, :n])
            matrix = lower + np.tril(lower, -1).T
            if i == plan.counts.size - 1:
                break
            work.kept[start : start + n * n] = invert_by_eigenvalues(matrix).ravel()
            i += 1
        closed = np.linalg.inv(matrix + plan.drain[:n, :n] + 1j * plan.drain_imag[:n, :n])
        self.closed = np.ascontiguousarray(closed.real), np.ascontiguousarray(closed.imag)
        substitute(plan, work.kept, *self.closed, work.bare)
        self.bare_source = at_lead(plan.into, work.bare[0])
        self.opened = np.linalg.inv(self.bare_source - np.diag(2j / plan.velocity_in))

    def solve(self, X: Real) -> None:
        """G b in the kept modes, in place; what X holds beyond them stays."""
        solve(self.plan, self.work.kept, *self.closed, X)
        combine(self.plan, self.work.bare, -(self.opened @ at_lead(self.plan.into, X[0])), X)

    def incoming(self, from_drain: bool, R: Real) -> None:
        """Add i sqrt(v) chi, the source of a state of unit flux, to a right-hand side."""
        half = R.shape[1] // 2
        if from_drain:
            R[-1, half:] += (self.plan.out * np.sqrt(self.plan.velocity_out)).T
        else:
            R[0, half:] += (self.plan.into * np.sqrt(self.plan.velocity_in)).T

    def correction(self, R: Real, dropped: Real, scratch: Real) -> None:
        """Kept modes, then clean chains given these, for a residual.

        Parameters
        ----------
        R : (n_x, 2 n_columns, n_y) array
            The residual; then the correction of the kept modes.
        dropped : array of the same shape
            Then that of the dropped ones.
        scratch : array of the same shape
        """
        plan = self.plan
        scratch[:] = R
        chain_solve(plan, scratch)
        dropped[:] = R
        add_neighbours(plan, True, R, scratch)
        self.solve(R)
        clear_dropped(plan, R)
        scatter_into_dropped(plan, self.potential, R, dropped, self.work.scratch)
        add_neighbours(plan, False, R, dropped)
        chain_solve(plan, dropped)

    def states(self, from_drain: bool, n_recovered: int, tolerance: float, most: int) -> States:
        """Scattering states of a lead, corrected until their error is below `tolerance`.

        Parameters
        ----------
        n_recovered : int
            Modes up to which `recover` brings dropped ones back.
        tolerance : float
            Of the PLDOS, relative to its maximum.
        most : int
            Corrections at most.
        """
        plan, work = self.plan, self.work
        X, Q, sites = work.fields[0], work.fields[1], work.fields[2]
        X[:] = 0.0
        if from_drain:
            self.incoming(True, X)
            self.solve(X)
        else:
            weights = np.eye(len(self.opened)) - self.opened @ self.bare_source
            combine(plan, work.bare, 1j * weights * np.sqrt(plan.velocity_in), X)
        transform_slices(plan, plan.counts, X, sites, work.scratch)
        density(sites, work.density)
        Q[:] = 0.0
        shift = recover(plan, self.potential, n_recovered, X, Q, sites, work.scratch)

        def source(R: Real) -> None:
            self.incoming(from_drain, R)

        largest, change = density(sites, work.density)
        error = np.inf
        if tolerance >= ROUNDING and largest > 0:
            error = change / largest * ASSUMED_CONTRACTION / (1 - ASSUMED_CONTRACTION)
            # Nothing has shown the sweep's own rounding yet.
            error = max(error + SECOND_ORDER * shift, ROUNDING)
        error, done = self.refine(source, tolerance, most, (largest, change), error)
        ends = [
            (plan.into, plan.velocity_in, X[0] + Q[0]),
            (plan.out, plan.velocity_out, X[-1] + Q[-1]),
        ]
        near, far = (
            np.sqrt(velocity)[:, None] * at_lead(overlap, columns)
            for overlap, velocity, columns in (ends[::-1] if from_drain else ends)
        )
        return States(sites, work.density, near - np.eye(len(near)), far, error, done)

    def response(self, R: Real, tolerance: float, most: int) -> tuple[Real, float]:
        """G f on sites for any right-hand side f, as for adjoint gradients.

        Parameters
        ----------
        R : (n_x, 2 n_columns, n_y) array
            f in all transverse modes, real parts first.
        tolerance : float
            Of |G f|^2, summed over columns, relative to its maximum.

        Returns
        -------
        sites : array like R
            A view of the workspace.
        error : float
        """
        plan, work = self.plan, self.work
        X, Q, sites = work.fields[:3]
        X[:] = R
        self.correction(X, Q, sites)
        np.add(X, Q, out=work.fields[3])
        every = np.full(plan.counts.size, plan.tail.shape[1])
        transform_slices(plan, every, work.fields[3], sites, work.scratch)
        work.density[:] = 0.0
        largest, change = density(sites, work.density)

        def source(field: Real) -> None:
            field += R

        # The first step's change says nothing: make one correction at least.
        error, _ = self.refine(source, tolerance, most, (largest, change), np.inf)
        return sites, error

    def refine(
        self,
        source: Callable[[Real], None],
        tolerance: float,
        most: int,
        step: tuple[float, float],
        error: float,
    ) -> tuple[float, int]:
        """Correct X, Q and sites of the workspace; gives the estimated error and the steps.

        Parameters
        ----------
        source : callable
            Adds the right-hand side to a field of zeros.
        step : (float, float)
            The maximum of 2 pi |psi|^2, which the workspace's `density` holds, and the last
            change in it.
        error : float
            Estimated so far.
        """
        plan, work = self.plan, self.work
        X, Q, sites, R, dropped = work.fields
        everything = np.full(plan.counts.size, plan.tail.shape[1])
        largest, change = step
        if not largest > 0:
            return (0.0 if largest == 0 else np.inf), 0
        done, last = 0, 0.0
        while error > tolerance and done < most:
            R[:] = 0.0
            source(R)
            residual(plan, self.potential, X, Q, sites, R, work.scratch)
            # The residual is all that is needed of the sites.
            self.correction(R, dropped, sites)
            X += R
            Q += dropped
            np.add(X, Q, out=R)
            transform_slices(plan, everything, R, sites, work.scratch)
            before = change
            largest, change = density(sites, work.density)
            done += 1
            rho = max(change / before, FASTEST_CONTRACTION) if before else FASTEST_CONTRACTION
            # A change at rounding says nothing about the next one.
            if not rho < SLOWEST_CONTRACTION and change > 1e-12 * largest:
                # The first may shift what `recover` left alone.
                if done == 1 and np.isfinite(rho):
                    error = np.inf
                    continue
                return np.inf, done
            # Steps gain unevenly; the first ones are no measure.
            slowest = rho if done < 3 else max(rho, last)
            last, slowest = rho, min(slowest, SLOWEST_CONTRACTION)
            error = change / largest * slowest / (1 - slowest)
        return error if error >= 0 else np.inf, done
