"""What was computed of one sample of an electron gas: schema `inmateria.transport`, version 1.

One netCDF4 file that plain `xarray` opens. Not everything is there every time: a file
holds the quantities of the steps that were taken, which its attribute `steps` lists with the
seconds they took. Every array carries its SHA-256, checked when it is read.
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

SCHEMA = "inmateria.transport"

_XY, _TIP = ("x", "y"), ("tip_x", "tip_y")
_R, _T = ("reflected_mode", "source_mode"), ("drain_mode", "source_mode")
_C, _CHECK = ("coefficient",), ("check",)

QUANTITIES: dict[str, Quantity] = {
    "x": Quantity("along the sample, from source to drain", ("x",), "nm"),
    "y": Quantity("across the sample", ("y",), "nm"),
    "potential": Quantity("disorder potential", _XY, "meV"),
    "coefficient_m_x": Quantity("wave number along x, in 2 pi / L", _C, "1", "<i8"),
    "coefficient_m_y": Quantity("wave number along y, in 2 pi / W", _C, "1", "<i8"),
    "coefficient_real": Quantity("real part of C(q)", _C),
    "coefficient_imag": Quantity("imaginary part of C(q)", _C),
    # Of the sample at its Fermi energy, without temperature and field.
    "pldos": Quantity("2 pi sum_n |psi_n|^2 per site over the source's modes", _XY, "1/t"),
    "r_real": Quantity("reflection amplitude, real part", _R),
    "r_imag": Quantity("reflection amplitude, imaginary part", _R),
    "t_real": Quantity("transmission amplitude, real part", _T),
    "t_imag": Quantity("transmission amplitude, imaginary part", _T),
    "transmission": Quantity("sum of |t|^2"),
    "reflection": Quantity("sum of |r|^2"),
    "error": Quantity("estimated largest error of the PLDOS over its maximum"),
    "modes": Quantity("transverse modes kept", (), "1", "<i8"),
    "corrections": Quantity("steps of iterative refinement", (), "1", "<i8"),
    "thermal_transmission": Quantity("transmission averaged over -df/dE"),
    "thermal_pldos": Quantity("PLDOS averaged over -df/dE", _XY, "1/t"),
    "thermal_energy": Quantity("energies of the average", ("thermal_energy",), "meV"),
    "thermal_error": Quantity("last change of the averages, relative to the largest"),
    "field": Quantity("magnetic field along +z", ("field",), "T"),
    "field_transmission": Quantity("transmission in the field", ("field",)),
    "field_pldos": Quantity("PLDOS in the field", ("field", "x", "y"), "1/t"),
    "field_error": Quantity("change by the last 16 modes over the maximum PLDOS", ("field",)),
    "field_modes": Quantity("transverse modes kept", ("field",), "1", "<i8"),
    "energy": Quantity("energy of the electrons", ("energy",), "meV"),
    "energy_transmission": Quantity("transmission at the energy", ("energy",)),
    "energy_open": Quantity("open modes of the source", ("energy",), "1", "<i8"),
    "tip_x": Quantity("position of the tip along x", ("tip_x",), "nm"),
    "tip_y": Quantity("position of the tip along y", ("tip_y",), "nm"),
    "gate_transmission": Quantity("transmission with the tip there", _TIP),
    "gate_change": Quantity("change of the transmission by the tip", _TIP),
    "gate_unperturbed": Quantity("transmission without a tip, same accuracy and temperature"),
    "gate_error": Quantity("estimated absolute error of the map"),
    "check_x": Quantity("tip positions that were solved again, along x", _CHECK, "nm"),
    "check_y": Quantity("tip positions that were solved again, along y", _CHECK, "nm"),
    "check_change": Quantity("change of the transmission, solved with the tip in place", _CHECK),
}

FILE = QuantityFile(SCHEMA, 1, QUANTITIES, "inmateria transport sample")


def write_transport(
    path: str | os.PathLike[str], values: Mapping[str, ArrayLike], attrs: Mapping[str, Any]
) -> Path:
    """Write quantities by their names, as `QuantityFile.write` does."""
    return FILE.write(path, values, attrs)


def open_transport(path: str | os.PathLike[str]) -> xr.Dataset:
    """What `write_transport` wrote, checked as `QuantityFile.open` does."""
    return FILE.open(path)


def is_transport_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file says that it is of this schema, whatever its state."""
    return FILE.is_one(path)
