"""Small networks that several tests share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.constants import Boltzmann, elementary_charge

from inmateria.devices.dopant.network import DopantNetwork
from inmateria.devices.dopant.parameters import DopantParameters

ARRAYS = (
    "electrode_basis",
    "site_energy_kt",
    "pair_coulomb_kt",
    "pair_weight",
    "electrode_weight",
)
# The reference divides volts by kT with k = 8.617333262e-5 eV/K, which stops three digits
# before the exact value. kT enters exponents of some 100, so currents feel the 1.7e-11
# difference a thousandfold; this temperature gives the reference's kT.
REFERENCE_TEMPERATURE_K = 77.0 * 8.617333262e-5 * elementary_charge / Boltzmann


def reference_network(folder: Path, prefix: str, **options) -> tuple[DopantNetwork, dict]:
    """A network of the reference file, and all its arrays by name without the prefix."""
    with np.load(folder / "dopant_network.npz") as file:
        arrays = {k.removeprefix(prefix): file[k] for k in file.files if k.startswith(prefix)}
    device = DopantNetwork.from_arrays(
        **{name: arrays[name] for name in ARRAYS},
        temperature_k=REFERENCE_TEMPERATURE_K,
        **options,
    )
    return device, arrays


def small(**changes) -> DopantParameters:
    """Five acceptors in a small disc, within reach of the exact engine."""
    values = {
        "n_acceptors": 5,
        "n_donors": 1,
        "radius_nm": 40.0,
        "electrode_width_nm": 12.0,
        "localisation_nm": 10.0,
    }
    return DopantParameters(**(values | changes))
