"""What `inmateria transport` can be told, and how a file and flags become one configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from inmateria.data.configuration import Configuration, parse_configuration, read_configuration
from inmateria.datasets.settings import GasSettings, TipSettings, lead_rows
from inmateria.errors import ConfigurationError

# What each kind of disorder is drawn from, with the paper's numbers for dopants.
KINDS: dict[str, dict[str, float | bool]] = {
    "dopants": {"spacing_nm": 50.0, "density_per_cm2": 1e12, "periodic": True},
    "gaussian": {"rms_mev": 1.4, "correlation_nm": 80.0, "periodic": False},
    "short-range": {"rms_mev": 3.0},
    "impurities": {"fraction": 0.01, "strength_mev": 30.0},
}


class DisorderSettings(Configuration):
    """How a potential is drawn; each kind has keys of its own."""

    kind: Literal["dopants", "gaussian", "short-range", "impurities"] = "dopants"
    spacing_nm: float | None = Field(default=None, gt=0)
    density_per_cm2: float | None = Field(default=None, gt=0)
    rms_mev: float | None = Field(default=None, gt=0)
    correlation_nm: float | None = Field(default=None, gt=0)
    fraction: float | None = Field(default=None, gt=0, lt=1)
    strength_mev: float | None = None
    periodic: bool | None = None

    @model_validator(mode="after")
    def _check_keys(self) -> DisorderSettings:
        given = {k for k in type(self).model_fields if getattr(self, k) is not None} - {"kind"}
        wrong = sorted(given - KINDS[self.kind].keys())
        if wrong:
            homes = " and ".join(kind for kind, keys in KINDS.items() if wrong[0] in keys)
            raise ValueError(
                f"{wrong[0]} does not go with disorder '{self.kind}' but with {homes}; "
                f"leave it out or change the kind"
            )
        return self

    def complete(self) -> DisorderSettings:
        """The same with every number that this kind of disorder has."""
        given = self.model_dump(exclude_none=True)
        return DisorderSettings.model_validate({**KINDS[self.kind], **given})


class ScanningGateSettings(TipSettings):
    """The tip whose effect on the transmission is mapped, and how it is computed."""

    method: Literal["first-order", "exact", "none"] = "first-order"


class TransportSettings(Configuration):
    """One sample: where its potential comes from, and what is computed of it."""

    # A file in place of disorder and seed.
    potential: str | None = None
    seed: int | None = Field(default=None, ge=0)
    # Of PLDOS, r and t of the sample itself.
    accuracy: float = Field(default=1e-6, ge=1e-13, le=0.1)
    # Of what takes many solutions: energies, temperature, fields, the scanning gate.
    sweep_accuracy: float = Field(default=1e-3, ge=1e-13, le=0.1)
    # Transmission over energy, "2:9:36": from 2 meV to 9 meV at 36 energies.
    energies: str | None = None
    temperature_k: float = Field(default=0.0, ge=0)
    field_t: tuple[float, ...] = ()
    scanning_gate: ScanningGateSettings = ScanningGateSettings()
    disorder: DisorderSettings | None = None
    gas: GasSettings = GasSettings()

    def complete(self) -> TransportSettings:
        """The same with seed, disorder and leads spelt out, as a run folder keeps it.

        Raises
        ------
        ConfigurationError
            If there are both a file and disorder.
        ParameterError
            If the leads do not fit on the gas.
        """
        gas = self.gas.gas()
        found: dict[str, Any] = {
            "gas": self.gas.model_copy(
                update={"source_rows": lead_rows(gas.source), "drain_rows": lead_rows(gas.drain)}
            )
        }
        if self.potential is None:
            found |= {
                "disorder": (self.disorder or DisorderSettings()).complete(),
                "seed": self.seed or 0,
            }
        else:
            extra = [name for name in ("seed", "disorder") if getattr(self, name) is not None]
            if extra:
                verb = "does" if len(extra) == 1 else "do"
                raise ConfigurationError(
                    f"{' and '.join(extra)} {verb} not go with a potential from {self.potential}; "
                    "leave out one or the other"
                )
        return self.model_copy(update=found)


class BenchmarkSettings(Configuration):
    """Samples that are timed, and the accuracies that they are solved to."""

    accuracies: tuple[float, ...] = Field(default=(1e-2, 1e-3, 1e-4, 1e-6), min_length=1)
    # In each of three rounds; by default eight for each core.
    samples: int | None = Field(default=None, ge=1, le=100_000)
    seed: int = Field(default=0, ge=0)
    disorder: DisorderSettings = DisorderSettings()
    gas: GasSettings = GasSettings()

    @field_validator("accuracies")
    @classmethod
    def _check_accuracies(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not all(1e-13 <= accuracy <= 0.1 for accuracy in value):
            raise ValueError("give accuracies between 1e-13 and 0.1")
        return value

    def complete(self) -> BenchmarkSettings:
        """The same with the numbers of its disorder."""
        return self.model_copy(update={"disorder": self.disorder.complete()})


Chosen = TypeVar("Chosen", bound=Configuration)


def resolve_tables(
    model: type[Chosen], config: Path | None, overrides: Mapping[str, Any]
) -> Chosen:
    """Settings from a TOML file, overridden by flags inside its tables too.

    Another kind of disorder on the command line replaces the file's table: its numbers
    mean nothing there.

    Raises
    ------
    ConfigurationError
    """
    fields: dict[str, Any] = {}
    if config is not None:
        fields = read_configuration(config, model).model_dump(exclude_unset=True)
    for name, value in overrides.items():
        kept = fields.get(name)
        if isinstance(value, Mapping) and isinstance(kept, Mapping):
            other_kind = "kind" in value and value["kind"] != kept.get("kind", "dopants")
            value = value if other_kind else {**kept, **value}
        fields[name] = value
    return parse_configuration(fields, model, source="the command line")


def energy_list(text: str) -> NDArray[np.float64]:
    """``"2:9:36"`` as energies, (36,) meV.

    Raises
    ------
    ConfigurationError
    """
    try:
        first, last, points = text.split(":")
        found = float(first), float(last), int(points)
    except ValueError:
        found = 0.0, 0.0, 0
    if not (0 < found[0] < found[1] < float("inf") and 2 <= found[2] <= 10_000):
        raise ConfigurationError(
            f"energies {text!r} are not FIRST:LAST:NUMBER, in meV, rising from above 0, "
            "2 to 10000 of them; for example 2:9:36"
        )
    return np.linspace(*found)


def number_list(text: str, *, flag: str, example: str) -> tuple[float, ...]:
    """``"0,0.1"`` as numbers; `flag` and an example stand in the error.

    Raises
    ------
    ConfigurationError
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ConfigurationError(
            f"{flag}: {text!r} are not numbers with commas between them; for example {example}"
        ) from None


def tables(given: Mapping[str, Any], places: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Flags that were given, each in the table of the configuration that it belongs to.

    `places` maps the name of a flag to its table and its key there.
    """
    found: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            continue
        if name in places:
            table, key = places[name]
            found.setdefault(table, {})[key] = value
        else:
            found[name] = value
    return found
