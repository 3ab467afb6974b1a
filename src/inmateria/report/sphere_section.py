"""The sphere as measured: its points by distance from the centre, over slices of the response."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from inmateria.devices.device import Device
from inmateria.report.page import Picture, Section
from inmateria.report.sphere_map import Slice, draw_sphere_map
from inmateria.report.task_sections import axis_beyond, drift_of, volts_of
from inmateria.tasks.task import levels_for

if TYPE_CHECKING:
    from inmateria.devices.device import FloatArray, Terminal
    from inmateria.tasks.task import Wired
    from inmateria.training.verification import Verification


def sphere_section(v: Verification, device: Device | Wired, *, output: int = 0) -> Section:
    """A verified ball-against-shell task of three inputs or more.

    Parameters
    ----------
    v : Verification
        Of a task with a threshold, ball low and shell high.
    device : Device, or a bench
        Whose steady-state response is drawn, at the found controls; a bench has none.
    output : int
    """
    shell = v.target > 0.5
    names = [t.name for t in device.terminals]
    rows = [names.index(name) for name in v.inputs]
    centre, reach = _levels(v, [device.terminals[row] for row in rows])
    radius = np.linalg.norm((v.points - centre) / reach, axis=1)
    slices: list[Slice] = []
    planes = ""
    if isinstance(device, Device):
        offset = drift_of(v, device, output=output)
        slices = _slices(v, device, rows, centre, reach, offset=offset, output=output)
        planes = (
            " Others: the output without noise over two inputs, the third at its centre, "
            f"{offset:+.2g} nA for what drifted meanwhile; dashed: where the ball ends (blue) and "
            "the shell begins (orange)."
        )
    svg = draw_sphere_map(
        radius,
        v.level_na,
        shell,
        slices=slices,
        borders=(float(radius[~shell].max()), float(radius[shell].min())),
        threshold_na=v.threshold_na,
    )
    verdict = "Verified" if v.passed else "Not verified"
    caption = (
        f"{verdict}: {v.accuracy:.1%} of the test points on their side of {v.threshold_na:.3g} nA, "
        f"a threshold chosen on the training points. {'First' if slices else 'Drawn'}: all points "
        "as measured, noise on, against their distance from the centre; no point lies in the grey "
        "gap."
        f"{planes} {volts_of(v.controls)}"
    )
    return Section("Sphere", [Picture(svg, "; ".join([caption, *v.reasons]))])


def _slices(
    v: Verification,
    device: Device,
    rows: Sequence[int],
    centre: FloatArray,
    reach: FloatArray,
    *,
    offset: float,
    output: int,
) -> list[Slice]:
    """The response over each two of the inputs, which are the device's terminals `rows`."""
    names = [t.name for t in device.terminals]
    fixed = np.zeros(len(names))
    fixed[[names.index(name) for name in v.controls]] = list(v.controls.values())
    fixed[list(rows)] = centre
    slices = []
    for i, j in combinations(range(len(rows)), 2):
        x, y = (axis_beyond(v.points[:, k], device.terminals[rows[k]]) for k in (i, j))
        voltage = np.tile(fixed, (y.size, x.size, 1))
        voltage[..., rows[i]], voltage[..., rows[j]] = np.meshgrid(x, y)
        slices.append(
            Slice(
                (v.inputs[i], v.inputs[j]),
                (x, y),
                device.current(voltage)[..., output] + offset,
                (float(centre[i]), float(centre[j])),
                (float(reach[i]), float(reach[j])),
            )
        )
    return slices


def _levels(v: Verification, inputs: Sequence[Terminal]) -> tuple[FloatArray, FloatArray]:
    """Centre of the points and how far radius 1 is from it, (n_inputs,) V each.

    The levels that inputs have unless told otherwise; where points lie beyond
    them, their own ends, the farthest point at radius 1.
    """
    low, high = np.array([levels_for(terminal) for terminal in inputs]).T
    centre, reach = (low + high) / 2, (high - low) / 2
    if np.linalg.norm((v.points - centre) / reach, axis=1).max() <= 1 + 1e-9:
        return centre, reach
    low, high = v.points.min(axis=0), v.points.max(axis=0)
    centre, reach = (low + high) / 2, (high - low) / 2
    return centre, reach * np.linalg.norm((v.points - centre) / reach, axis=1).max()
