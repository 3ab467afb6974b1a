"""The output's spectrum while a tone plan is played: recorded once for a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from inmateria.devices.device import terminal_index
from inmateria.report.search_sections import ToneSpectrum
from inmateria.signals.spectra import power_spectrum
from inmateria.signals.tones import TonePlan
from inmateria.tasks.task import control_terminals, task_voltage

if TYPE_CHECKING:
    from inmateria.devices.device import FloatArray
    from inmateria.rigs.guard import Guard
    from inmateria.tasks.task import Task

MOST_POINTS = 4
# Hann segments of two windows halve the spacing of the bins, so that a tone's main lobe ends
# before its neighbour's begins; five of them overlap by half in a recording of six windows.
_WINDOWS, _SEGMENT = 6, 2
_LOBE = 2
_BESIDE = 8


def plan_of(entries: Sequence[Mapping[str, Any]]) -> TonePlan | None:
    """The tones that a logged search played; None where it played none."""
    for entry in entries:
        used = entry.get("result", {}).get("estimator", {}) if entry["kind"] == "setup" else {}
        if "frequency_hz" in used:
            rate = float(used["rate_hz"])
            return TonePlan(
                rate,
                round(used["duration_s"] * rate),
                round(used["wait_s"] * rate),
                np.array(used["frequency_hz"]),
                np.array(used["amplitude_v"]),
                np.array(used["phase"]),
                np.array(used["group"]),
            )
    return None


def record_tones(
    rig: Guard, plan: TonePlan, task: Task, controls: Sequence[float], *, output: int
) -> ToneSpectrum:
    """Play a plan's tones for six windows at a task's first points.

    Parameters
    ----------
    rig : Guard
        Taken to 0 V afterwards.
    plan : TonePlan
        One tone for each control of the task.
    task : Task
    controls : (n_controls,) sequence, V
        In the order of `control_terminals`.
    output : int

    Raises
    ------
    VoltageLimitError
        If a tone leaves its terminal's range at these controls.
    """
    names = tuple(t.name for t in control_terminals(task, rig))
    longer = replace(plan, n_samples=_WINDOWS * plan.n_samples)
    points = task_voltage(task, rig, controls)[:MOST_POINTS]
    began = rig.played_s
    waveform = longer.waveform(
        points,
        [terminal_index(rig.terminals, name) for name in names],
        start=rig.last_voltage,
        slew_v_per_s=rig.slew_v_per_s,
    )
    windows = longer.windows(rig.play(waveform), waveform)[:, :, output]
    rig.park()
    seen = power_spectrum(windows, rig.rate, segment_s=_SEGMENT * plan.duration_s)
    density = seen.density.mean(axis=(0, 1))
    return ToneSpectrum(
        frequency_hz=seen.frequency_hz,
        density=density,
        tones_hz=plan.frequency_hz,
        noise=noise_beside(seen.frequency_hz, density, plan.frequency_hz),
        controls=names,
        amplitude_v=float(plan.amplitude_v.max()),
        n_points=len(points),
        device_s=rig.played_s - began,
        parallel=plan.n_groups == 1,
    )


def noise_beside(frequency_hz: FloatArray, density: FloatArray, tones_hz: FloatArray) -> FloatArray:
    """Mean density of the nearest bins that no tone reaches, (n_tones,) nA^2/Hz.

    Parameters
    ----------
    frequency_hz, density : (n_frequencies,) arrays
        From Hann segments: a tone reaches two bins far.
    tones_hz : (n_tones,) array
    """
    step = frequency_hz[1] - frequency_hz[0]
    others = np.concatenate([tones_hz, 2 * tones_hz, 3 * tones_hz])
    distance = np.abs(frequency_hz[:, None] - others).min(axis=1)
    free = np.flatnonzero((distance > (_LOBE - 0.5) * step) & (frequency_hz > 2 * step))
    near = np.argsort(np.abs(frequency_hz[free][:, None] - tones_hz), axis=0, kind="stable")
    return np.asarray(density[free][near[:_BESIDE]].mean(axis=0))
