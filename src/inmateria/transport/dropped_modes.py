"""What the recursion leaves out: the high transverse modes, and how they are brought back.

Let P be the modes that a slice keeps and Q those that it drops. Without potential a
mode of Q is a clean chain along x, solved by its three-term recursion; the potential
scatters from P into Q and back. Given the states in P, those in Q are to first order

    psi_Q = G_Q V_QP psi_P,

which is most of what truncation loses (`recover`). The rest is found by iterative
refinement (`Sample.correction`): the residual of the whole equation, with the potential
applied site by site, is solved for P by the recursion and then for Q by clean chains, given
what the potential scatters from the new P into Q; chains that start at a slice that keeps
their mode are coupled to it as block LU couples them. Each step multiplies the error by
about the second-order shift V_PQ G_Q V_QP times the time spent in the sample, and takes out
the rounding of the recursion.
"""

from __future__ import annotations

import numpy as np

from inmateria.compiled import compiled_ordered, compiled_unlocked
from inmateria.transport.row_products import add_product
from inmateria.transport.transforms import to_modes, to_sites


@compiled_unlocked
def chain_solve(plan, Q):  # type: ignore[no-untyped-def]
    """Clean chains of the dropped modes: right-hand side in, solution out.

    Parameters
    ----------
    Q : (n_x, 2 n_columns, n_y) array
        Kept modes leave as zero.
    """
    n_x, n_rows, n_y = Q.shape
    low = plan.counts.min()
    for i in range(1, n_x):
        pivots = plan.chain[i - 1]
        for c in range(n_rows):
            y, before = Q[i, c], Q[i - 1, c]
            for m in range(low, n_y):
                y[m] -= pivots[m] * before[m]
    for i in range(n_x - 1, -1, -1):
        pivots = plan.chain[i]
        for c in range(n_rows):
            x = Q[i, c]
            for m in range(low):
                x[m] = 0.0
            if i == n_x - 1:
                for m in range(low, n_y):
                    x[m] *= pivots[m]
            else:
                after = Q[i + 1, c]
                for m in range(low, n_y):
                    x[m] = pivots[m] * (x[m] - after[m])


@compiled_unlocked
def add_neighbours(plan, kept_side, X, Q):  # type: ignore[no-untyped-def]
    """Subtract the coupling between neighbouring slices of which one drops a mode.

    With `kept_side` the right-hand side X of the kept modes loses what Q holds next to
    them, without it that of Q loses what X holds.
    """
    n_x = X.shape[0]
    for i in range(n_x):
        for other in (i - 1, i + 1):
            if 0 <= other < n_x and plan.counts[other] < plan.counts[i]:
                low, high = plan.counts[other], plan.counts[i]
                for c in range(X.shape[1]):
                    for m in range(low, high):
                        if kept_side:
                            X[i, c, m] -= Q[other, c, m]
                        else:
                            Q[other, c, m] -= X[i, c, m]


@compiled_ordered
def largest_of(totals, before):  # type: ignore[no-untyped-def]
    """Largest of the totals and of their changes; NaN may count as anything."""
    largest, change = 0.0, 0.0
    for j in range(totals.size):
        total = totals[j]
        difference = abs(total - before[j])
        if total > largest:
            largest = total
        if difference > change:
            change = difference
    return largest, change


@compiled_unlocked
def density(sites, pldos):  # type: ignore[no-untyped-def]
    """2 pi sum |psi|^2 into `pldos`; gives its maximum and the largest change in it."""
    largest, change, whole = 0.0, 0.0, 0.0
    totals = np.empty(sites.shape[2])
    for i in range(sites.shape[0]):
        totals[:] = 0.0
        for c in range(sites.shape[1]):
            row = sites[i, c]
            for j in range(row.size):
                totals[j] += 6.283185307179586 * row[j] * row[j]
        found = largest_of(totals, pldos[i])
        largest, change = max(largest, found[0]), max(change, found[1])
        row = pldos[i]
        for j in range(row.size):
            row[j] = totals[j]
            whole += totals[j]
    # The sum is NaN where anything is.
    if not whole < np.inf:
        largest = np.nan
    return largest, change


@compiled_unlocked
def recover(plan, potential, n_modes, X, Q, sites, scratch):  # type: ignore[no-untyped-def]
    """Q to first order from the kept modes, given their `sites`; both are brought up to date.

    Parameters
    ----------
    n_modes : int
        Up to which the potential scatters; modes beyond only decay from narrow leads.
    X, Q, sites : (n_x, 2 n_columns, n_y) arrays
    scratch : (4, 2 n_columns, n_y) array

    Returns
    -------
    float
        A bound of what else the dropped modes do, to second order: they change the kept
        modes' scattering amplitudes by sum psi_a V psi_Qb, here with all slices' moduli
        added up, the largest over pairs of columns.
    """
    n_x, n_rows, n_y = X.shape
    product = scratch[3]
    half = n_rows // 2
    shifts = np.zeros((2, half))
    for i in range(n_x):
        for c in range(n_rows):
            for j in range(n_y):
                product[c, j] = potential[i, j] * sites[i, c, j]
        kept = plan.counts[i]
        if kept < n_modes:
            to_modes(plan, product, kept, n_modes, Q[i], scratch)
        Q[i, :, max(kept, n_modes) :] = 0.0
    add_neighbours(plan, False, X, Q)
    chain_solve(plan, Q)
    for i in range(n_x):
        n = max(n_modes, plan.reach[i])
        if plan.counts[i] < n:
            to_sites(plan, Q[i], plan.counts[i], n, product, scratch)
            for a in range(half):
                for k in range(2):
                    b = (a + k) % half
                    real, imag = 0.0, 0.0
                    for j in range(n_y):
                        first, second = potential[i, j] * sites[i, a, j], sites[i, half + a, j]
                        second *= potential[i, j]
                        real += first * product[b, j] - second * product[half + b, j]
                        imag += first * product[half + b, j] + second * product[b, j]
                    shifts[k, a] += np.sqrt(real * real + imag * imag)
            for c in range(n_rows):
                for j in range(n_y):
                    sites[i, c, j] += product[c, j]
    return shifts.max()


@compiled_unlocked
def residual(plan, potential, X, Q, sites, R, scratch):  # type: ignore[no-untyped-def]
    """R -= (E - H - Sigma) psi over all modes, for psi = X + Q and its `sites`."""
    n_x, n_rows, n_y = X.shape
    half = n_rows // 2
    product, modes, whole = scratch[3], scratch[4], scratch[5]
    for i in range(n_x):
        for c in range(n_rows):
            for j in range(n_y):
                product[c, j] = potential[i, j] * sites[i, c, j]
        to_modes(plan, product, 0, n_y, modes, scratch)
        for c in range(n_rows):
            for m in range(n_y):
                R[i, c, m] += modes[c, m] + plan.two_cos_k[m] * (X[i, c, m] + Q[i, c, m])
        for other in (i - 1, i + 1):
            if 0 <= other < n_x:
                for c in range(n_rows):
                    for m in range(n_y):
                        R[i, c, m] -= X[other, c, m] + Q[other, c, m]
    for i, real, imag in (
        (0, plan.source, plan.source_imag),
        (n_x - 1, plan.drain, plan.drain_imag),
    ):
        for c in range(n_rows):
            for m in range(n_y):
                whole[c, m] = X[i, c, m] + Q[i, c, m]
        add_product(R[i, :half], whole[:half], real, half, n_y, n_y, -1.0)
        add_product(R[i, :half], whole[half:], imag, half, n_y, n_y, 1.0)
        add_product(R[i, half:], whole[:half], imag, half, n_y, n_y, -1.0)
        add_product(R[i, half:], whole[half:], real, half, n_y, n_y, -1.0)


@compiled_unlocked
def scatter_into_dropped(plan, potential, X, Q, scratch):  # type: ignore[no-untyped-def]
    """Q += V X in the modes that slices drop, for X in those that they keep.

    Parameters
    ----------
    X, Q : (n_x, 2 n_columns, n_y) arrays
    scratch : (5, 2 n_columns, n_y) array
    """
    n_x, n_rows, n_y = X.shape
    product, modes = scratch[3], scratch[4]
    for i in range(n_x):
        kept = plan.counts[i]
        if kept == n_y:
            continue
        to_sites(plan, X[i], 0, kept, product, scratch)
        for c in range(n_rows):
            for j in range(n_y):
                product[c, j] *= potential[i, j]
        to_modes(plan, product, kept, n_y, modes, scratch)
        for c in range(n_rows):
            for m in range(kept, n_y):
                Q[i, c, m] += modes[c, m]


@compiled_unlocked
def transform_slices(plan, counts, X, sites, scratch):  # type: ignore[no-untyped-def]
    """Sites of the lowest `counts[i]` modes of every slice."""
    for i in range(X.shape[0]):
        to_sites(plan, X[i], 0, counts[i], sites[i], scratch)


@compiled_unlocked
def clear_dropped(plan, X):  # type: ignore[no-untyped-def]
    """Zero beyond the kept modes."""
    for i in range(X.shape[0]):
        X[i, :, plan.counts[i] :] = 0.0


@compiled_unlocked
def modes_of_slices(plan, sites, X, scratch):  # type: ignore[no-untyped-def]
    """All transverse modes of what stands on the sites of every slice."""
    for i in range(X.shape[0]):
        to_modes(plan, sites[i], 0, X.shape[2], X[i], scratch)
