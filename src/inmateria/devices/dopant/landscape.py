"""The potential landscape of a dopant network: what a hole would feel anywhere in the disc.

A test hole at r, with the mean occupations n_j that the device has at these voltages,
has the energy

    U(r) = e V(r) + sum_donors K(r - r_d) - sum_j (1 - n_j) K(r - r_j),
    K(r) = e^2 / (4 pi eps0 eps_r r):

an acceptor without its hole is a negative charge, one with it is neutral. Zero is a
hole at an electrode at 0 V; +1 V on an electrode raises a hole there to +1 eV. On
acceptor i, with its own term left out and its site disorder added, U is the energy E_i
that the engines solve with.

K diverges at a dopant, where a point charge in a uniform dielectric is no picture of the
real one anyway: nearer than a core radius it keeps the value that it has there (25 meV at
5 nm). And U is a mean: a hole that hops meets its neighbours as they are at that moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.devices.device import check_voltage
from inmateria.devices.dopant.electrostatics import coulomb_kt, electrode_potentials
from inmateria.errors import NotFiniteError, ParameterError, ShapeError

if TYPE_CHECKING:
    from inmateria.devices.dopant.geometry import Geometry
    from inmateria.devices.dopant.hopping_device import HoppingDevice

FloatArray = NDArray[np.float64]

CORE_NM = 5.0
# Points at a time: bounds what the sums over electrodes and dopants need of memory.
_CHUNK = 8192
# Keeps a point on a dopant from a division by zero, and changes no energy of a real pair.
_NEAREST_NM = 1e-6


@dataclass(frozen=True, eq=False)
class Landscape:
    """Energy of a test hole and what it is made of.

    Attributes
    ----------
    xy_nm : (n_points, 2) array, nm
    electrode_ev : (..., n_points) array, eV
        From the electrodes' voltages.
    donor_ev : (n_points,) array, eV
    acceptor_ev : (..., n_points) array, eV
        From the acceptors that lack their hole; zero or less.
    """

    xy_nm: FloatArray
    electrode_ev: FloatArray
    donor_ev: FloatArray
    acceptor_ev: FloatArray

    @property
    def energy_ev(self) -> FloatArray:
        """(..., n_points) sum of the three, eV."""
        return np.asarray(self.electrode_ev + self.donor_ev + self.acceptor_ev)


def landscape(
    device: HoppingDevice,
    voltage: ArrayLike,
    xy_nm: ArrayLike,
    *,
    core_nm: float = CORE_NM,
    on_acceptor: ArrayLike | None = None,
) -> Landscape:
    """Energy of a test hole at points of the disc.

    Parameters
    ----------
    device : DopantNetwork
    voltage : (..., n_terminals) array, V
        Of the driven terminals, as for `DopantNetwork.current`.
    xy_nm : (n_points, 2) array, nm
        Points from the disc's centre, inside the rim or on it.
    core_nm : float, nm
        Nearer to a dopant than this its Coulomb energy rises no further.
    on_acceptor : (n_points,) array of int, optional
        The acceptor that the test hole sits on, whose own term is left out; -1 for none.

    Raises
    ------
    ShapeError, NotFiniteError, ParameterError
        Also if the device has no geometry, or energies that are not those of its geometry.
    """
    plan = _plan(device)
    driven = check_voltage(device.terminals, voltage)
    xy = _points(xy_nm, plan.radius_nm)
    if not (np.isfinite(core_nm) and core_nm > 0):
        raise ParameterError(
            f"core_nm = {core_nm} nm; a point charge has no finite energy at its own place: "
            f"give more than 0, for example {CORE_NM:g}"
        )
    own = _own(on_acceptor, len(xy), len(plan.acceptor_xy_nm))
    charge = 1.0 - device.occupation(driven)
    half_width = plan.electrode_width_nm / plan.radius_nm / 2
    electrode, donor, acceptor = [], [], []
    for first in range(0, len(xy), _CHUNK):
        some = slice(first, first + _CHUNK)
        basis = electrode_potentials(xy[some] / plan.radius_nm, plan.electrode_angle, half_width)
        electrode.append(driven @ basis[:, _driven(device)].T)
        donor.append(_coulomb_ev(device, xy[some], plan.donor_xy_nm, core_nm).sum(axis=1))
        energy = _coulomb_ev(device, xy[some], plan.acceptor_xy_nm, core_nm)
        on = np.flatnonzero(own[some] >= 0)
        energy[on, own[some][on]] = 0.0
        acceptor.append(-charge @ energy.T)
    return Landscape(
        xy,
        np.concatenate(electrode, axis=-1),
        np.concatenate(donor),
        np.concatenate(acceptor, axis=-1),
    )


def site_energy_ev(device: HoppingDevice, voltage: ArrayLike) -> FloatArray:
    """Energy E_i of a hole on every acceptor at the mean occupations of the others.

    Includes the site's disorder and leaves out its own charge: what the engines solve
    with. Needs no geometry.

    Parameters
    ----------
    voltage : (..., n_terminals) array, V

    Returns
    -------
    (..., n_sites) array, eV
    """
    model = device.model
    driven = check_voltage(device.terminals, voltage)
    coulomb = (1.0 - device.occupation(driven)) @ model.pair_coulomb_kt
    return np.asarray(
        driven @ model.electrode_basis[:, _driven(device)].T
        + model.kt_ev * (model.site_energy_kt - coulomb)
    )


def _driven(device: HoppingDevice) -> list[int]:
    """Electrodes that the last axis of a voltage runs over; the outputs are at 0 V."""
    return [i for i in range(device.model.n_electrodes) if f"e{i}" not in device.outputs]


def _coulomb_ev(
    device: HoppingDevice, xy_nm: FloatArray, centre_nm: FloatArray, core_nm: float
) -> FloatArray:
    """(n_points, n_centres) eV of a hole and a hole at each centre, level inside the core."""
    distance = np.hypot(*(xy_nm[:, None, :] - centre_nm[None, :, :]).transpose(2, 0, 1))
    kt = coulomb_kt(
        np.maximum(distance, core_nm),
        permittivity=device.parameters.permittivity,
        temperature_k=device.parameters.temperature_k,
    )
    return np.asarray(kt * device.model.kt_ev)


def _plan(device: HoppingDevice) -> Geometry:
    plan = device.geometry
    if plan is None:
        raise ParameterError(
            "this network was made from arrays and has no geometry, so no landscape; "
            "give from_arrays(geometry=...) or make it from a seed"
        )
    given = device.model.pair_coulomb_kt * device.model.kt_ev
    if len(plan.acceptor_xy_nm) == len(given):
        own = _coulomb_ev(device, plan.acceptor_xy_nm, plan.acceptor_xy_nm, _NEAREST_NM)
        np.fill_diagonal(own, 0.0)
        if np.allclose(own, given, rtol=1e-6, atol=0):
            return plan
    raise ParameterError(
        f"the {len(given)} sites of this network do not have the Coulomb energies of its "
        f"geometry of {len(plan.acceptor_xy_nm)} acceptors at a permittivity of "
        f"{device.parameters.permittivity:g}, so it has no landscape"
    )


def _points(xy_nm: ArrayLike, radius_nm: float) -> FloatArray:
    try:
        xy = np.asarray(xy_nm, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"xy_nm is not an array of numbers: {error}") from error
    if xy.ndim != 2 or xy.shape[1] != 2 or not len(xy):
        raise ShapeError(f"xy_nm has shape {xy.shape}; give (n_points, 2) with a point at least")
    if not np.isfinite(xy).all():
        row = int(np.argwhere(~np.isfinite(xy))[0, 0])
        raise NotFiniteError(f"xy_nm[{row}] is {tuple(xy[row].tolist())}; give finite positions")
    distance = np.hypot(xy[:, 0], xy[:, 1])
    worst = int(distance.argmax())
    # Points on the rim come from a cosine and a sine: allow for their rounding.
    if distance[worst] > radius_nm * (1 + 1e-12):
        raise ParameterError(
            f"xy_nm[{worst}] lies {distance[worst]:.6g} nm from the centre, outside the disc of "
            f"{radius_nm:g} nm; keep points inside"
        )
    return xy


def _own(on_acceptor: ArrayLike | None, n_points: int, n_acceptors: int) -> NDArray[np.int64]:
    if on_acceptor is None:
        return np.full(n_points, -1)
    own = np.asarray(on_acceptor)
    if own.shape != (n_points,) or own.dtype.kind not in "iu":
        raise ShapeError(
            f"on_acceptor is {own.dtype} of shape {own.shape}; give {n_points} whole numbers"
        )
    if own.min() < -1 or own.max() >= n_acceptors:
        wrong = int(own.max() if own.max() >= n_acceptors else own.min())
        raise ParameterError(
            f"on_acceptor names acceptor {wrong}; there are 0 to {n_acceptors - 1}, -1 for none"
        )
    return own.astype(np.int64)
