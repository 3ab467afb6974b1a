"""Gates on models of real devices, controls in range, input pair free."""

from __future__ import annotations

import pytest

from inmateria.tasks import gates
from inmateria.training.find_inputs import find_inputs
from inmateria.training.in_silico import Descent
from inmateria.training.train import train_all

from .stand_ins import RealDeviceModel


def non_constant(pair, device):
    return [gate for gate in gates(pair, device=device, min_margin_na=2.0) if not gate.constant]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["device-a", "device-b"])
def test_all_fourteen_gates_with_controls_in_range(reference, name):
    device = RealDeviceModel(reference / "real-devices" / f"{name}.npz")
    found = find_inputs(device, lambda pair: non_constant(pair, device))
    ranges = {t.name: (t.low_v, t.high_v) for t in device.terminals}
    assert found.n_passed == len(found.solutions) == 14
    for solution in found.solutions:
        assert float(solution.score.margin_na) > 2.0
        assert set(solution.controls) | set(solution.inputs) == set(ranges)
        for terminal, value in solution.controls.items():
            assert ranges[terminal][0] <= value <= ranges[terminal][1]


def test_a_hard_gate_on_a_real_device(reference):
    """XOR and XNOR on the pair that the full search settles on; a tenth of its work."""
    device = RealDeviceModel(reference / "real-devices" / "device-b.npz")
    hard = [g for g in non_constant(("e2", "e5"), device) if g.name in ("XOR", "XNOR")]
    quick = Descent(restarts=32, steps=100, screening=2000)
    for solution in train_all(hard, device, descent=quick):
        assert float(solution.score.margin_na) > 2.0
