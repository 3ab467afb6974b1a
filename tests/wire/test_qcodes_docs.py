"""What docs/qcodes.md shows runs, and does what it says."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tests.gradients.curved import Curved

from inmateria.gradients.lockin_instrument import LockInGradient, LockInReader
from inmateria.rigs.guard import Guard
from inmateria.rigs.simulated import SimulatedRig

from .own_qcodes import qcodes

DOCS = Path(__file__).parents[2] / "docs" / "qcodes.md"
BLOCKS = re.findall(r"```python\n(.*?)```", DOCS.read_text(), flags=re.DOTALL)


@pytest.fixture(autouse=True)
def closed():
    yield
    qcodes.Instrument.close_all()


def test_parameters_become_a_rig_and_a_rig_an_instrument(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown: dict = {}
    exec(BLOCKS[0], shown)
    # Differences over 0.1 V of numbers that are exact to the last digit.
    np.testing.assert_allclose(shown["gradient"].value, [[10.0, -4.0, 2.0]], rtol=1e-12)
    assert [shown["dac"].parameters[f"ch{n}"]() for n in (1, 2, 3)] == [0, 0, 0]
    assert shown["rig"].timing.n_steps > 0
    exec(BLOCKS[1], shown)
    data = shown["dataset"].get_parameter_data()["network_e0"]
    np.testing.assert_allclose(data["network_e1"], np.linspace(-0.5, 0.5, 11))
    assert np.ptp(data["network_e0"]) > 0
    np.testing.assert_array_equal(shown["guard"].last_voltage, 0)


def test_one_record_serves_all_tones_as_lock_ins():
    shown: dict = {}
    exec(BLOCKS[2], shown)
    device = Curved(third=0.0)
    guard = Guard(SimulatedRig.ideal(device, rate=1000.0))
    rate, n_samples, amplitude = 10_000.0, 1000, 0.02
    frequency = np.array([510.0, 530.0, 570.0, 610.0])  # odd bins of 0.1 s
    records = []

    def record():
        """Both outputs behind 100 nA/V, while the tones run on top of what the guard holds."""
        t = np.arange(n_samples) / rate
        tones = amplitude * np.sin(2 * np.pi * frequency[:, None] * t)
        records.append(guard.last_voltage)
        return device.current((guard.last_voltage[:, None] + tones).T).T / 100.0

    tones = shown["ToneRecord"](record, frequency, rate=rate, n_samples=n_samples)
    readers = [
        LockInReader(
            control,
            output,
            qcodes.Parameter(f"x_{output}_{control}", get_cmd=partial(tones.amplitude, o, m)),
            na_per_unit=100.0,
            amplitude_v=amplitude,
            rms=False,
        )
        for o, output in enumerate(device.outputs)
        for m, control in enumerate(device.names)
    ]
    points = device.points(2)
    gradient = LockInGradient(guard, readers, settle_s=0.01, readings=3).extract(points)
    # What the curvature makes of two tones, 0.02 nA at most, lies on even bins. Only through the
    # drift that is fitted away does it reach a tone, by 6 / (pi^2 51 2) = 0.6 % from two cycles to
    # 51: 1.2e-4 nA, over 0.02 V.
    np.testing.assert_allclose(gradient.value, device.gradient(points), rtol=0, atol=6e-3)
    assert len(records) == 2 * 3
