"""All gates on models of real devices: which inputs, what margins, how long.

Run as ``python -m benchmarks.gates_real_devices [pairs]``; needs the models in
../shared/reference/real-devices. With ``pairs`` it lists, for every pair of inputs, the gate of
smallest margin that a short descent through the model finds.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

MODELS = Path(__file__).parents[2] / "shared" / "reference" / "real-devices"


class PublishedModel:
    """The network of a real device: y = W x + b with ReLU between layers."""

    def __init__(self, path: Path) -> None:
        import torch

        from inmateria.devices.device import Terminal

        with np.load(path, allow_pickle=False) as arrays:
            self.layers = [
                (torch.tensor(arrays[f"W{i}"]), torch.tensor(arrays[f"b{i}"])) for i in range(6)
            ]
            ranges = np.round(arrays["voltage_ranges"].astype(float), 6).tolist()
            self.gain = float(arrays["amplification_nA_per_V"])
        self.terminals = tuple(Terminal(f"e{i}", *limits) for i, limits in enumerate(ranges))
        self.outputs = ("out",)

    def torch_current(self, voltage: Any) -> Any:
        """(..., 7) V to (..., 1) nA."""
        import torch

        x = voltage
        for i, (weight, bias) in enumerate(self.layers):
            x = torch.nn.functional.linear(x, weight.to(x.dtype), bias.to(x.dtype))
            x = torch.relu(x) if i < len(self.layers) - 1 else x
        return self.gain * x

    def current(self, voltage: Any) -> Any:
        """(..., 7) V to (..., 1) nA in double precision."""
        import torch

        with torch.no_grad():
            return self.torch_current(torch.tensor(np.asarray(voltage, dtype=float))).numpy()

    def describe(self) -> dict[str, Any]:
        """Kind only."""
        return {"kind": "published-model"}


def pairs() -> None:
    """The gate of smallest margin, for every pair of inputs."""
    from itertools import combinations

    from inmateria.tasks import gates
    from inmateria.training.in_silico import Descent, in_silico

    how = Descent(restarts=16, steps=120, screening=1500)
    for name in ("device-a", "device-b"):
        device = PublishedModel(MODELS / f"{name}.npz")
        for pair in combinations([t.name for t in device.terminals], 2):
            tasks = [g for g in gates(pair, device=device) if not g.constant]
            found = in_silico(tasks, device, descent=how, seed=0)
            worst = min(found, key=lambda solution: float(solution.score.margin_na))
            margin = float(worst.score.margin_na)
            print(f"{name} {', '.join(pair)}: {worst.task} {margin:.1f} nA", flush=True)


def main() -> int:
    """Search inputs and gates on each model and print what came out."""
    from inmateria.tasks import gates
    from inmateria.training.find_inputs import find_inputs

    if not MODELS.is_dir():
        print(f"no models of real devices in {MODELS}; nothing measured", file=sys.stderr)
        return 2
    if sys.argv[1:] == ["pairs"]:
        pairs()
        return 0
    for name in ("device-a", "device-b"):
        device = PublishedModel(MODELS / f"{name}.npz")
        wall, cpu = time.perf_counter(), time.process_time()
        found = find_inputs(
            device,
            lambda pair, device=device: [g for g in gates(pair, device=device) if not g.constant],
        )
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        inside = all(
            t.low_v <= s.controls[t.name] <= t.high_v
            for s in found.solutions
            for t in device.terminals
            if t.name in s.controls
        )
        print(
            f"{name}: {found.n_passed} of {len(found.solutions)} gates with margin above 2 nA, "
            f"inputs {' and '.join(found.inputs)}, controls in range: {'yes' if inside else 'no'}"
        )
        print(f"  {wall:.1f} s on the clock, {cpu:.1f} CPU s, {len(found.ranking)} pairs screened")
        for s in found.solutions:
            print(f"  {s.task:12s} {float(s.score.margin_na):7.1f} nA")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
