"""The device of a run: its plan, where it has one, and its I-V curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inmateria.devices.device import Device, FloatArray
from inmateria.report.device_map import draw_device_map
from inmateria.report.iv_curves import draw_iv_curves
from inmateria.report.page import Block, Picture, Section, Table
from inmateria.tasks.task import Wired

N_SWEEP = 101


def device_section(
    device: Device | Wired,
    *,
    inputs: Sequence[str],
    surrogate: Device | None = None,
    output: int = 0,
) -> Section:
    """Plan, steady-state I-V curves and voltage ranges.

    Parameters
    ----------
    device : Device, or a bench
        With a `geometry` its plan is drawn. A bench has no steady state to ask for:
        the surrogate's is drawn in its place, if there is one.
    inputs : terminal names
        Marked as logic inputs.
    surrogate : Device, optional
        Drawn beside the device.
    """
    blocks: list[Block] = []
    geometry = getattr(device, "geometry", None)
    if geometry is not None:
        n_electrodes = len(geometry.electrode_angle)
        svg = draw_device_map(
            geometry.acceptor_xy_nm,
            geometry.electrode_xy_nm,
            electrode_names=[f"e{i}" for i in range(n_electrodes)],
            radius_nm=geometry.radius_nm,
            donor_xy_nm=geometry.donor_xy_nm,
            arc_length_nm=geometry.electrode_width_nm,
            outputs=device.outputs,
            inputs=inputs,
        )
        caption = "Where the dopants and electrodes are. Unmarked electrodes are controls."
        blocks.append(Picture(svg, caption))
    drawn = device if isinstance(device, Device) else surrogate
    if drawn is not None:
        voltage, sweeps = _sweeps(drawn)
        beside = surrogate if drawn is device else None
        svg = draw_iv_curves(
            voltage,
            drawn.current(sweeps)[..., output],
            names=[t.name for t in drawn.terminals],
            predicted=None if beside is None else beside.current(sweeps)[..., output],
        )
        whose = "" if drawn is device else ", as the surrogate has it"
        caption = (
            f"Steady-state current at {device.outputs[output]} against each terminal's voltage, "
            f"all others at 0 V{whose}."
        )
        blocks.append(Picture(svg, caption))
    rows = [
        (t.name, "input" if t.name in inputs else "control", f"{t.low_v:g}", f"{t.high_v:g}")
        for t in device.terminals
    ]
    blocks.append(Table(("terminal", "use", "lowest (V)", "highest (V)"), rows, numeric=(2, 3)))
    return Section("Device", blocks)


def _sweeps(device: Device) -> tuple[FloatArray, FloatArray]:
    """Swept voltages, (n_terminals, N_SWEEP) V, and whole operating points with a last axis."""
    n = len(device.terminals)
    voltage = np.stack([np.linspace(t.low_v, t.high_v, N_SWEEP) for t in device.terminals])
    points = np.zeros((n, N_SWEEP, n))
    points[np.arange(n), :, np.arange(n)] = voltage
    return voltage, points
