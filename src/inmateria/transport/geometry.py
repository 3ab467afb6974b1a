"""The geometry of an electron gas: a rectangle of the square lattice with two leads.

What is known of it without a potential: lattice, leads, their modes and thresholds.
`gas.ElectronGas` adds what can be computed of a potential.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.errors import ParameterError
from inmateria.transport.constants import CHARGE_C, HBAR_J_S
from inmateria.transport.disorder.grid import check_potential
from inmateria.transport.strip import (
    StripModes,
    Walls,
    strip_modes,
    thresholds,
    transverse_modes,
)


@dataclass(frozen=True)
class Lead:
    """A half-infinite clean strip with hard walls, or a cylinder where it goes all around one.

    Parameters
    ----------
    first_row : int
        First of the sample's rows that it covers, counted from 0.
    n_rows : int
    """

    first_row: int
    n_rows: int

    @property
    def rows(self) -> slice:
        """The rows of the sample that it covers."""
        return slice(self.first_row, self.first_row + self.n_rows)


@dataclass(frozen=True)
class GasGeometry:
    """Lattice, leads and walls of an electron gas; parameters as in `gas.ElectronGas`.

    Raises
    ------
    ParameterError
    """

    n_x: int = 256
    n_y: int = 192
    spacing_nm: float = 5.0
    mass_kg: float = 5.74e-32
    permittivity: float = 12.9
    fermi_mev: float = 5.6
    source: Lead = Lead(86, 20)
    drain: Lead = Lead(0, 192)
    walls: Walls = "hard"

    def __post_init__(self) -> None:
        if self.n_x < 2 or self.n_y < 1:
            raise ParameterError(f"{self.n_x} x {self.n_y} sites: give at least 2 x 1")
        for name in ("spacing_nm", "mass_kg", "permittivity", "fermi_mev"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise ParameterError(f"{name} = {value}: give a positive number")
        if self.walls not in ("hard", "periodic"):
            raise ParameterError(f"walls = {self.walls!r}: give 'hard' or 'periodic'")
        if self.walls == "periodic" and self.n_y < 3:
            raise ParameterError(f"n_y = {self.n_y}: a cylinder needs at least 3 rows around")
        for name, lead in (("source", self.source), ("drain", self.drain)):
            if lead.n_rows < 1 or lead.first_row < 0 or lead.rows.stop > self.n_y:
                raise ParameterError(
                    f"the {name} covers rows {lead.first_row} to {lead.rows.stop - 1}, the sample "
                    f"has rows 0 to {self.n_y - 1}; give a lead that fits on its edge"
                )

    @property
    def density_per_cm2(self) -> float:
        """Electrons per cm^2 of a parabolic band with two spins, m E_F / (pi hbar^2)."""
        fermi_j = self.fermi_mev * 1e-3 * CHARGE_C
        return float(self.mass_kg * fermi_j / (np.pi * HBAR_J_S**2) * 1e-4)

    @property
    def hopping_mev(self) -> float:
        """t = hbar^2 / (2 m a^2), meV."""
        length_m = self.spacing_nm * 1e-9
        return float(HBAR_J_S**2 / (2 * self.mass_kg * length_m**2) / CHARGE_C * 1e3)

    @property
    def shape(self) -> tuple[int, int]:
        """(n_x, n_y)."""
        return self.n_x, self.n_y

    def with_fermi(self, fermi_mev: float) -> Self:
        """The same gas at another Fermi energy."""
        return replace(self, fermi_mev=fermi_mev)

    def thresholds_mev(self, lead: Lead) -> NDArray[np.float64]:
        """Energies at which the modes of a lead open, (n_rows,) meV."""
        return self.thresholds_mev_of(lead.n_rows)

    def thresholds_mev_of(self, n_rows: int) -> NDArray[np.float64]:
        """The same of a strip of `n_rows` rows."""
        return np.asarray(self.hopping_mev * thresholds(n_rows, walls=self.walls_of(n_rows)))

    def walls_of(self, n_rows: int) -> Walls:
        """Walls of a strip of `n_rows` rows: a part of a cylinder's rows has hard ones."""
        return self.walls if n_rows == self.n_y else "hard"

    def transverse_modes(self, n_rows: int) -> NDArray[np.float64]:
        """Modes of a strip of `n_rows` rows, an orthogonal array over (row, mode)."""
        return transverse_modes(n_rows, walls=self.walls_of(n_rows))

    def require_hard_walls(self) -> None:
        """Refuse a cylinder, where the real recursion is behind what is asked for.

        Raises
        ------
        ParameterError
        """
        if self.walls != "hard":
            raise ParameterError(
                f"walls = {self.walls!r}: gradients, currents and scanning-gate maps need "
                "walls = 'hard'; scattering, PLDOS, LDOS, energies and fields do not"
            )

    def count_open(self, lead: str) -> int:
        """Open modes of the ``"source"`` or ``"drain"`` at the Fermi energy."""
        strip: Lead = getattr(self, lead)
        above = self.fermi_mev - self.thresholds_mev(strip)
        return int(((above > 0) & (above < 4 * self.hopping_mev)).sum())

    def modes(self, lead: Lead) -> StripModes:
        """Modes of a lead at the Fermi energy.

        Raises
        ------
        ParameterError
            If no mode is open, or one is exactly at its threshold.
        """
        energy = self.fermi_mev / self.hopping_mev
        found = strip_modes(lead.n_rows, energy, walls=self.walls_of(lead.n_rows))
        if not found.n_open:
            first, last = self.thresholds_mev(lead)[0], 8 * self.hopping_mev
            raise ParameterError(
                f"Fermi energy {self.fermi_mev:g} meV opens no mode of a lead of {lead.n_rows} "
                f"rows; give more than {first:.4g} meV and less than {last:.4g} meV"
            )
        return found

    def in_hoppings(self, potential_mev: ArrayLike) -> NDArray[np.float64]:
        """A potential (..., n_x, n_y) in meV, checked, in units of t.

        Raises
        ------
        ShapeError, NotFiniteError, ParameterError
        """
        potential = check_potential(potential_mev, self)
        scaled = potential / self.hopping_mev
        energy = self.fermi_mev / self.hopping_mev
        if scaled.size and not -8 < energy - scaled.min() < 8:
            raise ParameterError(
                f"a potential of {potential.min():.4g} meV leaves the Fermi energy above the "
                f"lattice's band of {8 * self.hopping_mev:.4g} meV; use a finer lattice"
            )
        if scaled.size and scaled.min() > energy:
            raise ParameterError(
                f"the potential is above the Fermi energy of {self.fermi_mev:g} meV everywhere; "
                "check its unit (meV)"
            )
        return scaled
