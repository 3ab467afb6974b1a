"""Energies, couplings and potentials of a network from where its dopants lie."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inmateria.devices.dopant.electrostatics import coulomb_kt, electrode_potentials
from inmateria.devices.dopant.geometry import Geometry
from inmateria.devices.dopant.model import HoppingModel, thermal_energy_ev
from inmateria.devices.dopant.parameters import DopantParameters
from inmateria.devices.dopant.rates import hop_weight

FloatArray = NDArray[np.float64]


def build_model(geometry: Geometry, parameters: DopantParameters) -> HoppingModel:
    """Energies, couplings and potentials of a geometry (see docs/default-device.md)."""
    sites, electrodes = geometry.acceptor_xy_nm, geometry.electrode_xy_nm
    between = _distance(sites, sites)
    np.fill_diagonal(between, np.inf)
    to_electrode = _distance(sites, electrodes)

    def energy(distance: FloatArray) -> FloatArray:
        return coulomb_kt(
            distance,
            permittivity=parameters.permittivity,
            temperature_k=parameters.temperature_k,
        )

    def weight(distance: FloatArray) -> FloatArray:
        near = (distance >= parameters.shortest_hop_nm) & (distance <= parameters.longest_hop_nm)
        reach = np.where(near, distance, 0.0)
        return np.where(near, hop_weight(reach, localisation_nm=parameters.localisation_nm), 0.0)

    half_width = geometry.electrode_width_nm / geometry.radius_nm / 2
    donors = energy(_distance(sites, geometry.donor_xy_nm)).sum(axis=1)
    disorder = geometry.site_disorder_ev / thermal_energy_ev(parameters.temperature_k)
    return HoppingModel(
        electrode_basis=electrode_potentials(
            sites / geometry.radius_nm, geometry.electrode_angle, half_width
        ),
        site_energy_kt=donors + disorder,
        pair_coulomb_kt=energy(between),
        pair_weight=weight(between),
        electrode_weight=weight(to_electrode),
        temperature_k=parameters.temperature_k,
    )


def _distance(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.norm(a[:, None, :] - b[None, :, :], axis=-1))
