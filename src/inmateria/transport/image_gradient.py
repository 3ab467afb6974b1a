"""A loss of an image of transport, and its gradient with respect to the potential.

The image is computed and differentiated in one factorisation, so that fitting a potential
to a measured image costs little more than computing images. Two images:

``"pldos"``
    P(r) = 2 pi sum_n |psi_n(r)|^2 in 1/t; with w = dL/dP and lambda_n = G (w conj(psi_n)),

        dL / dV(r) = 4 pi Re sum_n psi_n(r) lambda_n(r).

``"sensitivity"``
    S(r) = dT/dV(r) = -2 Im sum_ab conj(r_ab) psi_a psi_b in 1/meV, of which a first-order
    scanning-gate map is a smooth version. From delta psi = G delta V psi and delta r_ab =
    -i sum psi_a delta V psi_b, with M_ab = sum_r w psi_a psi_b and mu_b = G (w sum_a
    conj(r_ab) psi_a),

        dL / dV(r) = -2 Re sum_ab conj(psi_a psi_b) M_ab - 4 Im sum_b psi_b mu_b.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.errors import ParameterError, ShapeError
from inmateria.transport.geometry import GasGeometry
from inmateria.transport.gradient import adjoint_states, sensitivity
from inmateria.transport.real_engine import Sample, States
from inmateria.transport.samples import LeadName, each_sample
from inmateria.transport.scattering import DEFAULT_ACCURACY

Real = NDArray[np.float64]
Loss = Callable[[Real], tuple[float, Real]]


@dataclass(frozen=True)
class ImageGradient:
    """A loss of one sample's image.

    Attributes
    ----------
    value : float
    image : (n_x, n_y) array
    gradient : (n_x, n_y) array
        Per meV on every site.
    """

    value: float
    image: Real
    gradient: Real


def image_gradient(
    gas: GasGeometry,
    potential_mev: ArrayLike,
    loss: Loss,
    *,
    image: Literal["pldos", "sensitivity"] = "pldos",
    accuracy: float = DEFAULT_ACCURACY,
    lead: LeadName = "source",
) -> ImageGradient:
    """Value and gradient of a loss of one sample's image.

    Parameters
    ----------
    gas : GasGeometry
    potential_mev : (n_x, n_y) array, meV
    loss : callable
        From the image (n_x, n_y) to a number and its derivative with respect to each pixel.
    image : ``"pldos"`` or ``"sensitivity"``
    accuracy : float
        Of the states and of the adjoint ones.
    lead : ``"source"`` or ``"drain"``

    Raises
    ------
    ShapeError, NotFiniteError, ParameterError
    ConvergenceError
        If the adjoint solves do not reach the accuracy.
    """
    if image not in ("pldos", "sensitivity"):
        raise ParameterError(f"image = {image!r}: give 'pldos' or 'sensitivity'")
    potential = gas.in_hoppings(potential_mev)
    if potential.shape != gas.shape:
        raise ShapeError(f"potentials of shape {potential.shape}: give one, {gas.shape}")
    found: list[ImageGradient] = []

    def take(_: int, sample: Sample, states: States) -> None:
        n = len(states.r)
        psi = states.psi[:, :n] + 1j * states.psi[:, n:]
        if image == "pldos":
            shown = states.pldos.copy()
            value, weight = loss(shown)
            adjoint = adjoint_states(sample, np.asarray(weight[:, None] * psi.conj()), accuracy)
            gradient = 4 * np.pi * (psi * adjoint).sum(axis=1).real / gas.hopping_mev
        else:
            shown = sensitivity(states) / gas.hopping_mev
            value, weight = loss(shown)
            weight = weight / gas.hopping_mev
            reflected = np.tensordot(psi, states.r.conj(), axes=(1, 0)).swapaxes(1, 2)
            pairs = np.einsum("ij,iaj,ibj->ab", weight, psi, psi, optimize=True)
            near = np.tensordot(psi, pairs.conj(), axes=(1, 0)).swapaxes(1, 2)
            adjoint = adjoint_states(sample, np.asarray(weight[:, None] * reflected), accuracy)
            gradient = -2 * (near * psi).sum(axis=1).real
            gradient -= 4 * (psi * adjoint).sum(axis=1).imag
            gradient /= gas.hopping_mev
        found.append(ImageGradient(float(value), shown, gradient))

    each_sample(gas, potential[None], take, accuracy=accuracy, lead=lead)
    return found[0]
