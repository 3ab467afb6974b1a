"""What stands in the report of a command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inmateria.data.configuration import Configuration, to_toml
from inmateria.data.provenance import utc_now, versions
from inmateria.report.device_section import device_section
from inmateria.report.inside_section import inside_section
from inmateria.report.page import Listing, Page, Section
from inmateria.report.scoreboard import count_line
from inmateria.report.search_sections import (
    MeasuredGradients,
    ToneSpectrum,
    cost_section,
    search_section,
)
from inmateria.report.sphere_section import sphere_section
from inmateria.report.surrogate_section import surrogate_section
from inmateria.report.task_sections import (
    ring_section,
    row_of,
    scoreboard_section,
    strips_section,
)

if TYPE_CHECKING:
    from inmateria.cli.settings import DemoSettings, SearchSettings, VerifySettings
    from inmateria.devices.device import Device, FloatArray
    from inmateria.surrogates.surrogate import Surrogate
    from inmateria.training.solution import Solution
    from inmateria.training.verification import Verification


@dataclass(frozen=True)
class FitResult:
    """What a page shows of a surrogate.

    Parameters
    ----------
    surrogate : Surrogate
    history : sequence of mappings
        One line per epoch.
    measured, predicted : (n_points,) arrays, nA
        At points that the surrogate has not seen.
    caption : str
        Where those points come from.
    """

    surrogate: Surrogate
    history: Sequence[Mapping[str, float]]
    measured: FloatArray
    predicted: FloatArray
    caption: str


@dataclass(frozen=True)
class Trained:
    """A task that was trained on a device.

    Parameters
    ----------
    solution : Solution
    verification : Verification
    gradients : MeasuredGradients, optional
        Where the method measured any.
    spectrum : ToneSpectrum, optional
        Where it used tones.
    """

    solution: Solution
    verification: Verification
    gradients: MeasuredGradients | None
    spectrum: ToneSpectrum | None


def verification_page(
    settings: VerifySettings,
    found: Sequence[Verification],
    device: Device,
    *,
    accuracy: str | None = None,
) -> Page:
    """The page of `inmateria verify`; `accuracy` says how good the device's engine is."""
    facts = _facts(device, started_utc=utc_now(), accuracy=accuracy)
    facts["seed"] = str(settings.seed)
    return Page(
        "Verification on the device",
        count_line([row_of(v) for v in found], noun="tasks"),
        facts,
        [
            *_task_sections(found, device),
            *_inside(found, device),
            device_section(device, inputs=found[0].inputs),
            _appendix(settings),
        ],
    )


def demo_page(
    settings: DemoSettings,
    found: Sequence[Verification],
    device: Device,
    *,
    fit: FitResult,
    started_utc: str,
    result: str,
    again: Mapping[str, int],
    accuracy: str | None = None,
) -> Page:
    """The page of `inmateria demo`.

    `again` counts repeated searches by task, `accuracy` says how good the
    device's engine is.
    """
    seeds = {name: getattr(settings, name).seed for name in ("sample", "fit", "train", "verify")}
    facts = _facts(device, started_utc=started_utc, accuracy=accuracy) | {
        "inputs": ", ".join(found[0].inputs),
        "seeds": ", ".join(f"{name} {seed}" for name, seed in seeds.items()),
    }
    return Page(
        "From a disordered device to logic gates",
        result,
        facts,
        [
            *_task_sections(found, device, again=again),
            *_inside(found, device),
            device_section(device, inputs=found[0].inputs, surrogate=fit.surrogate),
            surrogate_section(
                fit.measured,
                fit.predicted,
                history=fit.history,
                caption=fit.caption,
                note=_how_fitted(fit.surrogate.describe()),
                measured_label="current of the device (nA)",
            ),
            _appendix(settings),
        ],
    )


def training_page(
    settings: SearchSettings,
    trained: Sequence[Trained],
    device: Device,
    *,
    started_utc: str,
    result: str,
    accuracy: str | None = None,
) -> Page:
    """The page of `inmateria train` on a device: how each search went, and what it found."""
    found = [t.verification for t in trained]
    facts = _facts(device, started_utc=started_utc, accuracy=accuracy) | {
        "method": settings.method,
        "budget": f"{settings.budget_s:g} s of device time for each task",
        "seeds": f"search and its noise {settings.seed}, verification {settings.verify.seed}",
    }
    searches = [
        search_section(
            t.solution,
            criterion=t.verification.criterion,
            gradients=t.gradients,
            spectrum=t.spectrum,
        )
        for t in trained
    ]
    results, *measured = _task_sections(found, device, predicted_by="search")
    return Page(
        "Training on the device itself",
        result,
        facts,
        [
            results,
            cost_section([t.solution for t in trained]),
            *searches,
            *measured,
            *_inside(found, device),
            device_section(device, inputs=found[0].inputs),
            _appendix(settings),
        ],
    )


def label(device: Device) -> str:
    """A device in a few words."""
    described = device.describe()
    if described.get("kind") == "dopant network":
        p = described["parameters"]
        return (
            f"dopant network, seed {described.get('seed')}: {p['n_acceptors']} acceptors, "
            f"{p['n_donors']} donors, {p['n_electrodes']} electrodes, {p['temperature_k']:g} K"
        )
    provenance = described.get("provenance", {})
    name = provenance.get("file") or provenance.get("made_by") or described.get("kind", "device")
    return f"network model {name}, {len(device.terminals)} terminals"


def _task_sections(
    found: Sequence[Verification],
    device: Device,
    *,
    again: Mapping[str, int] | None = None,
    predicted_by: str = "surrogate",
) -> list[Section]:
    gates = [v for v in found if v.criterion in ("margin", "flatness")]
    shells = [v for v in found if v.criterion == "threshold"]
    n_sigma = found[0].n_sigma
    note = (
        "margin: lowest high minus highest low, for TRUE and FALSE what is left of the allowed "
        f"spread. A gate is verified when its margin exceeds {n_sigma:g} times the scatter of its "
        "levels over repetitions (TRUE and FALSE: when the spread stays within the tolerance), a "
        "ring or sphere when enough test points are on their side of the threshold. predicted: by "
        f"the {predicted_by}. accuracy: of single holds."
    )
    if again:
        listed = ", ".join(f"{task} {count} x" for task, count in again.items())
        note += f" Searched again because they failed on the device at first: {listed}."
    sections = [scoreboard_section([row_of(v) for v in found], note=note)]
    if gates:
        sections.append(strips_section(gates, predicted_by=predicted_by))
    drawn = (ring_section if len(v.inputs) == 2 else sphere_section for v in shells)
    return [*sections, *(draw(v, device) for draw, v in zip(drawn, shells, strict=True))]


def _inside(found: Sequence[Verification], device: Device) -> list[Section]:
    section = inside_section(found, device)
    return [] if section is None else [section]


def _how_fitted(described: Mapping[str, Any]) -> str:
    architecture, provenance = described["architecture"], described["provenance"]
    data = provenance.get("training_data", {})
    widths = " x ".join(str(width) for width in architecture["hidden"])
    return (
        f"A network of {widths} {architecture['activation']} units, fitted to "
        f"{data.get('rows', 0):,} sampled rows ({data.get('clipped_rows', 0):,} clipped ones "
        f"left out) in {provenance.get('epochs_run', 0)} epochs."
    )


def _facts(device: Device, *, started_utc: str, accuracy: str | None) -> dict[str, str]:
    found = versions()
    packages = ", ".join(f"{name} {found[name]}" for name in ("numpy", "numba", "torch"))
    return {
        "device": label(device),
        "output": ", ".join(device.outputs),
        "fidelity": "simulation: rig in software, measurement noise on",
        **({} if accuracy is None else {"accuracy": accuracy}),
        "started": started_utc,
        "software": f"inmateria {found['inmateria']}, Python {found['python']}, {packages}",
    }


def _appendix(settings: Configuration) -> Section:
    return Section("Configuration", [Listing("config.toml", to_toml(settings))])
