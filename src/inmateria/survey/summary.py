"""What a group of devices has in common, and the rows that files and tables show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inmateria.devices.device import FloatArray
from inmateria.survey.abundance import CONSTANT, VARYING, Share, shares
from inmateria.survey.device_survey import MARGINS, DeviceSurvey
from inmateria.survey.nonlinearity import INDICATORS, MODES
from inmateria.survey.scan import Case, Survey


@dataclass(frozen=True)
class GroupSummary:
    """Devices that differ in their seed only.

    Parameters
    ----------
    n_devices : int
    abundance : mapping of gate to Share
        Mean over devices, with intervals over devices.
    devices_with : mapping of gate to int
        Devices on which at least one setting realises it.
    by_margin : (n_margins, 14) array
        Mean share at `MARGINS` of the current scale.
    scale_na : (n_devices,) array, nA
    indicators : (n_devices, 3) array
        `INDICATORS`.
    ndr_sweeps : (n_devices, 2) array
        Share of sweeps with negative differential resistance, per input.
    component_share : (n_devices, 4) array
        Share of variance, largest first.
    overlap : (4, 4) array
        Mean squared overlap of component k with each of `MODES`.
    """

    n_devices: int
    abundance: Mapping[str, Share]
    devices_with: Mapping[str, int]
    by_margin: FloatArray
    scale_na: FloatArray
    indicators: FloatArray
    ndr_sweeps: FloatArray
    component_share: FloatArray
    overlap: FloatArray

    @property
    def n_complete(self) -> int:
        """Gates (of 14) that occur on some device."""
        return sum(self.devices_with[name] > 0 for name in VARYING)


def summarise(devices: Sequence[DeviceSurvey]) -> GroupSummary:
    """The summary of one group or more devices, all with as many settings."""
    counts = {name: np.array([d.counts[name] for d in devices]) for name in (*VARYING, CONSTANT)}
    n_settings = devices[0].n_settings
    return GroupSummary(
        n_devices=len(devices),
        abundance=shares(counts, n_settings),
        devices_with={name: int((n > 0).sum()) for name, n in counts.items()},
        by_margin=np.mean([d.counts_by_margin / n_settings for d in devices], axis=0),
        scale_na=np.array([d.scale.std_na for d in devices]),
        indicators=np.array([[getattr(d.nonlinearity, i) for i in INDICATORS] for d in devices]),
        ndr_sweeps=np.array([[s.mean for s in d.resistance.sweeps] for d in devices]),
        component_share=np.array([d.components.share for d in devices]),
        overlap=np.mean([d.components.overlap for d in devices], axis=0),
    )


def device_row(case: Case, device: DeviceSurvey) -> dict[str, Any]:
    """One device as plain values, for CSV: a column each."""
    row: dict[str, Any] = {"seed": case.seed, **dict(case.values)}
    row |= {
        "current_scale_na": device.scale.std_na,
        "current_mean_na": device.scale.mean_na,
        "current_largest_na": device.scale.largest_na,
        "margin_na": device.margin_na,
        "settings": device.n_settings,
        "gates_found": device.n_gates,
    }
    row |= {f"count {name}": device.counts[name] for name in (*VARYING, CONSTANT)}
    indicators = device.nonlinearity
    for i, name in enumerate(INDICATORS):
        row[name] = getattr(indicators, name)
        row[f"{name}_error"] = indicators.error[i]
    for i, which in enumerate(("first", "second")):
        resistance = device.resistance
        row[f"ndr_sweeps_{which}"] = resistance.sweeps[i].mean
        row[f"ndr_both_ways_{which}"] = resistance.both_ways[i].mean
        row[f"ndr_steps_{which}"] = resistance.steps[i].mean
        row[f"ndr_largest_fall_{which}_na"] = resistance.largest_fall_na[i]
    for k in range(4):
        row[f"component{k + 1}_na2"] = float(device.components.variance_na2[k])
    for k in range(4):
        for state, x in zip(("00", "01", "10", "11"), device.components.direction[k], strict=True):
            row[f"component{k + 1}_{state}"] = float(x)
    return {name: finite(value) for name, value in row.items()}


def results(survey: Survey) -> dict[str, Any]:
    """Everything that was concluded over devices, as plain JSON values."""
    return {
        "criterion": survey.criterion.sentence(),
        "settings": survey.protocol.settings,
        "inputs": list(survey.protocol.inputs),
        "devices": len(survey.devices),
        "failures": [
            {"case": case.label, "error": f"{failure.kind}: {failure.message}"}
            for case, failure in survey.failures
        ],
        "groups": [
            {"parameters": dict(values), **_group(summarise(devices))}
            for values, devices in survey.groups().items()
        ],
    }


def _group(group: GroupSummary) -> dict[str, Any]:
    median = np.median(group.indicators, axis=0)
    return {
        "devices": group.n_devices,
        "abundance": {
            name: {
                "mean": s.mean,
                "low": s.low,
                "high": s.high,
                "devices": group.devices_with[name],
            }
            for name, s in group.abundance.items()
        },
        "abundance_by_margin": {
            "margin_in_scale": list(MARGINS),
            **{name: group.by_margin[:, i].tolist() for i, name in enumerate(VARYING)},
        },
        "current_scale_na": _quartiles(group.scale_na),
        "indicators_median": {n: finite(float(m)) for n, m in zip(INDICATORS, median, strict=True)},
        "ndr_sweeps_mean": group.ndr_sweeps.mean(axis=0).tolist(),
        "component_share_median": np.median(group.component_share, axis=0).tolist(),
        "component_overlap": {
            f"component{k + 1}": dict(zip(MODES, group.overlap[k].tolist(), strict=True))
            for k in range(4)
        },
    }


def _quartiles(values: FloatArray) -> dict[str, float]:
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return {"quarter": float(low), "median": float(middle), "three_quarters": float(high)}


def finite(value: Any) -> Any:
    """None in place of infinity, which JSON and CSV do not know."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
