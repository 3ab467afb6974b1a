"""The potential of a sample: drawn from disorder, or read from a file that never runs code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inmateria.cli.array_file import read_array
from inmateria.cli.transport_settings import DisorderSettings, TransportSettings
from inmateria.errors import DataFileError, NotFiniteError, ShapeError
from inmateria.transport.disorder.ensemble import DisorderSample

if TYPE_CHECKING:
    from inmateria.transport.disorder.ensemble import Disorder
    from inmateria.transport.gas import ElectronGas

NAME = "potential"
# A potential below this share of the Fermi energy changes nothing that one could see.
FAINT = 1e-3


def sample_potential(settings: TransportSettings, gas: ElectronGas) -> DisorderSample:
    """The potential that complete settings describe, with its coefficients where it has any.

    Raises
    ------
    ParameterError
        If the lattice does not suit the disorder.
    DataFileError, ShapeError, NotFiniteError
        If a file cannot be read, or does not hold a potential of this gas.
    """
    if settings.potential is not None:
        return DisorderSample(read_potential(Path(settings.potential), gas))
    assert settings.disorder is not None
    assert settings.seed is not None
    return make_disorder(settings.disorder, gas).sample(gas, seed=settings.seed)


def make_disorder(settings: DisorderSettings, gas: ElectronGas) -> Disorder:
    """The kind of disorder that complete settings name, in this gas."""
    numbers = settings.complete()
    if numbers.kind == "dopants":
        from inmateria.transport.disorder.remote_dopants import RemoteDopants

        return RemoteDopants(
            spacing_nm=numbers.spacing_nm or 0.0,
            density_per_cm2=numbers.density_per_cm2 or 0.0,
            permittivity=gas.permittivity,
            mass_kg=gas.mass_kg,
            periodic=bool(numbers.periodic),
        )
    if numbers.kind == "gaussian":
        from inmateria.transport.disorder.gaussian import GaussianDisorder

        return GaussianDisorder(
            numbers.rms_mev or 0.0, numbers.correlation_nm or 0.0, periodic=bool(numbers.periodic)
        )
    if numbers.kind == "impurities":
        from inmateria.transport.disorder.impurities import SiteImpurities

        return SiteImpurities(numbers.fraction or 0.0, numbers.strength_mev or 0.0)
    from inmateria.transport.disorder.short_range import ShortRange

    return ShortRange(numbers.rms_mev or 0.0)


def read_potential(path: Path, gas: ElectronGas) -> NDArray[np.float64]:
    """One potential from a .npy, .npz or netCDF file, (n_x, n_y) meV.

    Raises
    ------
    DataFileError
        If the file is missing, damaged, holds Python objects or another unit, or does not say
        its unit and cannot be in meV.
    ShapeError, NotFiniteError
        If it does not fit on the gas or holds NaN.
    """
    from inmateria.transport.disorder.grid import real_array

    found = read_array(path, [NAME], what="potential")
    unit = found.unit
    if unit not in (None, "meV"):
        raise DataFileError(f"{path}: '{found.name}' is in {unit}; convert it to meV")
    try:
        values = real_array(found.values)
    except (NotFiniteError, ShapeError) as error:
        raise type(error)(f"{path}: {error}") from error
    if values.shape != gas.shape:
        raise ShapeError(f"{path}: {_misfit(values.shape, gas)}")
    highest = float(np.abs(values).max())
    if unit is None and 0 < highest < FAINT * gas.fermi_mev:
        raise DataFileError(
            f"{path} reaches {highest:.3g}, in meV less than {FAINT:.1%} of the Fermi energy of "
            f"{gas.fermi_mev:g} meV; convert it to meV, or use netCDF with units = 'meV' if it is"
        )
    return values


def _misfit(shape: tuple[int, ...], gas: ElectronGas) -> str:
    wanted = f"{gas.n_x} x {gas.n_y} sites (n_x, n_y)"
    if len(shape) != 2:
        return f"shape {shape} is not one potential of {wanted}; save one of shape (n_x, n_y)"
    what = f"a potential of {shape[0]} x {shape[1]} sites in a gas of {wanted}"
    if shape == gas.shape[::-1]:
        return f"{what}; transpose it, x comes first"
    return f"{what}; interpolate it, or use --n-x {shape[0]} --n-y {shape[1]}"
