"""The spectrum in a report: tones as high as they were played, and the noise beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from inmateria.cli.tone_recording import plan_of, record_tones
from inmateria.devices.device import FloatArray, Terminal
from inmateria.rigs.guard import Guard
from inmateria.rigs.noise import PowerLawNoise
from inmateria.rigs.simulated import SimulatedRig
from inmateria.signals.tones import TonePlan
from inmateria.tasks.gates import Gate

SLOPES = np.array([40.0, 5.0, 10.0, 20.0, 5.0])
CONTROLS = ("e1", "e3", "e4")
TASK = Gate("AND", ("e2", "e5"))


class Linear:
    terminals = tuple(Terminal(f"e{i}") for i in range(1, 6))
    outputs = ("e0",)

    def current(self, voltage: ArrayLike) -> FloatArray:
        return np.asarray(np.asarray(voltage) @ SLOPES)[..., None]

    def describe(self) -> dict[str, Any]:
        return {"kind": "linear"}


def plan(group: tuple[int, ...] = (0, 0, 0)) -> TonePlan:
    frequency = np.array([910.0, 930.0, 970.0]) if group == (0, 0, 0) else np.full(3, 990.0)
    return TonePlan(1e4, 1000, 150, frequency, np.full(3, 8e-3), np.zeros(3), np.array(group))


@pytest.mark.parametrize("group", [(0, 0, 0), (0, 1, 2)])
def test_tones_and_noise_have_the_density_that_was_played(group: tuple[int, ...]) -> None:
    noise = PowerLawNoise()
    rig = SimulatedRig(Linear(), noise=noise, converter=None, adc=None, lowpass=None,
                       electrodes=None, dac=None)  # fmt: skip
    with Guard(rig) as guard:
        found = record_tones(guard, plan(group), TASK, [0.1, 0.2, -0.3], output=0)
    assert found.controls == CONTROLS
    at = [int(np.argmin(np.abs(found.frequency_hz - f))) for f in found.tones_hz]
    # A sine of amplitude A in Hann segments stands at A^2 / 2 over 1.5 bins of 5 Hz.
    sine = (8e-3 * SLOPES[[0, 2, 3]]) ** 2 / 2 / (1.5 * 5.0)
    expected = sine if group == (0, 0, 0) else np.full(3, sine.mean())
    # Noise of 1.1e-5 beats against the weakest tone, 4.3e-4 high: 2 sqrt(0.026) / sqrt(2) = 23 %
    # in a segment, 7 % in the mean over four points with three independent segments each.
    np.testing.assert_allclose(found.density[at], expected, rtol=0.2)
    # Eight bins, neighbours correlated: four times twelve squares at least, 1 / sqrt(48) = 14 %.
    np.testing.assert_allclose(found.noise, noise.density(found.tones_hz), rtol=4 * 0.14)
    assert found.parallel == (group == (0, 0, 0))
    assert found.device_s > found.n_points * 0.6


def test_plan_is_taken_from_the_log() -> None:
    used = plan((0, 1, 2))
    described = {
        "rate_hz": used.rate,
        "duration_s": used.duration_s,
        "wait_s": used.wait_s,
        "frequency_hz": used.frequency_hz.tolist(),
        "amplitude_v": used.amplitude_v.tolist(),
        "phase": used.phase.tolist(),
        "group": used.group.tolist(),
    }
    entries: list[dict[str, Any]] = [
        {"kind": "setup", "asked": "calibration", "result": {"n": 1}},
        {"kind": "setup", "asked": "estimator", "result": {"estimator": described}},
        {"kind": "extract"},
    ]
    again = plan_of(entries)
    assert again is not None
    np.testing.assert_array_equal(again.excitation, used.excitation)
    assert plan_of([{"kind": "measure"}]) is None
