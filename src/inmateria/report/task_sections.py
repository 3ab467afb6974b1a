"""What was measured of each task: strips of gates, the map of a ring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from inmateria.devices.device import Device
from inmateria.report.gate_strip import Plateau, draw_gate_strip
from inmateria.report.page import Note, Picture, Section, Table
from inmateria.report.ring_map import draw_ring_map
from inmateria.report.scoreboard import COLUMNS, TaskRow, cells

if TYPE_CHECKING:
    from inmateria.devices.device import FloatArray, Terminal
    from inmateria.tasks.task import Wired
    from inmateria.training.verification import Verification

N_GRID = 49


def row_of(verification: Verification) -> TaskRow:
    """The scoreboard's row."""
    v = verification
    return TaskRow(
        task=v.task,
        verified=v.passed,
        margin_na=v.margin_na,
        margin_in_noise=v.margin_in_noise,
        predicted_margin_na=v.predicted_margin_na,
        accuracy=v.accuracy_single,
        controls=tuple(v.controls.items()),
    )


def scoreboard_section(rows: Sequence[TaskRow], *, note: str) -> Section:
    """The table of all tasks; `note` says how a task passes."""
    table = Table(
        COLUMNS,
        [cells(row) for row in rows],
        caption="Each task as measured on the device, noise on",
        verdict_column=1,
        numeric=(2, 3, 4, 5),
    )
    return Section("Results", [table, Note(note)])


def strips_section(gates: Sequence[Verification], *, predicted_by: str = "surrogate") -> Section:
    """One strip of measured output per gate; `predicted_by` names where the prediction is from."""
    note = Note(
        "Above: the output as recorded (grey) and its mean over each hold, orange where the gate "
        f"ought to be high and blue where low; diamonds: what the {predicted_by} predicted; "
        "dashed: the threshold. Below: the logic inputs."
    )
    return Section("Measured output", [note, *(_strip(v) for v in gates)])


def _strip(v: Verification) -> Picture:
    constant = v.criterion == "flatness"
    plateaus = [
        Plateau(
            p.start_s,
            p.stop_s,
            tuple(bool(state) for state in v.states[p.point]),
            bool(v.target[p.point] > 0.5),
            p.level_na,
            float(v.predicted_na[p.point]),
        )
        for p in v.strip.plateaus
    ]
    tolerance = v.margin_na + float(np.ptp(v.level_na))
    verdict = "verified" if v.passed else "not verified"
    svg = draw_gate_strip(
        v.strip.time_s,
        v.strip.current_na,
        plateaus,
        gate=v.task,
        verdict=f"{verdict}, margin {v.margin_na:.2f} nA",
        threshold_na=v.threshold_na if np.isfinite(v.threshold_na) else None,
        least_span_na=4 * tolerance if constant else 0.0,
        input_names=v.inputs,
    )
    what = f"{v.margin_in_noise:.0f} x noise"
    if constant:
        what = f"flat within {tolerance - v.margin_na:.2f} nA of {tolerance:.2g} nA allowed"
    worst = int(np.argmax(np.abs(v.disagreement_na)))
    state = "".join(str(int(bit)) for bit in v.states[worst])
    disagreement = f"{v.disagreement_na[worst]:+.2f} nA from the prediction at {state}"
    return Picture(svg, "; ".join([what, disagreement, volts_of(v.controls), *v.reasons]))


def ring_section(v: Verification, device: Device | Wired, *, output: int = 0) -> Section:
    """The ring's points over the steady-state response of `device` at the found controls.

    A bench has none to ask for: the response is interpolated between the points.
    """
    names = [t.name for t in device.terminals]
    x, y = (
        axis_beyond(v.points[:, i], device.terminals[names.index(v.inputs[i])]) for i in range(2)
    )
    if isinstance(device, Device):
        offset = drift_of(v, device, output=output)
        response = _response(v, device, x, y)[..., output] + offset
        background = (
            "the output over the plane of the inputs without noise, "
            f"{offset:+.2g} nA for what drifted meanwhile"
        )
    else:
        response = _between(v, x, y)
        background = "interpolated between them"
    target = v.target > 0.5
    svg = draw_ring_map(
        v.points,
        target,
        (v.level_na > v.threshold_na) == target,
        grid_v=(x, y),
        response_na=response,
        threshold_na=v.threshold_na,
        input_names=v.inputs,
    )
    verdict = "Verified" if v.passed else "Not verified"
    caption = (
        f"{verdict}: {v.accuracy:.1%} of the test points on their side of "
        f"{v.threshold_na:.3g} nA, a threshold chosen on the training points. Points: measured, "
        f"noise on; background: {background}. {volts_of(v.controls)}"
    )
    return Section("Ring", [Picture(svg, "; ".join([caption, *v.reasons]))])


def _response(v: Verification, device: Device, x: FloatArray, y: FloatArray) -> FloatArray:
    """Steady state over the plane of the inputs at the controls, (n_y, n_x, n_outputs) nA."""
    names = [t.name for t in device.terminals]
    voltage = np.zeros((y.size, x.size, len(names)))
    for name, volts in v.controls.items():
        voltage[..., names.index(name)] = volts
    voltage[..., names.index(v.inputs[0])], voltage[..., names.index(v.inputs[1])] = np.meshgrid(
        x, y
    )
    return device.current(voltage)


def _between(v: Verification, x: FloatArray, y: FloatArray) -> FloatArray:
    """Measured levels, interpolated linearly and beyond them the nearest, (n_y, n_x) nA."""
    from scipy.interpolate import griddata

    grid = tuple(np.meshgrid(x, y))
    inside = griddata(v.points, v.level_na, grid, method="linear")
    nearest = griddata(v.points, v.level_na, grid, method="nearest")
    return np.asarray(np.where(np.isnan(inside), nearest, inside))


def drift_of(v: Verification, device: Device, *, output: int = 0) -> float:
    """What a series reads more than the device gives without noise, nA: median over its points.

    Slow noise shifts all points of a series together, and the threshold with them.
    """
    names = [t.name for t in device.terminals]
    voltage = np.zeros((len(v.points), len(names)))
    for name, volts in v.controls.items():
        voltage[:, names.index(name)] = volts
    voltage[:, [names.index(name) for name in v.inputs]] = v.points
    return float(np.median(v.level_na - device.current(voltage)[:, output]))


def axis_beyond(points: FloatArray, terminal: Terminal) -> FloatArray:
    """Voltages a little beyond the points, inside the terminal's range."""
    spare = 0.06 * float(np.ptp(points))
    low = max(float(points.min()) - spare, terminal.low_v)
    return np.linspace(low, min(float(points.max()) + spare, terminal.high_v), N_GRID)


def volts_of(controls: Mapping[str, float]) -> str:
    # No-break spaces: a line must not end between a name and its voltage.
    return ", ".join(f"{name}\u00a0{volts:+.3f}\u00a0V" for name, volts in controls.items())
