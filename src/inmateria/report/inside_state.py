"""What goes on inside a dopant network at a few operating points: the arrays of a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.devices.dopant.landscape import landscape, site_energy_ev
from inmateria.errors import ShapeError

if TYPE_CHECKING:
    from inmateria.devices.dopant.geometry import Geometry
    from inmateria.devices.dopant.network import DopantNetwork

FloatArray = NDArray[np.float64]

N_GRID = 61


@dataclass(frozen=True, eq=False)
class Inside:
    """Landscape, holes and currents at every state.

    Attributes
    ----------
    labels : sequence of str
        One per state, for example ``"01"``.
    plan : Geometry
    inputs, outputs : names of electrodes
    axis_nm : (n_grid,) array, nm
        Of both directions of the grid, over the disc's diameter.
    energy_ev : (n_states, n_grid, n_grid) array, eV
        Landscape, first y and then x; outside the disc the rim's value.
    site_ev : (n_states, n_sites) array, eV
        Energy of every acceptor, its disorder included.
    occupation : (n_states, n_sites) array
    between_na : (n_states, n_sites, n_sites) array, nA
    into_na : (n_states, n_sites, n_electrodes) array, nA
    electrode_v, electrode_na : (n_states, n_electrodes) arrays, V and nA
        Current positive out of the device.
    """

    labels: tuple[str, ...]
    plan: Geometry
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    axis_nm: FloatArray
    energy_ev: FloatArray
    site_ev: FloatArray
    occupation: FloatArray
    between_na: FloatArray
    into_na: FloatArray
    electrode_v: FloatArray
    electrode_na: FloatArray

    def against(self, reference: int = 0) -> Inside:
        """Every other state minus one of them; currents stay conserved in the difference."""
        rest = [k for k in range(len(self.labels)) if k != reference]
        arrays = {
            name: getattr(self, name)[rest] - getattr(self, name)[reference] for name in _PER_STATE
        }
        minus = f" \N{MINUS SIGN} {self.labels[reference]}"
        labels = tuple(self.labels[k] + minus for k in rest)
        return replace(self, labels=labels, **arrays)


_PER_STATE = (
    *("energy_ev", "site_ev", "occupation", "between_na", "into_na"),
    *("electrode_v", "electrode_na"),
)


def look_inside(
    device: DopantNetwork,
    voltage: ArrayLike,
    *,
    labels: Sequence[str],
    inputs: Sequence[str] = (),
    n_grid: int = N_GRID,
) -> Inside:
    """Landscape, occupations and currents of a network with a geometry.

    Parameters
    ----------
    device : DopantNetwork
    voltage : (n_states, n_terminals) array, V
    labels : one str per state
    inputs : names of electrodes that are logic inputs
    n_grid : int
        Points of the landscape along the diameter.

    Raises
    ------
    ShapeError, NotFiniteError, ParameterError
    """
    driven = np.asarray(voltage, dtype=np.float64)
    if driven.ndim != 2 or len(driven) != len(labels):
        raise ShapeError(
            f"voltage has shape {driven.shape}; {len(labels)} labels need "
            f"({len(labels)}, {len(device.terminals)})"
        )
    plan = device.geometry
    radius = 1.0 if plan is None else plan.radius_nm
    axis = np.linspace(-radius, radius, n_grid)
    x, y = np.meshgrid(axis, axis)
    # Beyond the rim its own value goes on, so that contours reach the rim.
    shrink = radius / np.maximum(np.hypot(x, y), radius)
    xy = np.column_stack([(x * shrink).ravel(), (y * shrink).ravel()])
    energy = landscape(device, driven, xy).energy_ev
    assert plan is not None  # the line above refuses a network without one
    bonds = device.bond_currents(driven)
    full = np.zeros((len(driven), device.model.n_electrodes))
    full[:, [int(t.name[1:]) for t in device.terminals]] = driven
    return Inside(
        labels=tuple(labels),
        plan=plan,
        inputs=tuple(inputs),
        outputs=device.outputs,
        axis_nm=axis,
        energy_ev=energy.reshape(-1, n_grid, n_grid),
        site_ev=site_energy_ev(device, driven),
        occupation=device.occupation(driven),
        between_na=bonds.between,
        into_na=bonds.into,
        electrode_v=full,
        electrode_na=device.electrode_current(driven),
    )
