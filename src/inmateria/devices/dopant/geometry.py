"""Where the acceptors, donors and electrodes of a network are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inmateria.devices.dopant.parameters import DopantParameters

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Geometry:
    """Positions in the plane of the dopants, nm, the disc's centre at the origin.

    Attributes
    ----------
    radius_nm : float
    acceptor_xy_nm, donor_xy_nm : (n, 2) arrays, nm
    electrode_angle : (n_electrodes,) array, rad
        Where the middle of each electrode's arc lies on the rim.
    electrode_width_nm : float
        Length of an arc along the rim.
    site_disorder_ev : (n_acceptors,) array, eV
    """

    radius_nm: float
    acceptor_xy_nm: FloatArray
    donor_xy_nm: FloatArray
    electrode_angle: FloatArray
    electrode_width_nm: float
    site_disorder_ev: FloatArray

    @property
    def electrode_xy_nm(self) -> FloatArray:
        """(n_electrodes, 2) middles of the arcs, nm: where hops to an electrode end."""
        angle = self.electrode_angle
        return self.radius_nm * np.column_stack([np.cos(angle), np.sin(angle)])


def draw(parameters: DopantParameters, *, seed: int) -> Geometry:
    """A random network: dopants uniform in the disc, Gaussian site disorder.

    Positions, donors and disorder come from three streams of the seed, so that
    two devices that differ in their disorder only have the same positions.
    """
    acceptors, donors, disorder = (
        np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3)
    )
    n = parameters.n_electrodes
    return Geometry(
        radius_nm=parameters.radius_nm,
        acceptor_xy_nm=_in_disc(acceptors, parameters.n_acceptors, parameters.radius_nm),
        donor_xy_nm=_in_disc(donors, parameters.n_donors, parameters.radius_nm),
        electrode_angle=2 * np.pi * np.arange(n) / n,
        electrode_width_nm=parameters.electrode_width_nm,
        site_disorder_ev=disorder.normal(0.0, parameters.disorder_ev, parameters.n_acceptors),
    )


def _in_disc(generator: np.random.Generator, n: int, radius_nm: float) -> FloatArray:
    # The square root makes the density uniform over the area.
    r = radius_nm * np.sqrt(generator.random(n))
    angle = 2 * np.pi * generator.random(n)
    return np.column_stack([r * np.cos(angle), r * np.sin(angle)])
