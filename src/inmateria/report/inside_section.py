"""What happens inside the device for one gate: a section of the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from inmateria.devices.dopant.network import DopantNetwork
from inmateria.errors import ConvergenceError
from inmateria.report.inside import SHOWN_SHARE, draw_inside, draw_inside_change
from inmateria.report.inside_state import Inside, look_inside
from inmateria.report.page import Note, Picture, Section

if TYPE_CHECKING:
    from inmateria.devices.device import Device, FloatArray
    from inmateria.training.verification import Verification

# Not linearly separable, so that the device itself has to be non-linear to show them.
FIRST_CHOICE = ("XOR", "XNOR")


def inside_section(found: Sequence[Verification], device: Device) -> Section | None:
    """Landscape, holes and current paths at the states of one gate, and what changes.

    Parameters
    ----------
    found : sequence of Verification
        The gate is chosen by `gate_to_show`.
    device : Device
        What it was verified on; None comes back for any but a dopant network with a
        geometry.
    """
    if not isinstance(device, DopantNetwork) or device.geometry is None:
        return None
    shown = gate_to_show(found)
    title = f"Inside the device: {shown.task}"
    labels, voltage = _states(shown, device)
    try:
        inside = look_inside(device, voltage, labels=labels, inputs=shown.inputs)
    except ConvergenceError as error:
        return Section(title, [Note(f"No picture of the inside: {error}")])
    verdict = "" if shown.passed else " It was not verified on the device."
    controls = ", ".join(f"{k}\u00a0{v:+.3f}\u00a0V" for k, v in shown.controls.items())
    note = Note(
        f"How the holes move when the inputs {', '.join(shown.inputs)} take each state of "
        f"{shown.task}, in the steady state without noise, at the controls found "
        f"({controls}).{verdict}"
    )
    first = Picture(draw_inside(inside), caption(inside))
    second = Picture(draw_inside_change(inside), change_caption(inside))
    return Section(title, [note, first, second])


def gate_to_show(found: Sequence[Verification]) -> Verification:
    """A verified XOR, else XNOR, else the gate with the best margin; verified ones first."""

    def rank(v: Verification) -> tuple[bool, bool, int, float]:
        first = -FIRST_CHOICE.index(v.task) if v.task in FIRST_CHOICE else -len(FIRST_CHOICE)
        return v.passed, v.criterion == "margin", first, v.margin_na

    return max(found, key=rank)


def caption(inside: Inside) -> str:
    """How to read `draw_inside`."""
    largest = max(np.abs(inside.between_na).max(), np.abs(inside.into_na).max())
    return (
        "Background: the potential energy of a hole from the electrodes, donors and charged "
        "acceptors; zero is a hole at an electrode at 0 V. Small circles: acceptors, the darker "
        "the more often a hole is there; the disc behind each has the colour of its own energy, "
        "disorder included. Arrows: net current from site to site and to the electrodes, as wide "
        f"as the current; below {SHOWN_SHARE:.0%} of the largest ({SHOWN_SHARE * largest:.2g} nA "
        f"of {largest:.3g} nA) none is drawn. At the electrodes (blue: inputs, orange: output): "
        "voltage, and current out of the device."
    )


def change_caption(inside: Inside) -> str:
    """How to read `draw_inside_change`."""
    return (
        f"The other states minus state {inside.labels[0]}. Green acceptors hold a hole more often "
        "than there, purple ones less often. Arrows: the current that has come on top; a path "
        "that opens starts and ends at electrodes, one that has closed runs backwards, and where "
        "current has only taken another way the arrows form a loop. Numbers: changes of voltage, "
        "where there is one, and of current."
    )


def _states(shown: Verification, device: DopantNetwork) -> tuple[list[str], FloatArray]:
    """Labels, and the voltages (n_states, n_terminals) V of the four logic states.

    A task with more points than four shows the corners of what its first two inputs take.
    """
    points = shown.points
    if len(points) == 4 and len(shown.inputs) == 2:
        order = np.lexsort(shown.states.T[::-1])
        points, states = points[order], shown.states[order]
    else:
        states = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=bool)[:, : len(shown.inputs)]
        states = np.unique(states, axis=0)
        low, high = points.min(axis=0), points.max(axis=0)
        points = np.tile(low, (len(states), 1))
        points[:, : states.shape[1]] = np.where(
            states, high[: states.shape[1]], low[: states.shape[1]]
        )
    names = [t.name for t in device.terminals]
    voltage = np.zeros((len(points), len(names)))
    for name, volts in shown.controls.items():
        voltage[:, names.index(name)] = volts
    for i, name in enumerate(shown.inputs):
        voltage[:, names.index(name)] = points[:, i]
    return ["".join(str(int(bit)) for bit in state) for state in states], voltage
