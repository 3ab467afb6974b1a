"""Mean field of clusters with one correction by covariances: the engine `correlated`.

Tight pairs of sites have a joint distribution of their own (`clusters`); all
other correlations enter to second order (`covariance`). Both are compiled, and
the gradient is exact (`correlated_gradient`). docs/fidelity.md holds it against
Monte Carlo over a hundred devices.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from inmateria.compiled import compiled, compiled_parallel
from inmateria.devices.dopant.cluster_field import (
    BLOCK,
    NEIGHBOUR_V,
    ClusterField,
    Start,
    place,
    shown,
    solve_point,
    workspace,
)
from inmateria.devices.dopant.cluster_kernel import flows
from inmateria.devices.dopant.clusters import tight_pairs
from inmateria.devices.dopant.correlated_gradient import corrected_gradient
from inmateria.devices.dopant.covariance import correct
from inmateria.devices.dopant.flow import BondCurrents
from inmateria.devices.dopant.model import HoppingModel
from inmateria.errors import ConvergenceError

FloatArray = NDArray[np.float64]


class Correlated:
    """Steady state of a `HoppingModel` with exact tight pairs and one covariance correction.

    Parameters
    ----------
    model : HoppingModel
    rates : str
        ``"glauber"`` or ``"miller-abrahams"``.
    """

    name = "correlated"

    def __init__(self, model: HoppingModel, *, rates: str = "glauber") -> None:
        self.model = model
        self.field = ClusterField(model, pairs=tight_pairs(model), rates=rates)

    def begin(self) -> Start:
        """Equal probabilities, at voltages that no point is near to."""
        return self.field.begin()

    def current(self, voltage: FloatArray, *, start: Start | None = None) -> FloatArray:
        """Net holes into every electrode per 1 / nu0.

        Parameters
        ----------
        voltage : (n_points, n_electrodes) array, V
        start : Start, optional
            Where to start; holds the last point's solution afterwards.

        Returns
        -------
        (n_points, n_electrodes) array

        Raises
        ------
        ConvergenceError
            If a point did not converge: the message names it and its residual.
        """
        return self._solve(voltage, start)[1]

    def occupation(self, voltage: FloatArray) -> FloatArray:
        """Mean occupation of every site, (n_points, n_electrodes) V to (n_points, n_sites)."""
        z, _, change, _ = self._solve(voltage)
        # to second order only: a nearly full site may come out a little fuller than full
        return np.clip(self.field.occupation(z + change), 0.0, 1.0)

    def bond_currents(self, voltage: FloatArray) -> BondCurrents:
        """Net flow along every bond, (n_points, n_electrodes) V to holes per 1 / nu0."""
        _, _, _, flow = self._solve(voltage, keep_flow=True)
        n, m = self.model.n_sites, self.model.n_electrodes
        between, into = np.zeros((len(flow), n, n)), np.zeros((len(flow), n, m))
        for t, (i, j) in enumerate(self.field.hops.ends[:, :2]):
            if j < n:
                between[:, i, j] += flow[:, t]
                between[:, j, i] -= flow[:, t]
            else:
                into[:, i, j - n] += flow[:, t]
        return BondCurrents(between, into)

    def gradient(self, voltage: FloatArray, outputs: tuple[int, ...]) -> FloatArray:
        """Gradient of the corrected currents into some electrodes to all voltages.

        Returns
        -------
        (n_points, n_outputs, n_electrodes) array, holes per 1 / nu0 and V

        Raises
        ------
        ConvergenceError
        """
        found = self._solve(voltage)[0]
        gradient, regular = _gradients(
            voltage, found, *self.field.arguments(), np.asarray(outputs, dtype=np.int64)
        )
        self._check(voltage, regular)
        return np.asarray(gradient)

    def _solve(
        self, voltage: FloatArray, start: Start | None = None, *, keep_flow: bool = False
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Unknowns, currents into the electrodes, changes of the unknowns, every hop's flow."""
        first = start or self.field.begin()
        flow = np.empty((len(voltage) if keep_flow else 0, len(self.field.hops.ends)))
        found, residual, current, change, regular = _points(
            voltage, first.value, first.voltage, *self.field.arguments(), flow
        )
        self.field.check(voltage, residual)
        self._check(voltage, regular)
        self.field.keep(start, voltage, found)
        return found, current, change, flow

    @staticmethod
    def _check(voltage: FloatArray, regular: NDArray[np.bool_]) -> None:
        if not regular.all():
            worst = int(np.argmin(regular))
            raise ConvergenceError(
                f"at electrode voltages {shown(voltage[worst])} V the mean field is not stable, "
                "so its fluctuations have no bound; try other voltages, or engine='kmc'"
            )


@compiled
def _space(unknowns, total, sites, electrodes, hops):  # type: ignore[no-untyped-def]
    """C, D, bound, space, X, Xs, H, Cs, Hs, Ks, dz, dP, dn, dlevel, S, rows of `correct`."""
    return (
        np.empty((unknowns, unknowns)),
        np.empty((unknowns, unknowns)),
        np.empty((unknowns, unknowns)),
        np.empty((3, unknowns, unknowns)),
        np.empty((total, total)),
        np.empty((total, sites + 1)),
        np.empty((total, sites + 1)),
        np.empty((sites + 1, sites + 1)),
        np.empty((sites + 1, sites + 1)),
        np.empty((sites + 1, sites + 1)),
        np.empty(unknowns),
        np.empty(total),
        np.empty(sites + 1),
        np.empty(sites + electrodes),
        np.empty(hops),
        np.empty((hops, 8)),
    )


@compiled_parallel
def _points(voltage, begin, origin, even, kt, basis, eps, K, hops, S, rule, kept):  # type: ignore[no-untyped-def]
    points, electrodes = voltage.shape
    sites = eps.shape[0]
    unknowns = even.shape[0]
    ends = hops[0]
    total = hops[5].max() + 2
    found = np.empty((points, unknowns))
    residual = np.empty(points)
    current = np.zeros((points, electrodes))
    change = np.zeros((points, unknowns))
    regular = np.zeros(points, dtype=np.bool_)
    blocks = (points + BLOCK - 1) // BLOCK
    for block in numba.prange(blocks):
        W = workspace(unknowns, total, sites, electrodes)
        V = _space(unknowns, total, sites, electrodes, ends.shape[0])
        A = np.empty((unknowns, unknowns))
        pivot = np.empty(unknowns, dtype=np.int64)
        flow = np.empty(ends.shape[0])
        z = begin.copy()
        volt = np.empty(electrodes)
        v = np.empty(sites)
        before = origin.copy()
        usable = False
        for p in range(block * BLOCK, min((block + 1) * BLOCK, points)):
            near = place(voltage[p], kt, basis, v, volt, before) < NEIGHBOUR_V
            done, residual[p], _ = solve_point(
                v, volt, z, even, near, usable, eps, K, hops, rule, S, A, pivot, W
            )
            found[p] = z
            usable = False
            if done < 0:
                continue
            regular[p] = correct(z, K, hops, rule, W, A, pivot, V, flow)
            # what the correction leaves in A serves the next point's Newton
            usable = regular[p]
            if not regular[p]:
                continue
            change[p] = V[10]
            for t in range(ends.shape[0]):
                if ends[t, 1] >= sites:
                    current[p, ends[t, 1] - sites] += flow[t]
            if kept.shape[0] > 0:
                kept[p] = flow
    return found, residual, current, change, regular


@compiled_parallel
def _gradients(voltage, found, _even, kt, basis, eps, K, hops, _S, rule, outputs):  # type: ignore[no-untyped-def]
    points, electrodes = voltage.shape
    sites = eps.shape[0]
    unknowns = found.shape[1]
    total = hops[5].max() + 2
    gradient = np.zeros((points, outputs.shape[0], electrodes))
    regular = np.empty(points, dtype=np.bool_)
    for p in numba.prange(points):
        W = workspace(unknowns, total, sites, electrodes)
        V = _space(unknowns, total, sites, electrodes, hops[0].shape[0])
        LU = np.empty((unknowns, unknowns))
        pivot = np.empty(unknowns, dtype=np.int64)
        flow = np.empty(hops[0].shape[0])
        v = basis @ voltage[p]
        flows(v, voltage[p] / kt, found[p], eps, K, hops, rule, W[0], W[1], W[2], W[3], W[4])
        regular[p] = correct(found[p], K, hops, rule, W, LU, pivot, V, flow)
        if not regular[p]:
            continue
        for o in range(outputs.shape[0]):
            if not corrected_gradient(
                outputs[o], hops, K, basis, kt, found[p], W, LU, pivot, V, gradient[p, o]
            ):
                regular[p] = False
    return gradient, regular
