"""The electron gas: a rectangle of the square lattice with a lead on its left and right edge."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.errors import ParameterError
from inmateria.transport.constants import CHARGE_C, HBAR_J_S
from inmateria.transport.disorder.grid import check_potential
from inmateria.transport.strip import StripModes, strip_modes, thresholds

if TYPE_CHECKING:
    from inmateria.transport.scanning_gate import ScanningGateMap
    from inmateria.transport.scattering import Scattering
    from inmateria.transport.tip import Tip


@dataclass(frozen=True)
class Lead:
    """A half-infinite clean strip with hard walls.

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
    """A two-dimensional electron gas between hard walls, with a source and a drain.

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

    def __post_init__(self) -> None:
        if self.n_x < 2 or self.n_y < 1:
            raise ParameterError(f"{self.n_x} x {self.n_y} sites: give at least 2 x 1")
        for name in ("spacing_nm", "mass_kg", "permittivity", "fermi_mev"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise ParameterError(f"{name} = {value}: give a positive number")
        for name, lead in (("source", self.source), ("drain", self.drain)):
            if lead.n_rows < 1 or lead.first_row < 0 or lead.rows.stop > self.n_y:
                raise ParameterError(
                    f"the {name} covers rows {lead.first_row} to {lead.rows.stop - 1}, the sample "
                    f"has rows 0 to {self.n_y - 1}; give a lead that fits on its edge"
                )

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
        return np.asarray(self.hopping_mev * thresholds(n_rows))

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
        found = strip_modes(lead.n_rows, self.fermi_mev / self.hopping_mev)
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

    def sgm(self, potential_mev: ArrayLike, tip: Tip, **options: Any) -> ScanningGateMap:
        """Transmission with a charged tip at each position above the gas.

        `options` as in `scanning_gate.scanning_gate_map`.
        """
        from inmateria.transport.scanning_gate import scanning_gate_map

        return scanning_gate_map(self, potential_mev, tip, **options)
