"""A perpendicular magnetic field in the sample, as Peierls phases on its bonds along x.

Column i goes over into column i + 1 on row j by

    H[(i + 1, j), (i, j)] = -exp(-i flux (j - j_0)),    j_0 = (n_y - 1) / 2,

and back by its conjugate; bonds along y, in the leads and from the leads to the sample
have no phase: the field is in the sample alone. A charge that goes round a plaquette
counter-clockwise (+x, +y, -x, -y) picks up exp(i flux). In this gauge the canonical
momentum across the sample is the kinetic one, so that low transverse modes stay enough.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inmateria.errors import ParameterError
from inmateria.transport.constants import CHARGE_C, HBAR_J_S
from inmateria.transport.geometry import GasGeometry
from inmateria.transport.strip import Walls, transverse_modes

# How far the flux around a cylinder may be from a whole number of quanta.
ROUNDING = 1e-9


def flux_per_plaquette(gas: GasGeometry, field_t: float) -> float:
    """Phase that an electron picks up around a plaquette: -e B a^2 / hbar.

    Negative for a positive field, because electrons carry -e: `field_t` is along +z,
    where x runs from source to drain, y along increasing rows and z towards whom sees
    them turn counter-clockwise. A positive field bends electrons that come from the
    source towards larger rows.

    Parameters
    ----------
    gas : GasGeometry
    field_t : float
        Magnetic induction in tesla.

    Raises
    ------
    ParameterError
        If it is not finite or beyond half a flux quantum in a plaquette, where it would
        be taken for a smaller one.
    """
    flux = -CHARGE_C * field_t * (gas.spacing_nm * 1e-9) ** 2 / HBAR_J_S
    limit = abs(np.pi * field_t / flux) if flux else np.inf
    if not abs(flux) < np.pi:
        raise ParameterError(
            f"a field of {field_t:g} T puts {flux / (2 * np.pi):.3g} flux quanta through each "
            f"plaquette; give less than {limit:.4g} T or a finer lattice"
        )
    return flux


def field_around(gas: GasGeometry, n_quanta: int) -> float:
    """The field in tesla with so many flux quanta through a column's n_y plaquettes.

    On a cylinder it points outwards everywhere, and others cannot be had: the phases
    exp(-i flux j) must be the same after n_y rows.
    """
    area_m2 = gas.n_y * (gas.spacing_nm * 1e-9) ** 2
    return 2 * np.pi * HBAR_J_S / CHARGE_C * n_quanta / area_m2


def check_around(gas: GasGeometry, flux: float) -> None:
    """Refuse a phase per plaquette that is not single-valued around a cylinder.

    Raises
    ------
    ParameterError
    """
    quanta = flux * gas.n_y / (2 * np.pi)
    if gas.walls == "periodic" and abs(quanta - round(quanta)) > ROUNDING:
        step = field_around(gas, 1)
        raise ParameterError(
            f"{abs(quanta):.6g} flux quanta through a column of the cylinder: give a whole number "
            f"of them, a multiple of {step:.9g} T (`field.field_around`)"
        )


def slice_coupling(n_y: int, flux: float, *, walls: Walls = "hard") -> NDArray[np.complex128]:
    """P = X^T diag(exp(-i flux (j - j_0))) X of transverse modes X, (n_y, n_y).

    -P leads from a column's modes to those of the next, -P^dagger back. It is symmetric
    and, with all modes, unitary; the identity where the flux is zero.
    """
    basis = transverse_modes(n_y, walls=walls)
    phase = np.exp(-1j * flux * (np.arange(n_y) - (n_y - 1) / 2))
    return np.asarray((basis.T * phase) @ basis)
