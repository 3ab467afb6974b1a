"""What was reconstructed from images: schema `inmateria.reconstruction-result`, version 1.

A model of potentials gives `potential_mev` and `uncertainty_mev`, one of numbers the four
parameters or the coefficients. Where the electron gas is known, `computed` is the image
that the network's potential would give; after a refinement there is that of the refined
potential too, and the dopants that it looks like. Images that are not refined yet are NaN.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from inmateria.data.quantity_file import Quantity, QuantityFile

if TYPE_CHECKING:
    import xarray as xr

SCHEMA = "inmateria.reconstruction-result"

_N, _IMAGE = ("sample",), ("sample", "x", "y")
_COARSE, _SITES = ("sample", "potential_x", "potential_y"), ("sample", "site_x", "site_y")
_C, _C_OF = ("coefficient",), ("sample", "coefficient")

QUANTITIES: dict[str, Quantity] = {
    "x": Quantity("pixels of the image along the sample, from source to drain", ("x",), "nm"),
    "y": Quantity("pixels of the image across the sample", ("y",), "nm"),
    "potential_x": Quantity("pixels of the potential along x", ("potential_x",), "nm"),
    "potential_y": Quantity("pixels of the potential along y", ("potential_y",), "nm"),
    "site_x": Quantity("sites along x", ("site_x",), "nm"),
    "site_y": Quantity("sites along y", ("site_y",), "nm"),
    "image": Quantity("what was given, in the unit of the attribute image_units", _IMAGE),
    "potential_mev": Quantity("disorder potential by the network", _COARSE, "meV"),
    "uncertainty_mev": Quantity("its standard deviation", _COARSE, "meV"),
    "computed": Quantity("image computed from it, times computed_scale", _IMAGE),
    "computed_scale": Quantity("from 1/t to the unit of the image", _N),
    "misfit": Quantity("rms of computed - image over that of the image about its mean", _N),
    "image_noise": Quantity("standard deviation of the image's white noise, in its unit", _N),
    "refined_mev": Quantity("disorder potential after refinement", _SITES, "meV"),
    "refined_computed": Quantity("image computed from it, times refined_scale", _IMAGE),
    "refined_scale": Quantity("from 1/t to the unit of the image", _N),
    "refined_misfit_before": Quantity("misfit where the refinement began", _N),
    "refined_misfit": Quantity("misfit after refinement", _N),
    "dopant_spacing_nm": Quantity("distance of the dopants from the gas", _N, "nm"),
    "density_per_cm2": Quantity("density of dopants", _N, "cm-2"),
    "rms_mev": Quantity("rms of the potential that these dopants give", _N, "meV"),
    "correlation_nm": Quantity("correlation length that they give", _N, "nm"),
    "dopant_spacing_sd_nm": Quantity("standard deviation of that distance", _N, "nm"),
    "density_sd_per_cm2": Quantity("standard deviation of that density", _N, "cm-2"),
    "rms_sd_mev": Quantity("standard deviation of that rms", _N, "meV"),
    "correlation_sd_nm": Quantity("standard deviation of that length", _N, "nm"),
    "spectrum_misfit": Quantity("spectrum of refined_mev against that of dopants, in sigma", _N),
    "coefficient_m_x": Quantity("wave number along x, in 2 pi / L", _C, "1", "<i8"),
    "coefficient_m_y": Quantity("wave number along y, in 2 pi / W", _C, "1", "<i8"),
    "coefficient_real": Quantity("real part of C(q)", _C_OF),
    "coefficient_imag": Quantity("imaginary part of C(q)", _C_OF),
}

FILE = QuantityFile(SCHEMA, 1, QUANTITIES, "inmateria reconstruct infer")


def write_reconstruction(
    path: str | os.PathLike[str], values: Mapping[str, ArrayLike], attrs: Mapping[str, Any]
) -> Path:
    """Write quantities by their names, as `QuantityFile.write` does."""
    return FILE.write(path, values, attrs)


def open_reconstruction(path: str | os.PathLike[str]) -> xr.Dataset:
    """What `write_reconstruction` wrote, checked as `QuantityFile.open` does."""
    return FILE.open(path)


def is_reconstruction_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file says that it is of this schema, whatever its state."""
    return FILE.is_one(path)
