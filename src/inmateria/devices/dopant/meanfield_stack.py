"""Mean fields of several networks of one size, in one compiled loop.

Blocks of points of all networks are shared out over the cores together, so
that a few points each of many networks keep all cores busy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
from numpy.typing import NDArray

from inmateria.compiled import compiled_parallel
from inmateria.devices.dopant.meanfield import (
    BLOCK,
    MeanField,
    current_at,
    gradient_at,
    solve_in_order,
)
from inmateria.devices.dopant.newton import TOLERANCE
from inmateria.errors import ConvergenceError

FloatArray = NDArray[np.float64]


class MeanFieldStack:
    """Mean fields with equal numbers of sites and electrodes as one.

    Parameters
    ----------
    engines : sequence of MeanField
        Temperatures and rates may differ.
    """

    def __init__(self, engines: Sequence[MeanField]) -> None:
        self._kt = np.array([engine.model.kt_ev for engine in engines])
        self._rule = np.array([engine.rule for engine in engines], dtype=np.int64)
        each = [engine.model.kernel_arrays() for engine in engines]
        self._constants = tuple(np.stack(arrays) for arrays in zip(*each, strict=True))

    def current(self, voltage: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Net holes into every electrode per 1 / nu0, and mean occupations.

        Parameters
        ----------
        voltage : (n_networks, n_points, n_electrodes) array, V

        Returns
        -------
        current : array of the same shape
        occupation : (n_networks, n_points, n_sites) array

        Raises
        ------
        ConvergenceError
            If a point did not converge: the message names it and its residual.
        """
        current, occupation, residual = _solve(voltage, self._kt, *self._constants, self._rule)
        if residual.size and not residual.max() < TOLERANCE:
            network, point = np.unravel_index(int(residual.argmax()), residual.shape)
            shown = ", ".join(f"{v:.4g}" for v in voltage[network, point])
            raise ConvergenceError(
                f"the mean field of network {network} did not converge at electrode voltages "
                f"({shown}) V: residual {residual[network, point]:.1e}, wanted {TOLERANCE:.0e}; "
                "try other voltages or a surrogate of this network"
            )
        return current, occupation

    def gradient(
        self, voltage: FloatArray, state: FloatArray, outputs: tuple[int, ...]
    ) -> FloatArray:
        """Gradient of the currents into some electrodes, by one adjoint solve per output.

        Parameters
        ----------
        voltage : (n_networks, n_points, n_electrodes) array, V
        state : (n_networks, n_points, n_sites) array
            The occupations that `current` found there.

        Returns
        -------
        (n_networks, n_points, n_outputs, n_electrodes) array, holes per 1 / nu0 and V
        """
        wanted = np.asarray(outputs, dtype=np.int64)
        gradient, regular = _gradients(
            voltage, state, self._kt, *self._constants, self._rule, wanted
        )
        if not regular:
            raise ConvergenceError(
                "the Jacobian is singular at one of the operating points, so the gradient is "
                "undefined there; move the voltages by a millivolt"
            )
        return np.asarray(gradient)


@compiled_parallel
def _solve(voltage, kt, basis, eps, K, w, we, S, rule):  # type: ignore[no-untyped-def]
    networks, points, electrodes = voltage.shape
    sites = eps.shape[1]
    current = np.zeros((networks, points, electrodes))
    occupation = np.empty((networks, points, sites))
    residual = np.empty((networks, points))
    blocks = (points + BLOCK - 1) // BLOCK
    for task in numba.prange(networks * blocks):
        d, block = task // blocks, task % blocks
        a, b = block * BLOCK, min((block + 1) * BLOCK, points)
        begin = np.full(sites, 0.5)
        origin = np.full(electrodes, np.inf)
        solve_in_order(
            voltage[d, a:b], begin, origin, kt[d], basis[d], eps[d], K[d], w[d], we[d], S[d],
            rule[d], occupation[d, a:b], residual[d, a:b],
        )  # fmt: skip
        for p in range(a, b):
            current_at(
                voltage[d, p], occupation[d, p], kt[d], basis[d], eps[d], K[d], w[d], we[d],
                rule[d], current[d, p],
            )  # fmt: skip
    return current, occupation, residual


@compiled_parallel
def _gradients(voltage, occupation, kt, basis, eps, K, w, we, _S, rule, outputs):  # type: ignore[no-untyped-def]
    networks, points, electrodes = voltage.shape
    gradient = np.zeros((networks, points, outputs.shape[0], electrodes))
    regular = np.ones(networks * points, dtype=np.bool_)
    for task in numba.prange(networks * points):
        d, p = task // points, task % points
        regular[task] = gradient_at(
            voltage[d, p], occupation[d, p], kt[d], basis[d], eps[d], K[d], w[d], we[d], rule[d],
            outputs, gradient[d, p],
        )  # fmt: skip
    return gradient, regular.all()
