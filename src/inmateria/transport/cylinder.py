"""Scattering on a cylinder, whose transverse modes are Fourier modes.

The real recursion and what brings its dropped modes back stand on sines between hard walls;
a cylinder is solved by the complex one of `torch_sweep` without a field. Modes are added
until 16 more change less than the accuracy, as `in_field` does it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from inmateria.errors import ConvergenceError, ParameterError
from inmateria.transport.amplitudes import Scattering
from inmateria.transport.geometry import GasGeometry
from inmateria.transport.in_field import SHARE, scatter_in_field
from inmateria.transport.samples import LeadName, Progress


def scatter_on_cylinder(
    gas: GasGeometry,
    potential_mev: ArrayLike,
    *,
    accuracy: float,
    modes: int | None,
    lead: LeadName,
    progress: Progress | None,
) -> Scattering:
    """`scattering.scatter` of a gas with periodic walls; `corrections` are none.

    Modes are checked on the first of every sixteen samples, whose `error` all of them have;
    more of the modes than of hard walls are needed for a high accuracy, all of them at worst.

    Raises
    ------
    ShapeError, NotFiniteError, ParameterError
    ConvergenceError
        If 16 more than a given number of modes change more than the accuracy.
    """
    if lead not in ("source", "drain"):
        raise ParameterError(f"lead = {lead!r}: give 'source' or 'drain'")
    potential = gas.in_hoppings(potential_mev)
    batch = np.asarray(potential_mev, dtype=np.float64).reshape(-1, *gas.shape)
    own, other = gas.modes(gas.source).n_open, gas.modes(gas.drain).n_open
    if lead == "drain":
        own, other = other, own
    n = len(batch)
    pldos = np.empty(batch.shape)
    r = np.empty((n, own, own), dtype=np.complex128)
    t = np.empty((n, other, own), dtype=np.complex128)
    error, kept = np.empty(n), np.empty(n, dtype=np.int64)
    for first in range(0, n, SHARE):
        part = slice(first, min(first + SHARE, n))
        found = scatter_in_field(gas, batch[part], 0.0, accuracy=accuracy, modes=modes, lead=lead)
        if not found.error[0] <= accuracy:
            raise ConvergenceError(
                f"sample {first}: {found.modes[0]} modes do not lead to an accuracy of "
                f"{accuracy:g} (estimated error {found.error[0]:.2g}); leave `modes` out"
            )
        pldos[part], r[part], t[part] = found.pldos[0], found.r[0], found.t[0]
        error[part], kept[part] = found.error[0], found.modes[0]
        if progress is not None:
            progress(part.stop, n)
    leading = potential.shape[:-2]
    return Scattering(
        pldos.reshape(potential.shape),
        r.reshape(*leading, own, own),
        t.reshape(*leading, other, own),
        error.reshape(leading),
        kept.reshape(leading),
        np.zeros(leading, dtype=np.int64),
    )
