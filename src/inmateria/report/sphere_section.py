"""The sphere as measured: its points by distance from the centre, over slices of the response."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from inmateria.report.page import Picture, Section
from inmateria.report.sphere_map import Slice, draw_sphere_map
from inmateria.report.task_sections import axis_beyond, volts_of

if TYPE_CHECKING:
    from inmateria.devices.device import Device
    from inmateria.training.verification import Verification


def sphere_section(v: Verification, device: Device, *, output: int = 0) -> Section:
    """A verified ball-against-shell task of three inputs or more.

    Parameters
    ----------
    v : Verification
        Of a task with a threshold, ball low and shell high.
    device : Device
        Whose steady-state response is drawn, at the found controls.
    output : int
    """
    # The points fill the range of the levels, so its ends are theirs to within the drawing.
    low, high = v.points.min(axis=0), v.points.max(axis=0)
    centre, reach = (low + high) / 2, (high - low) / 2
    shell = v.target > 0.5
    radius = np.linalg.norm((v.points - centre) / reach, axis=1)
    names = [t.name for t in device.terminals]
    rows = [names.index(name) for name in v.inputs]
    fixed = np.zeros(len(names))
    fixed[[names.index(name) for name in v.controls]] = list(v.controls.values())
    fixed[rows] = centre
    slices = []
    for i, j in combinations(range(len(rows)), 2):
        x, y = (axis_beyond(v.points[:, k], device.terminals[rows[k]]) for k in (i, j))
        voltage = np.tile(fixed, (y.size, x.size, 1))
        voltage[..., rows[i]], voltage[..., rows[j]] = np.meshgrid(x, y)
        slices.append(
            Slice(
                (v.inputs[i], v.inputs[j]),
                (x, y),
                device.current(voltage)[..., output],
                (float(centre[i]), float(centre[j])),
                (float(reach[i]), float(reach[j])),
            )
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
        "a threshold chosen on the training points. First: all points as measured, noise on, "
        "against their distance from the centre; no point lies in the grey gap. Others: the "
        "output without noise over two inputs, the third at its centre; dashed: where the ball "
        f"ends (blue) and the shell begins (orange). {volts_of(v.controls)}"
    )
    return Section("Sphere", [Picture(svg, "; ".join([caption, *v.reasons]))])
