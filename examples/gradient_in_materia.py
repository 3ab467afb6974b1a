"""Gradient descent in the material itself: a gate, learned without a model of the device.

    python examples/gradient_in_materia.py [GATE]

Plans tones, calibrates the chain, extracts one gradient and compares it with the exact one, which
only a simulated device can tell; then trains the gate (XOR by default) by homodyne descent with
noise on, and verifies it on a rig that it has not seen.
"""

from __future__ import annotations

import sys

import numpy as np

from inmateria import (
    DopantNetwork,
    Gate,
    Guard,
    Homodyne,
    SimulatedRig,
    calibrate,
    plan_tones,
    train,
    verify,
)
from inmateria.gradients.error_budget import describe_plan
from inmateria.rigs.noise import PowerLawNoise


def show_one_gradient(device: DopantNetwork) -> None:
    """All seven derivatives of the output current from a tenth of a second of measurement."""
    noise = PowerLawNoise()
    point = np.array([0.1, -0.2, 0.3, 0.0, 0.2, -0.1, 0.4])
    with Guard(SimulatedRig(device, noise=noise, seed=1)) as rig:
        controls = [terminal.name for terminal in rig.terminals]
        plan = plan_tones(len(controls), rig.rate, 0.1, noise, slew_v_per_s=rig.slew_v_per_s)
        print(describe_plan(plan, noise))
        homodyne = Homodyne(rig, plan, controls, calibration=calibrate(rig, controls))
        found = homodyne.extract(point)
    exact = device.gradient(point)[0]
    print("control   measured, nA/V      exact")
    for k, name in enumerate(controls):
        measured = f"{found.value[0, k]:8.2f} +- {found.standard_error[0, k]:.2f}"
        print(f"{name:7s} {measured}   {exact[k]:8.2f}")


def main() -> None:
    """One gradient, then a gate."""
    device = DopantNetwork()
    show_one_gradient(device)
    gate = Gate(sys.argv[1].upper() if len(sys.argv) > 1 else "XOR")
    # Twice the margin that is asked for in the end: single readings are noisy.
    wanted = Gate(gate.name, min_margin_na=2 * gate.min_margin_na)
    solution = train(
        wanted, SimulatedRig(device, seed=1), method="homodyne", budget_s=300.0, seed=1
    )
    print(
        f"{gate.name}: {len(solution.history)} iterations, {solution.cost.device_s:.0f} s on the "
        f"device, margin {float(solution.score.margin_na):.1f} nA"
    )
    with Guard(SimulatedRig(device, seed=2)) as rig:
        result = verify(solution, gate, rig)
    in_noise = f"{result.margin_in_noise:.0f} x noise"
    print(f"verified: {result.passed}, {result.margin_na:.1f} nA, {in_noise}")


if __name__ == "__main__":
    main()
