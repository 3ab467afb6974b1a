"""Inside a logic gate: where the holes sit and which way they go in each of its states.

    python examples/inside_a_gate.py [FOLDER]

Finds control voltages that make the embedded device an XOR gate, prints its truth
table, and draws what a real device never shows: the potential landscape, the mean
occupation of every acceptor and the paths of the current for the inputs 00, 01, 10
and 11, and how they change from 00.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from inmateria import DopantNetwork, Gate, train
from inmateria.report.inside import paint_inside, paint_inside_change, size_of
from inmateria.report.inside_state import look_inside
from inmateria.training.in_silico import Descent

STATES = ("00", "01", "10", "11")


def operating_points(device, gate, controls) -> np.ndarray:
    """Voltages of the four states, (4, n_terminals) V."""
    names = [terminal.name for terminal in device.terminals]
    voltage = np.zeros((4, len(names)))
    for name, volts in controls.items():
        voltage[:, names.index(name)] = volts
    for column, name in enumerate(gate.inputs):
        voltage[:, names.index(name)] = gate.points[:, column]
    return voltage


def print_table(inside, gate) -> None:
    """Truth table, and how much of the current into the output took which way."""
    print(f"{gate.name} of {', '.join(gate.inputs)}: controls and inputs in V, currents in nA")
    print(f"{'state':>5} {'wanted':>6} {'output':>7} {'holes':>6}   current into the output from")
    for k, state in enumerate(STATES):
        into = inside.into_na[k][:, 0]
        main = [site for site in np.argsort(-np.abs(into))[:3] if abs(into[site]) >= 0.05]
        ways = ", ".join(f"acceptor {site}: {into[site]:.1f}" for site in main)
        print(
            f"{state:>5} {gate.target[k]:>6.0f} {inside.electrode_na[k, 0]:>7.2f} "
            f"{inside.occupation[k].sum():>6.2f}   {ways}"
        )


def save(paint, inside, file, *, keys) -> None:
    """A picture of all states as PNG."""
    figure = Figure(figsize=size_of(inside, keys=keys), layout="constrained")
    paint(figure, inside)
    figure.savefig(file, dpi=120)
    print(file)


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    network = DopantNetwork()
    xor = Gate("XOR", inputs=("e2", "e6"))
    solution = train(xor, network, descent=Descent(restarts=8, steps=120, screening=1024))
    points = operating_points(network, xor, solution.controls)
    shown = look_inside(network, points, labels=STATES, inputs=xor.inputs)
    print(", ".join(f"{name} {volts:+.3f} V" for name, volts in solution.controls.items()))
    print_table(shown, xor)
    save(paint_inside, shown, folder / "inside_states.png", keys=True)
    save(paint_inside_change, shown, folder / "inside_changes.png", keys=False)
