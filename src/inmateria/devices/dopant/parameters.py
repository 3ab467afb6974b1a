"""The parameters of a random dopant network, with the recommended defaults."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from inmateria.devices.dopant.rates import rate_number
from inmateria.errors import ParameterError


@dataclass(frozen=True)
class DopantParameters:
    """A disc of boron-doped silicon with electrodes on its rim.

    Attributes
    ----------
    n_acceptors, n_donors : int
        Sites that holes hop between, and charged centres that do not take part.
    n_electrodes : int
        Arcs, equally spaced on the rim.
    radius_nm : float, nm
    electrode_width_nm : float, nm
        Length of each arc.
    localisation_nm : float, nm
        a in exp(-2 r / a): an effective fit parameter, not boron's Bohr radius.
    permittivity : float
        Relative permittivity of the host.
    disorder_ev : float, eV
        Standard deviation of the Gaussian site disorder.
    temperature_k : float, K
    shortest_hop_nm, longest_hop_nm : float, nm
        Hops outside this range are left out.
    attempt_hz : float, Hz
        nu0; sets the scale of the current.
    rates : str
        ``"glauber"`` (smooth) or ``"miller-abrahams"``.
    range_v : float, V
        Every driven electrode may see -range_v to range_v.
    """

    n_acceptors: int = 30
    n_donors: int = 3
    n_electrodes: int = 8
    radius_nm: float = 150.0
    electrode_width_nm: float = 60.0
    localisation_nm: float = 15.0
    permittivity: float = 11.68
    disorder_ev: float = 0.1
    temperature_k: float = 77.0
    shortest_hop_nm: float = 3.0
    longest_hop_nm: float = 150.0
    attempt_hz: float = 1.3e14
    rates: str = "glauber"
    range_v: float = 1.0

    def __post_init__(self) -> None:
        for name, least in (("n_acceptors", 1), ("n_donors", 0), ("n_electrodes", 2)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ParameterError(f"{name} = {value!r}; it must be a whole number >= {least}")
        for name in (
            "radius_nm",
            "electrode_width_nm",
            "localisation_nm",
            "permittivity",
            "temperature_k",
            "longest_hop_nm",
            "attempt_hz",
            "range_v",
        ):
            self._check(name, above_zero=True)
        for name in ("disorder_ev", "shortest_hop_nm"):
            self._check(name, above_zero=False)
        if self.shortest_hop_nm >= self.longest_hop_nm:
            raise ParameterError(
                f"shortest_hop_nm = {self.shortest_hop_nm} nm is not below "
                f"longest_hop_nm = {self.longest_hop_nm} nm; no hop is left"
            )
        rim = 2 * math.pi * self.radius_nm
        if self.n_electrodes * self.electrode_width_nm >= rim:
            raise ParameterError(
                f"{self.n_electrodes} electrodes of {self.electrode_width_nm} nm do not fit on a "
                f"rim of {rim:.1f} nm; make electrode_width_nm less than "
                f"{rim / self.n_electrodes:.1f} nm"
            )
        rate_number(self.rates)

    def _check(self, name: str, *, above_zero: bool) -> None:
        value = getattr(self, name)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value < 0 or (above_zero and value == 0):
            bound = "above 0" if above_zero else "0 or more"
            raise ParameterError(f"{name} = {value!r}; it must be a finite number, {bound}")

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)
