"""The potential of a sample: drawn from disorder, or read from a file that never runs code."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inmateria.cli.transport_settings import DisorderSettings, TransportSettings
from inmateria.errors import DataFileError, NotFiniteError, ShapeError
from inmateria.transport.disorder.ensemble import DisorderSample

if TYPE_CHECKING:
    from inmateria.transport.disorder.ensemble import Disorder
    from inmateria.transport.gas import ElectronGas

NAME = "potential"
# An array and its unit, where the file says one.
Found: TypeAlias = tuple[NDArray[np.generic], str | None]


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

    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise DataFileError(f"{path} {what}; check the path")
    readers = {".npy": _read_npy, ".npz": _read_npz, ".nc": _read_netcdf}
    if path.suffix not in readers:
        raise DataFileError(f"{path} is not one of {', '.join(readers)}; save the potential as one")
    found, unit = readers[path.suffix](path)
    try:
        values = real_array(found)
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


def _read_npy(path: Path) -> Found:
    try:
        return np.asarray(np.load(path, allow_pickle=False)), None
    except (OSError, EOFError, ValueError, MemoryError) as error:
        raise _unreadable(path, error) from error


def _read_npz(path: Path) -> Found:
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = list(archive.files)
            if NAME in names or len(names) == 1:
                return np.asarray(archive[NAME if NAME in names else names[0]]), None
    except (OSError, EOFError, ValueError, KeyError, AttributeError, TypeError, MemoryError,
            NotImplementedError, zipfile.BadZipFile) as error:  # fmt: skip
        raise _unreadable(path, error) from error
    listed = ", ".join(names[:8]) or "nothing"
    raise DataFileError(f"{path} holds {listed}; name one array '{NAME}', or save it alone")


def _read_netcdf(path: Path) -> Found:
    import xarray as xr

    from inmateria.data.measurement import DAMAGE

    try:
        with xr.open_dataset(path, engine="h5netcdf") as dataset:
            names = [str(name) for name in dataset.data_vars]
            variable = dataset[NAME].load() if NAME in names else None
    except DAMAGE as error:
        raise _unreadable(path, error) from error
    if variable is None:
        listed = ", ".join(names[:8]) or "no variable"
        raise DataFileError(f"{path} holds {listed}; name the potential '{NAME}'")
    unit = variable.attrs.get("units")
    if unit not in (None, "meV"):
        raise DataFileError(f"{path}: '{NAME}' is in {unit}; convert it to meV")
    if set(variable.dims) == {"x", "y"}:
        variable = variable.transpose("x", "y")
    return np.asarray(variable.values), unit


def _unreadable(path: Path, error: Exception) -> DataFileError:
    if "pickle" in str(error).lower():
        return DataFileError(
            f"{path} holds Python objects (a pickle), which could run code and are never loaded; "
            "save numbers: np.save(file, np.asarray(potential, dtype=float))"
        )
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return DataFileError(f"{path} cannot be read as {path.suffix} ({reason}); save it again")
