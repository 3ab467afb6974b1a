"""Exact gradients with respect to the potential, by adjoint solves.

Without a magnetic field G is symmetric, so d psi = G dV psi and, with r = -1 + i sqrt(v)
chi^T G chi sqrt(v) and T = N - sum |r|^2,

    dT / dV(r) = -2 Im sum_ab conj(r_ab) psi_a(r) psi_b(r),

which costs no solve beyond the states themselves. For a weighted PLDOS
L = sum_r w(r) 2 pi sum_n |psi_n(r)|^2 it takes one more solve per mode,

    dL / dV(r) = 4 pi Re sum_n psi_n(r) lambda_n(r),    lambda_n = G (w conj(psi_n)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.compiled import compiled_unlocked
from inmateria.errors import ConvergenceError, NotFiniteError, ShapeError
from inmateria.transport.dropped_modes import modes_of_slices
from inmateria.transport.geometry import GasGeometry
from inmateria.transport.real_engine import Sample, States
from inmateria.transport.samples import MOST_CORRECTIONS, LeadName, Progress, each_sample
from inmateria.transport.scattering import DEFAULT_ACCURACY


@dataclass(frozen=True)
class TransmissionGradient:
    """Transmission and its gradient.

    Attributes
    ----------
    transmission : (...) array
    gradient : (..., n_x, n_y) array
        dT/dV on every site, 1/meV.
    """

    transmission: NDArray[np.float64]
    gradient: NDArray[np.float64]


@dataclass(frozen=True)
class PldosGradient:
    """PLDOS and the gradient of its weighted sum.

    Attributes
    ----------
    pldos : (..., n_x, n_y) array
    gradient : (..., n_x, n_y) array
        d(sum of weight times PLDOS)/dV on every site, in the unit of the weighted sum per meV.
    """

    pldos: NDArray[np.float64]
    gradient: NDArray[np.float64]


def transmission_gradient(
    gas: GasGeometry,
    potential_mev: ArrayLike,
    *,
    accuracy: float = DEFAULT_ACCURACY,
    progress: Progress | None = None,
) -> TransmissionGradient:
    """dT/dV on every site, from the scattering states of the source.

    Parameters
    ----------
    gas : GasGeometry
    potential_mev : (..., n_x, n_y) array, meV
    accuracy : float
        Of the states, as in `scatter`.

    Raises
    ------
    ShapeError, NotFiniteError, ParameterError
    """
    potential = gas.in_hoppings(potential_mev)
    batch = potential.reshape(-1, gas.n_x, gas.n_y)
    transmission, gradient = np.empty(len(batch)), np.empty(batch.shape)

    def take(s: int, _: Sample, states: States) -> None:
        transmission[s] = (np.abs(states.t) ** 2).sum()
        gradient[s] = sensitivity(states) / gas.hopping_mev

    each_sample(gas, batch, take, accuracy=accuracy, progress=progress)
    return TransmissionGradient(
        transmission.reshape(potential.shape[:-2]), gradient.reshape(potential.shape)
    )


def sensitivity(states: States) -> NDArray[np.float64]:
    """dT/dV of a sample's states, (n_x, n_y), per t."""
    n_x, _, n_y = states.psi.shape
    found = np.zeros((n_x, n_y))
    add_sensitivity(states.psi, states.r.real.copy(), states.r.imag.copy(), found)
    return found


@compiled_unlocked
def add_sensitivity(psi, r_real, r_imag, found):  # type: ignore[no-untyped-def]
    """found -= 2 Im sum_ab conj(r_ab) psi_a psi_b, each pair of columns once.

    Parameters
    ----------
    psi : (n_x, 2 n_columns, n_y) array
        Real parts first.
    r_real, r_imag : (n_columns, n_columns) arrays
    found : (n_x, n_y) array
    """
    n = r_real.shape[0]
    for i in range(psi.shape[0]):
        for a in range(n):
            for b in range(a + 1):
                times = 1.0 if a == b else 2.0
                u = -times * (r_real[a, b] + r_real[b, a])
                w = times * (r_imag[a, b] + r_imag[b, a])
                first, second = psi[i, a], psi[i, b]
                first_imag, second_imag = psi[i, n + a], psi[i, n + b]
                for j in range(psi.shape[2]):
                    real = first[j] * second[j] - first_imag[j] * second_imag[j]
                    imag = first[j] * second_imag[j] + first_imag[j] * second[j]
                    found[i, j] += u * imag + w * real


def pldos_gradient(
    gas: GasGeometry,
    potential_mev: ArrayLike,
    weight: ArrayLike,
    *,
    accuracy: float = DEFAULT_ACCURACY,
    lead: LeadName = "source",
    progress: Progress | None = None,
) -> PldosGradient:
    """Gradient of sum_r weight(r) PLDOS(r) with respect to the potential.

    Parameters
    ----------
    gas : GasGeometry
    potential_mev : (..., n_x, n_y) array, meV
    weight : (..., n_x, n_y) array
        Or of a shape that goes with the potential's.
    accuracy : float
        Of the states and of the adjoint ones.

    Raises
    ------
    ShapeError, NotFiniteError, ParameterError
    ConvergenceError
        If the adjoint solves do not reach the accuracy.
    """
    potential = gas.in_hoppings(potential_mev)
    given = np.asarray(weight, dtype=np.float64)
    try:
        weights = np.broadcast_to(given, potential.shape).reshape(-1, gas.n_x, gas.n_y)
    except ValueError:
        raise ShapeError(
            f"a weight of shape {given.shape} for potentials of {potential.shape}: give one number "
            "per site"
        ) from None
    if not np.isfinite(weights).all():
        raise NotFiniteError("the weight holds NaN or infinity: give a number on every site")
    batch = potential.reshape(-1, gas.n_x, gas.n_y)
    pldos, gradient = np.empty(batch.shape), np.empty(batch.shape)

    def take(s: int, sample: Sample, states: States) -> None:
        pldos[s] = states.pldos
        n = len(states.r)
        psi = states.psi[:, :n] + 1j * states.psi[:, n:]
        adjoint = adjoint_states(sample, weights[s][:, None] * psi.conj(), accuracy)
        gradient[s] = 4 * np.pi * (psi * adjoint).sum(axis=1).real / gas.hopping_mev

    each_sample(gas, batch, take, accuracy=accuracy, lead=lead, progress=progress)
    return PldosGradient(pldos.reshape(potential.shape), gradient.reshape(potential.shape))


def adjoint_states(
    sample: Sample, source: NDArray[np.complex128], accuracy: float
) -> NDArray[np.complex128]:
    """G applied to (n_x, n_columns, n_y) complex columns on sites.

    The states of the sample, which are views of its workspace, are overwritten.

    Raises
    ------
    ConvergenceError
    """
    columns = np.concatenate([source.real, source.imag], axis=1)
    right = np.empty_like(columns)
    modes_of_slices(sample.plan, columns, right, sample.work.scratch)
    found, error = sample.response(right, accuracy, MOST_CORRECTIONS)
    if not error <= accuracy:
        raise ConvergenceError(
            f"the adjoint states reach {error:.2g} instead of {accuracy:g}; ask for less accuracy"
        )
    n = source.shape[1]
    return np.asarray(found[:, :n] + 1j * found[:, n:])
