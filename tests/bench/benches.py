"""A device that costs nothing, and bench files for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from inmateria.devices.device import Terminal
from inmateria.surrogates.network import ScaledNetwork
from inmateria.surrogates.surrogate import Surrogate

NAMES = tuple(f"e{i}" for i in range(1, 8))


def save_device(folder: Path, *, seed: int = 4) -> Path:
    """A random network of seven terminals, some 20 nA strong."""
    network = ScaledNetwork(7, 1, hidden=(12, 12), activation="tanh")
    network.initialise(torch.Generator().manual_seed(seed))
    network.output_std.fill_(60.0)
    terminals = tuple(Terminal(name) for name in NAMES)
    return Surrogate(network, terminals, ("e0",)).save(folder / "device")


def fields(**changes: Any) -> dict[str, Any]:
    """A simulated bench as a TOML file's values; a change of None takes a key away."""
    values: dict[str, Any] = {
        "name": "shelf",
        "device": "network 4",
        "rate_hz": 10_000.0,
        "slew_v_per_s": 200.0,
        "compliance_na": 300.0,
        "instrument": {"kind": "simulated", "device": "device.json", "seed": 1},
        "terminal": [{"name": name, "limits_v": [-1.0, 1.0]} for name in NAMES],
        "output": [{"name": "e0"}],
    } | changes
    return {name: value for name, value in values.items() if value is not None}


def ni_fields(**changes: Any) -> dict[str, Any]:
    """A bench of NI modules."""
    values: dict[str, Any] = {
        "instrument": {"kind": "ni", "server": "127.0.0.1:31763", "delay_samples": 38},
        "terminal": [
            {"name": name, "channel": f"cDAQ1Mod1/ao{k}", "limits_v": [-1.2, 1.0]}
            for k, name in enumerate(NAMES)
        ],
        "output": [{"name": "e0", "channel": "cDAQ1Mod4/ai0", "gain_na_per_v": 100.0}],
    }
    return fields(**(values | changes))


def write_bench(folder: Path, values: dict[str, Any] | None = None, **changes: Any) -> Path:
    """A bench file."""
    from inmateria.data.configuration import write_toml

    return write_toml(folder / "bench.toml", fields(**changes) if values is None else values)
