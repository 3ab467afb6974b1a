"""Scattering states of a lead: PLDOS, reflection and transmission, to a chosen accuracy.

Mode n of the lead comes in with unit flux,
psi_n = (exp(i k_n x) chi_n + sum_a r_an exp(-i k_a x) chi_a sqrt(v_n / v_a)) / sqrt(v_n),
x = 0 on the sample's column next to it, and goes out into the other lead's modes with
amplitudes t_bn, whose x = 0 is the column next to that. Then

    psi = i G chi_n sqrt(v_n),    r = -1 + i sqrt(v) chi^T G chi sqrt(v),

and without a magnetic field r is symmetric.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from inmateria.transport.amplitudes import Scattering
from inmateria.transport.geometry import GasGeometry
from inmateria.transport.real_engine import Sample, States
from inmateria.transport.samples import LeadName, Progress, each_sample

DEFAULT_ACCURACY = 1e-6


def scatter(
    gas: GasGeometry,
    potential_mev: ArrayLike,
    *,
    accuracy: float = DEFAULT_ACCURACY,
    modes: int | None = None,
    lead: LeadName = "source",
    progress: Progress | None = None,
) -> Scattering:
    """Solve for the scattering states of a lead.

    Parameters
    ----------
    gas : GasGeometry
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
    if gas.walls == "periodic":
        from inmateria.transport.cylinder import scatter_on_cylinder

        return scatter_on_cylinder(
            gas, potential_mev, accuracy=accuracy, modes=modes, lead=lead, progress=progress
        )
    potential = gas.in_hoppings(potential_mev)
    batch = potential.reshape(-1, gas.n_x, gas.n_y)
    own, other = gas.modes(gas.source), gas.modes(gas.drain)
    if lead == "drain":
        own, other = other, own
    pldos = np.empty(batch.shape)
    r = np.empty((len(batch), own.n_open, own.n_open), dtype=np.complex128)
    t = np.empty((len(batch), other.n_open, own.n_open), dtype=np.complex128)

    def take(s: int, _: Sample, states: States) -> None:
        pldos[s] = states.pldos
        r[s], t[s] = states.r, states.t

    effort = each_sample(
        gas, batch, take, accuracy=accuracy, modes=modes, lead=lead, progress=progress
    )
    leading = potential.shape[:-2]
    return Scattering(
        pldos.reshape(potential.shape),
        r.reshape(*leading, *r.shape[1:]),
        t.reshape(*leading, *t.shape[1:]),
        effort.error.reshape(leading),
        effort.modes.reshape(leading),
        effort.corrections.reshape(leading),
    )
