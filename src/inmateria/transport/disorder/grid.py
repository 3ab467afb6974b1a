"""The lattice that a potential lives on, and the check of a potential from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.errors import NotFiniteError, ShapeError
from inmateria.transport.disorder.parameters import positive, whole


@runtime_checkable
class Lattice(Protocol):
    """What disorder must know of a sample; a `Grid` and an `ElectronGas` both are one."""

    @property
    def n_x(self) -> int:
        """Sites along the sample."""
        ...

    @property
    def n_y(self) -> int:
        """Sites across the sample."""
        ...

    @property
    def spacing_nm(self) -> float:
        """Distance of neighbouring sites, nm."""
        ...


@dataclass(frozen=True)
class Grid:
    """Sites at (i a, j a), i = 0 .. n_x - 1, j = 0 .. n_y - 1.

    The default is the sample of Percebois & Weinmann 2021, 1280 nm x 960 nm.

    Parameters
    ----------
    n_x, n_y : int
    spacing_nm : float
        a, nm.

    Raises
    ------
    ParameterError
    """

    n_x: int = 256
    n_y: int = 192
    spacing_nm: float = 5.0

    def __post_init__(self) -> None:
        whole("n_x", self.n_x, 1)
        whole("n_y", self.n_y, 1)
        positive({"spacing_nm": self.spacing_nm})


def check_potential(potential: ArrayLike, grid: Lattice) -> NDArray[np.float64]:
    """A user's potential as float64, refused where it cannot be one on this lattice.

    Parameters
    ----------
    potential : (..., n_x, n_y) array, meV

    Returns
    -------
    (..., n_x, n_y) float64 array, meV

    Raises
    ------
    ShapeError, NotFiniteError
    """
    wanted = (grid.n_x, grid.n_y)
    values = real_array(potential)
    if values.ndim < 2 or values.shape[-2:] != wanted:
        turned = values.ndim >= 2 and values.shape[-2:] == wanted[::-1]
        fix = "transpose it" if turned else "interpolate it to the lattice"
        raise ShapeError(
            f"a potential of shape {values.shape} for a lattice of (..., {grid.n_x}, {grid.n_y}) "
            f"sites, x first: {fix}"
        )
    return values


def real_array(potential: ArrayLike) -> NDArray[np.float64]:
    """Any array of finite real numbers as float64.

    Raises
    ------
    ShapeError
        If it is ragged.
    NotFiniteError
        If it holds NaN, infinity, or what is no real number.
    """
    try:
        found = np.asarray(potential)
    except ValueError:
        raise ShapeError("the potential is ragged: give rows of equal length, meV") from None
    if found.dtype.kind not in "biuf":
        raise NotFiniteError(
            f"the potential holds {found.dtype}, not real numbers: give its real values in meV"
        )
    values = found.astype(np.float64, copy=False)
    if not np.isfinite(values).all():
        bad = np.argwhere(~np.isfinite(values))
        where = tuple(int(i) for i in bad[0])
        raise NotFiniteError(
            f"the potential at {where} is {values[where]} meV ({len(bad)} such of {values.size}): "
            "fill or cut what was not measured"
        )
    return values
