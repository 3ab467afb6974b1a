"""The electron gas: a rectangle of the square lattice with a lead on its left and right edge."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.errors import ParameterError
from inmateria.transport.constants import CHARGE_C, ELECTRON_KG, HBAR_J_S
from inmateria.transport.disorder.grid import check_potential
from inmateria.transport.strip import (
    StripModes,
    Walls,
    strip_modes,
    thresholds,
    transverse_modes,
)

if TYPE_CHECKING:
    from inmateria.transport.observables import CurrentDensity
    from inmateria.transport.scanning_gate import ScanningGateMap
    from inmateria.transport.scattering import Scattering
    from inmateria.transport.tip import Tip


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
class ElectronGas:
    """A two-dimensional electron gas with a source and a drain.

    The default is the geometry of Percebois & Weinmann 2021: 1280 nm x 960 nm of GaAs
    on a lattice of 5 nm, a source of 100 nm centred on the left edge, a drain of full
    width on the right.

    Parameters
    ----------
    n_x, n_y : int
        Lattice sites along and across the sample.
    spacing_nm : float
    mass_kg : float
        Effective mass.
    permittivity : float
        Relative; of the host, for disorder by charges.
    fermi_mev : float
    source, drain : Lead
        On the left edge (column 0) and on the right edge.
    walls : ``"hard"`` or ``"periodic"``
        Above and below; periodic joins the last row to the first, and makes a cylinder of the
        sample and of leads that cover all rows.

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

    @classmethod
    def gaas(cls, *, density_per_cm2: float | None = None, **changes: Any) -> ElectronGas:
        """GaAs/AlGaAs: 0.067 electron masses, permittivity 12.9, 2e11 electrons per cm^2.

        The Fermi energy is that of a parabolic band with two spins, pi hbar^2 n / m: 7.15 meV,
        a wavelength of 56 nm. (The default gas is the one of Percebois & Weinmann 2021, whose
        mass is 0.063 electron masses.)

        Parameters
        ----------
        density_per_cm2 : float, optional
        **changes
            Any field of the gas; `fermi_mev` in place of a density.

        Raises
        ------
        ParameterError
        """
        mass = changes.setdefault("mass_kg", 0.067 * ELECTRON_KG)
        changes.setdefault("permittivity", 12.9)
        if "fermi_mev" not in changes:
            density = 2e11 if density_per_cm2 is None else density_per_cm2
            fermi_j = np.pi * HBAR_J_S**2 * density * 1e4 / mass if mass else np.inf
            changes["fermi_mev"] = fermi_j / CHARGE_C * 1e3
        elif density_per_cm2 is not None:
            raise ParameterError(
                f"fermi_mev = {changes['fermi_mev']} and density_per_cm2 = {density_per_cm2} say "
                "the same thing twice: give one of them"
            )
        return cls(**changes)

    @classmethod
    def generic(cls, n_x: int, n_y: int, *, energy_t: float, **changes: Any) -> ElectronGas:
        """A lattice without material: unit hopping, unit spacing, leads of full width.

        The hopping is 1 meV and the spacing 1 nm, so every energy and potential "in meV" is one
        in t and every length one in lattice constants.

        Parameters
        ----------
        n_x, n_y : int
        energy_t : float
            Above the bottom of the band, 0 to 8.
        **changes
            `source` and `drain`, say.

        Raises
        ------
        ParameterError
        """
        mass = HBAR_J_S**2 / (2e-18 * 1e-3 * CHARGE_C)
        given = {"mass_kg": mass, "spacing_nm": 1.0, "permittivity": 1.0}
        leads = {"source": Lead(0, n_y), "drain": Lead(0, n_y)}
        return cls(n_x=n_x, n_y=n_y, fermi_mev=energy_t, **(given | leads | changes))

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

    def with_fermi(self, fermi_mev: float) -> ElectronGas:
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

    def scatter(self, potential_mev: ArrayLike, **options: Any) -> Scattering:
        """PLDOS, r and t of electrons from a lead; `options` as in `scattering.scatter`."""
        from inmateria.transport.scattering import scatter

        return scatter(self, potential_mev, **options)

    def pldos(self, potential_mev: ArrayLike, **options: Any) -> NDArray[np.float64]:
        """Partial local density of states of a lead's modes, (..., n_x, n_y).

        PLDOS(r) = 2 pi sum_n |psi_n(r)|^2 over modes of unit flux, in 1/t per site; `options`
        as in `scattering.scatter`.
        """
        return self.scatter(potential_mev, **options).pldos

    def transmission(self, potential_mev: ArrayLike, **options: Any) -> NDArray[np.float64]:
        """Transmission from source to drain, (...); the conductance in 2 e^2 / h."""
        return self.scatter(potential_mev, **options).transmission

    def current_density(self, potential_mev: ArrayLike, **options: Any) -> CurrentDensity:
        """Currents on all bonds, of a lead's modes; `options` as in `observables`."""
        from inmateria.transport.observables import current_density

        return current_density(self, potential_mev, **options)

    def ldos(self, potential_mev: ArrayLike, **options: Any) -> NDArray[np.float64]:
        """Local density of states per spin, (..., n_x, n_y) in 1/t per site.

        Divided by ``hopping_mev * spacing_nm**2`` it is in 1/(meV nm^2); `options` as in
        `observables.ldos`.
        """
        from inmateria.transport.observables import ldos

        return ldos(self, potential_mev, **options)

    def sgm(self, potential_mev: ArrayLike, tip: Tip, **options: Any) -> ScanningGateMap:
        """Transmission with a charged tip at each position above the gas.

        `options` as in `scanning_gate.scanning_gate_map`.
        """
        from inmateria.transport.scanning_gate import scanning_gate_map

        return scanning_gate_map(self, potential_mev, tip, **options)
