"""A loss of a strong tip's scanning-gate map, and its gradient with respect to the potential.

The tip W_p above a position p changes the transmission by M(p) = T(V + W_p) - T(V), and

    dL / dV(r) = sum_p dL/dM(p) (S(V + W_p)(r) - S(V)(r)),    S = dT/dV,

which takes one solve a position and no adjoint one, for tips of any strength. To first order
in W all positions take one solve together: `image_gradient` of the sensitivity.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.errors import ShapeError
from inmateria.transport.geometry import GasGeometry
from inmateria.transport.gradient import sensitivity
from inmateria.transport.image_gradient import ImageGradient, Loss
from inmateria.transport.real_engine import Sample, States
from inmateria.transport.samples import each_sample
from inmateria.transport.scanning_gate import tip_sites
from inmateria.transport.scattering import DEFAULT_ACCURACY
from inmateria.transport.tip import Tip
from inmateria.transport.tip_lattice import TipLattice

Real = NDArray[np.float64]


def strong_tip_gradient(
    gas: GasGeometry,
    potential_mev: ArrayLike,
    tip: Tip,
    loss: Loss,
    *,
    stride: int | tuple[int, int] = 1,
    positions: NDArray[np.bool_] | None = None,
    accuracy: float = DEFAULT_ACCURACY,
) -> ImageGradient:
    """Value and gradient of a loss of one sample's exact scanning-gate map.

    Parameters
    ----------
    gas : GasGeometry
    potential_mev : (n_x, n_y) array, meV
    tip : Tip
    loss : callable
        From the change of the transmission (n_tip_x, n_tip_y) to a number and its derivative
        with respect to each change.
    stride : int, or two along x and y
        Sites from one position to the next, from the first on.
    positions : (n_tip_x, n_tip_y) boolean array, optional
        Which of them count; at others the map is 0 and its derivative is not used.
    accuracy : float
        Of the states, relative to the largest PLDOS.

    Returns
    -------
    ImageGradient
        `.image` is the map.

    Raises
    ------
    ShapeError, NotFiniteError, ParameterError, ConvergenceError
    """
    potential = gas.in_hoppings(potential_mev)
    if potential.shape != gas.shape:
        raise ShapeError(f"potentials of shape {potential.shape}: give one, {gas.shape}")
    columns, rows = tip_sites(gas, stride)
    shape = columns.size, rows.size
    counted = np.ones(shape, dtype=bool) if positions is None else np.asarray(positions, bool)
    if counted.shape != shape:
        raise ShapeError(f"positions of shape {counted.shape}: a stride of {stride} has {shape}")
    on_lattice = TipLattice(gas, tip)
    tips = [on_lattice.above(int(columns[i]), int(rows[j])) for i, j in np.argwhere(counted)]
    batch = np.stack([potential, *(potential + above for above in tips)])
    # Refused where the tip lifts a site out of what the lattice can mean.
    gas.in_hoppings(batch * gas.hopping_mev)
    transmission, slope = np.empty(len(batch)), np.empty(batch.shape)

    def take(s: int, _: Sample, states: States) -> None:
        transmission[s] = (np.abs(states.t) ** 2).sum()
        slope[s] = sensitivity(states)

    each_sample(gas, batch, take, accuracy=accuracy)
    shown = np.zeros(shape)
    shown[counted] = transmission[1:] - transmission[0]
    value, weight = loss(shown)
    chosen = weight[counted]
    gradient = np.tensordot(chosen, slope[1:], axes=1) - chosen.sum() * slope[0]
    return ImageGradient(float(value), shown, gradient / gas.hopping_mev)
