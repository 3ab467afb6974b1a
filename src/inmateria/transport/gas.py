"""The electron gas: a geometry and everything that can be computed of a potential in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.errors import ParameterError
from inmateria.transport.constants import CHARGE_C, ELECTRON_KG, HBAR_J_S
from inmateria.transport.geometry import GasGeometry, Lead

if TYPE_CHECKING:
    from inmateria.transport.amplitudes import Scattering
    from inmateria.transport.observables import CurrentDensity
    from inmateria.transport.scanning_gate import ScanningGateMap
    from inmateria.transport.tip import Tip

__all__ = ["ElectronGas", "Lead"]


@dataclass(frozen=True)
class ElectronGas(GasGeometry):
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
