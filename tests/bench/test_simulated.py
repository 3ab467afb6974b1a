"""A simulated bench gives what its device gives, however it is wired."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.rigs.ohmic import Ohmic, OhmicPath

from inmateria.bench.bench import open_bench
from inmateria.bench.simulated import Wired, simulated_device
from inmateria.devices.device import Terminal
from inmateria.errors import ConfigurationError
from inmateria.rigs.guard import Guard
from inmateria.rigs.simulated import SimulatedRig
from inmateria.surrogates.surrogate import load_surrogate

from .benches import NAMES, fields, save_device, write_bench


def test_the_same_bits_as_the_simulation_itself(tmp_path: Path) -> None:
    device = load_surrogate(save_device(tmp_path))
    way = np.linspace(0, 0.5, 200) * np.linspace(-1, 1, 7)[:, None]
    with Guard(SimulatedRig(device, seed=1)) as guard:
        expected = guard.play(way)
    with open_bench(write_bench(tmp_path)).guard() as guard:
        np.testing.assert_array_equal(guard.play(way), expected)
        assert guard.describe()["bench"] == {"name": "shelf", "device": "network 4"}


def test_without_noise(tmp_path: Path) -> None:
    device = load_surrogate(save_device(tmp_path))
    instrument = {"kind": "simulated", "device": "device.json", "noise": False}
    point = np.linspace(-0.4, 0.4, 7)
    with open_bench(write_bench(tmp_path, instrument=instrument)).guard() as guard:
        guard.ramp_to(point)
        reading = guard.play(np.repeat(point[:, None], 50, axis=1))[0, -1]
    # The DAC's steps are 0.3 mV: half of one on each terminal, at slopes of tens of nA/V.
    slope = np.abs(device.gradient(point)).sum()
    assert reading == pytest.approx(device.current(point)[0], abs=1.6e-4 * slope + 1e-3)


def test_other_names_another_order_and_fewer(tmp_path: Path) -> None:
    device = Ohmic()
    wired = Wired(
        device,
        terminals=(Terminal("right"), Terminal("left")),
        outputs=("out",),
        rows=(2, 0),
        columns=(1,),
        n_terminals=3,
    )
    voltage = np.array([[0.5, -0.25], [0.1, 0.2]])
    # Output y: 1 nA/V from a, -20 nA/V from c; b stays at 0 V.
    expected = -20 * voltage[:, 0] + 1 * voltage[:, 1]
    np.testing.assert_allclose(wired.current(voltage)[:, 0], expected, rtol=1e-12)
    np.testing.assert_allclose(wired.stream().current(voltage)[:, 0], expected, rtol=1e-12)


def test_a_wired_path_remembers() -> None:
    device = OhmicPath()
    names = tuple(Terminal(name) for name in "cba")
    wired = Wired(device, names, ("x", "y"), rows=(2, 1, 0), columns=(0, 1), n_terminals=3)
    path = wired.stream()
    zeros = np.zeros((2, 3))
    # One picoampere more at each solve: the second call goes on counting.
    counted = np.concatenate([path.current(zeros)[:, 0], path.current(zeros)[:, 0]])
    np.testing.assert_allclose(counted, [1e-3, 2e-3, 3e-3, 4e-3], rtol=1e-12)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"terminal": [{"name": "x", "limits_v": [-1.0, 1.0]}]}, "terminal x is on x"),
        ({"terminal": [{"name": "e1", "limits_v": [-1.1, 1.0]}]}, "wider than the range"),
        ({"output": [{"name": "e9"}]}, "output e9 is on e9"),
    ],
)
def test_what_the_device_lacks(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    save_device(tmp_path)
    bench = open_bench(write_bench(tmp_path, **changes))
    with pytest.raises(ConfigurationError, match=words), bench.guard():
        pass


def test_wired_by_channels(tmp_path: Path) -> None:
    device = load_surrogate(save_device(tmp_path))
    terminals = [{"name": n, "channel": c, "limits_v": [-0.5, 1.0]} for n, c in
                 zip(("in", "gate"), ("e5", "e2"), strict=True)]  # fmt: skip
    values = fields(terminal=terminals, output=[{"name": "out", "channel": "e0"}])
    bench = open_bench(write_bench(tmp_path, values))
    wired = simulated_device(bench.settings, folder=tmp_path)
    whole = np.zeros(len(NAMES))
    whole[[4, 1]] = 0.3, -0.2
    np.testing.assert_allclose(wired.current([0.3, -0.2]), device.current(whole), rtol=1e-12)
    with bench.guard() as guard:
        assert [(t.name, t.low_v, t.high_v) for t in guard.terminals] == [
            ("in", -0.5, 1.0), ("gate", -0.5, 1.0)
        ]  # fmt: skip
        assert guard.outputs == bench.outputs == ("out",)
