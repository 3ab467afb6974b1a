"""What `inmateria transport sample` computes of one potential, step by step.

Each step gives arrays by their names in the file (`data.transport_file`), so that a run
that was stopped goes on with the steps that its file does not hold yet.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inmateria.cli.progress import Report, step
from inmateria.cli.transport_settings import TransportSettings, energy_list
from inmateria.errors import ConfigurationError

if TYPE_CHECKING:
    from inmateria.transport.gas import ElectronGas
    from inmateria.transport.tip import Tip

Arrays: TypeAlias = dict[str, Any]

# Tip positions that are solved again, along and across, beside the two of the largest change.
CHECKED = (4, 3)


@dataclass(frozen=True)
class Sample:
    """What the steps work on.

    Parameters
    ----------
    settings : TransportSettings
        Complete.
    gas : ElectronGas
    potential : (n_x, n_y) array, meV
    """

    settings: TransportSettings
    gas: ElectronGas
    potential: NDArray[np.float64]


@dataclass(frozen=True)
class Step:
    """Something that is computed.

    Parameters
    ----------
    title : str
        For the line of progress.
    wanted : callable
        Whether settings ask for it.
    compute : callable
        From a sample, what was computed before, and progress, to arrays by name.
    """

    title: str
    wanted: Callable[[TransportSettings], bool]
    compute: Callable[[Sample, Mapping[str, Any], Report], Arrays]


def check(sample: Sample) -> None:
    """Refuse settings before anything is computed.

    Raises
    ------
    ConfigurationError, ParameterError, ShapeError, NotFiniteError
    """
    from inmateria.transport.field import flux_per_plaquette

    gas, settings = sample.gas, sample.settings
    gas.in_hoppings(sample.potential)
    for lead in (gas.source, gas.drain):
        gas.modes(lead)
    if settings.energies is not None:
        last = energy_list(settings.energies)[-1]
        first = max(gas.thresholds_mev(lead)[0] for lead in (gas.source, gas.drain))
        if last <= first:
            raise ConfigurationError(
                f"energies {settings.energies} meV open no mode of the leads, where the first one "
                f"opens at {first:.4g} meV; give energies above that"
            )
    for field in settings.field_t:
        flux_per_plaquette(gas, field)


def take(name: str, sample: Sample, found: Mapping[str, Any]) -> tuple[Arrays, float]:
    """What a step gives, and the seconds that it took."""
    chosen = STEPS[name]
    with step(chosen.title) as report:
        if name == "scattering":
            _compile(sample.settings.accuracy)
        started = time.perf_counter()
        arrays = chosen.compute(sample, found, report)
        return arrays, time.perf_counter() - started


def _compile(accuracy: float) -> None:
    """Let the compiled code be read or made on a tiny gas, which is not the sample's time."""
    from inmateria.transport.gas import ElectronGas, Lead

    gas = ElectronGas(n_x=12, n_y=16, spacing_nm=10.0, source=Lead(4, 8), drain=Lead(0, 16))
    gas.scatter(np.random.default_rng(0).normal(0, 1, gas.shape), accuracy=accuracy)


def _scattering(sample: Sample, _: Mapping[str, Any], __: Report) -> Arrays:
    found = sample.gas.scatter(sample.potential, accuracy=sample.settings.accuracy)
    names = ("pldos", "transmission", "reflection", "error", "modes", "corrections")
    return {
        **{name: getattr(found, name) for name in names},
        **{f"{name}_real": getattr(found, name).real for name in "rt"},
        **{f"{name}_imag": getattr(found, name).imag for name in "rt"},
    }


def _temperature(sample: Sample, _: Mapping[str, Any], report: Report) -> Arrays:
    from inmateria.transport.energies import at_temperature

    settings = sample.settings
    found = at_temperature(
        sample.gas,
        sample.potential,
        settings.temperature_k,
        accuracy=settings.sweep_accuracy,
        # More energies are planned wherever the average still changes.
        progress=lambda done, planned: report(done, planned, "energies planned so far"),
    )
    return {
        "thermal_transmission": found.transmission,
        "thermal_pldos": found.pldos,
        "thermal_energy": found.energy_mev,
        "thermal_error": found.error,
    }


def _fields(sample: Sample, _: Mapping[str, Any], report: Report) -> Arrays:
    from inmateria.transport.in_field import scatter_in_field

    settings = sample.settings
    found = []
    for i, field in enumerate(settings.field_t):
        report(i, len(settings.field_t), f"{field:g} T")
        found.append(
            scatter_in_field(sample.gas, sample.potential, field, accuracy=settings.sweep_accuracy)
        )
    names = ("transmission", "pldos", "error", "modes")
    return {
        "field": settings.field_t,
        **{f"field_{n}": np.concatenate([getattr(one, n) for one in found]) for n in names},
    }


def _energies(sample: Sample, _: Mapping[str, Any], report: Report) -> Arrays:
    from inmateria.transport.energies import energy_sweep, off_threshold

    assert sample.settings.energies is not None
    wanted = energy_list(sample.settings.energies)
    found = energy_sweep(
        sample.gas,
        sample.potential,
        [off_threshold(sample.gas, float(energy)) for energy in wanted],
        accuracy=sample.settings.sweep_accuracy,
        progress=report,
    )
    return {
        "energy": found.energy_mev,
        "energy_transmission": found.transmission,
        "energy_open": found.open,
    }


def _scanning_gate(sample: Sample, _: Mapping[str, Any], report: Report) -> Arrays:
    from inmateria.transport.scanning_gate import scanning_gate_map

    settings = sample.settings
    gate = settings.scanning_gate
    assert gate.method != "none"
    found = scanning_gate_map(
        sample.gas,
        sample.potential,
        _tip(settings),
        method=gate.method,
        accuracy=settings.sweep_accuracy,
        stride=gate.stride,
        temperature_k=settings.temperature_k,
        progress=report,
    )
    return {
        "tip_x": found.x_nm,
        "tip_y": found.y_nm,
        "gate_transmission": found.transmission,
        "gate_change": found.change,
        "gate_unperturbed": found.unperturbed,
        "gate_error": np.max(found.error),
    }


def _gate_check(sample: Sample, found: Mapping[str, Any], report: Report) -> Arrays:
    """A few tip positions solved with the tip's potential in place."""
    x, y = checked_positions(*(np.asarray(found[n]) for n in ("tip_x", "tip_y", "gate_change")))
    at_x, at_y = (sample.gas.spacing_nm * np.arange(n) for n in sample.gas.shape)
    distance = np.hypot(at_x[:, None] - x[:, None, None], at_y - y[:, None, None])
    with_tip = sample.gas.scatter(
        sample.potential + _tip(sample.settings).potential(distance),
        accuracy=sample.settings.accuracy,
        progress=report,
    )
    change = with_tip.transmission - float(found["transmission"])
    return {"check_x": x, "check_y": y, "check_change": change}


def checked_positions(
    x: NDArray[np.float64], y: NDArray[np.float64], change: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A coarse grid of tip positions and those of the largest rise and fall, each once.

    Parameters
    ----------
    x : (n_tip_x,) array, nm
    y : (n_tip_y,) array, nm
    change : (n_tip_x, n_tip_y) array

    Returns
    -------
    two (n_checked,) arrays, nm
    """
    coarse = [
        np.unique(np.linspace(0, size - 1, n + 2).round().astype(int)[1:-1])
        for n, size in zip(CHECKED, change.shape, strict=True)
    ]
    picked = [(int(i), int(j)) for i in coarse[0] for j in coarse[1]]
    for flat in (np.argmax(change), np.argmin(change)):
        i, j = np.unravel_index(int(flat), change.shape)
        picked.append((int(i), int(j)))
    i, j = np.array(list(dict.fromkeys(picked))).T
    return x[i], y[j]


def _tip(settings: TransportSettings) -> Tip:
    from inmateria.transport.tip import Tip

    gate = settings.scanning_gate
    return Tip(gate.tip_height_mev, gate.tip_width_nm, shape=gate.tip_shape)


def _maps_gate(settings: TransportSettings) -> bool:
    return settings.scanning_gate.method != "none"


# By their names in the file, in the order in which they are taken.
STEPS: dict[str, Step] = {
    "scattering": Step("PLDOS and transmission", lambda _: True, _scattering),
    "scanning gate": Step("scanning-gate map", _maps_gate, _scanning_gate),
    # A thermal map would take a thermal average at each position.
    "scanning-gate check": Step(
        "checking the map", lambda s: _maps_gate(s) and s.temperature_k == 0, _gate_check
    ),
    "energies": Step("energies", lambda s: s.energies is not None, _energies),
    "temperature": Step("temperature", lambda s: s.temperature_k > 0, _temperature),
    "fields": Step("magnetic fields", lambda s: bool(s.field_t), _fields),
}
