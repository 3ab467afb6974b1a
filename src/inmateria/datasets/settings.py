"""What a set of transport samples is: gas, disorder, and what is kept of each sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator

from inmateria.data.configuration import Configuration
from inmateria.errors import ConfigurationError

if TYPE_CHECKING:
    from inmateria.transport.gas import ElectronGas, Lead
    from inmateria.transport.tip import Tip

# Keys that settings did not always have, and what sets from before them hold.
LATER: dict[tuple[str, ...], Any] = {
    ("temperature_energies",): None,
    ("scanning_gate", "method"): "first-order",
    ("scanning_gate", "stride"): 1,
}
# Of the source, where it is not said which rows it covers.
SOURCE_NM = 100.0


class GasSettings(Configuration):
    """The electron gas; rows of leads as ``"86:106"``, without 106."""

    n_x: int = Field(default=256, ge=2)
    n_y: int = Field(default=192, ge=1)
    spacing_nm: float = Field(default=5.0, gt=0)
    mass_kg: float = Field(default=5.74e-32, gt=0)
    permittivity: float = Field(default=12.9, gt=0)
    fermi_mev: float = Field(default=5.6, gt=0)
    # 100 nm in the middle of the left edge, and the whole right edge.
    source_rows: str | None = None
    drain_rows: str | None = None

    def gas(self) -> ElectronGas:
        """The gas itself.

        Raises
        ------
        ConfigurationError, ParameterError
        """
        from inmateria.transport.gas import ElectronGas, Lead

        width = min(self.n_y, max(1, round(SOURCE_NM / self.spacing_nm)))
        source = Lead((self.n_y - width) // 2, width)
        return ElectronGas(
            n_x=self.n_x,
            n_y=self.n_y,
            spacing_nm=self.spacing_nm,
            mass_kg=self.mass_kg,
            permittivity=self.permittivity,
            fermi_mev=self.fermi_mev,
            source=source if self.source_rows is None else _lead("source", self.source_rows),
            drain=Lead(0, self.n_y) if self.drain_rows is None else _lead("drain", self.drain_rows),
        )


class DopantSettings(Configuration):
    """Remote dopants; distance and density of each sample are uniform in a range.

    The ranges are ours, centred on the paper's 50 nm and 1e12 / cm^2. Both ends may be equal.
    """

    spacing_nm: tuple[float, float] = (40.0, 60.0)
    density_per_cm2: tuple[float, float] = (0.5e12, 1.5e12)
    periodic: bool = True
    # q_c s of the series.
    cutoff: float = Field(default=3.5, gt=0)

    @field_validator("spacing_nm", "density_per_cm2")
    @classmethod
    def _check_range(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 < value[0] <= value[1]:
            raise ValueError("give [lowest, highest], both above 0; equal for one value")
        return value


class KeptSettings(Configuration):
    """What is kept of each sample beside transmission, parameters and error estimate."""

    pldos: bool = True
    # Of the series: the potential follows from them to the last bit.
    coefficients: bool = True
    potential: Literal["no", "float16", "float32"] = "no"
    # Maps are averaged over squares of so many sites.
    resolution: int = Field(default=1, ge=1)


class TipSettings(Configuration):
    """A scanning gate's tip and where it stands."""

    # 0.036 of the default Fermi energy: first order is good to some 10 % there.
    tip_height_mev: float = 0.2
    tip_width_nm: float = Field(default=30.0, gt=0)
    tip_shape: Literal["gaussian", "lorentzian"] = "gaussian"
    # Sites from one position of the tip to the next.
    stride: int = Field(default=1, ge=1)

    @field_validator("tip_height_mev")
    @classmethod
    def _check_height(cls, value: float) -> float:
        if value == 0:
            raise ValueError("a tip of height zero changes nothing; give another height")
        return value

    def tip(self) -> Tip:
        """The tip itself."""
        from inmateria.transport.tip import Tip

        return Tip(self.tip_height_mev, self.tip_width_nm, self.tip_shape)


class GateMapSettings(TipSettings):
    """The scanning-gate map of each sample."""

    method: Literal["first-order", "exact"] = "first-order"

    @property
    def by_position(self) -> bool:
        """Whether the map is kept at the tip's own positions, or on the pixels of all maps."""
        return self.method == "exact" or self.stride > 1


class GenerationSettings(Configuration):
    """A set of transport samples."""

    n_samples: int = Field(default=1000, ge=1)
    # Sample i draws from SeedSequence(seed, spawn_key=(i,)).
    seed: int = Field(default=0, ge=0)
    # Of each PLDOS, relative to its maximum.
    accuracy: float = Field(default=1e-3, ge=1e-13, le=0.1)
    block_size: int = Field(default=128, ge=1, le=100_000)
    # Above zero, PLDOS and transmission are averages over -df/dE.
    temperature_k: float = Field(default=0.0, ge=0)
    # Energies of such an average, an odd number; None takes as many as `accuracy` needs.
    temperature_energies: int | None = Field(default=None, ge=3, le=9999)
    # Further PLDOS and transmissions, one for each magnetic field.
    field_t: tuple[float, ...] = ()
    gas: GasSettings = GasSettings()
    disorder: DopantSettings = DopantSettings()
    keep: KeptSettings = KeptSettings()
    scanning_gate: GateMapSettings | None = None

    @model_validator(mode="after")
    def _check(self) -> GenerationSettings:
        n_x, n_y, averaged = self.gas.n_x, self.gas.n_y, self.keep.resolution
        if n_x % averaged or n_y % averaged:
            raise ValueError(
                f"maps of {n_x} x {n_y} sites cannot be averaged over squares of {averaged}; give "
                "a keep.resolution that divides both"
            )
        if self.temperature_k > 0 and (self.field_t or self.scanning_gate is not None):
            raise ValueError(
                "magnetic fields and scanning-gate maps are computed at 0 K; leave out "
                "temperature_k, or them"
            )
        if self.temperature_energies is not None:
            if self.temperature_energies % 2 == 0:
                raise ValueError(
                    f"temperature_energies = {self.temperature_energies}: give an odd number, so "
                    "that every other energy is an average of its own and shows the error"
                )
            if self.temperature_k == 0:
                raise ValueError(
                    "temperature_energies without a temperature; give temperature_k as well"
                )
        return self

    def complete(self) -> GenerationSettings:
        """The same with its leads spelt out: equal sets have equal settings.

        Raises
        ------
        ConfigurationError, ParameterError
            If the leads do not fit on the gas.
        """
        gas = self.gas.gas()
        rows = {"source_rows": lead_rows(gas.source), "drain_rows": lead_rows(gas.drain)}
        return self.model_copy(update={"gas": self.gas.model_copy(update=rows)})

    def configuration(self) -> dict[str, Any]:
        """Plain JSON values, as a store keeps them.

        Keys that came later are left out where they say what was done before them: a set that
        was begun then is the same set.
        """
        found = self.complete().model_dump(mode="json")
        for (*tables, key), value in LATER.items():
            table: Any = found
            for name in tables:
                table = table[name] or {}
            if key in table and table[key] == value:
                del table[key]
        return found


def lead_rows(lead: Lead) -> str:
    """``"86:106"`` of a lead that covers rows 86 to 105."""
    return f"{lead.first_row}:{lead.first_row + lead.n_rows}"


def _lead(name: str, text: str) -> Lead:
    from inmateria.transport.gas import Lead

    first, colon, stop = text.strip().partition(":")
    if not (colon and first.isdecimal() and stop.isdecimal() and int(first) < int(stop)):
        raise ConfigurationError(
            f"{name}_rows {text!r} are not FIRST:STOP, rows from 0 without STOP; for example 86:106"
        )
    return Lead(int(first), int(stop) - int(first))
