"""Lock-ins in hardware, simulated: what they read of a known device gives its gradient."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.gradients.curved import Curved

from inmateria.errors import (
    InstrumentError,
    ParameterError,
    TerminalError,
    UndefinedGradientError,
    VoltageLimitError,
)
from inmateria.gradients.gradient import CLIPPED, DEAD, GradientEstimator
from inmateria.gradients.lockin_instrument import LockInGradient, LockInReader
from inmateria.rigs.chain import Converter
from inmateria.rigs.guard import Guard
from inmateria.rigs.simulated import SimulatedRig

AMPLITUDE_V = np.array([0.02, 0.01, 0.03, 0.02])
BINS = np.array([101, 103, 107, 113])  # odd: what two tones make together falls on even ones
AMPERES = 1e9  # nA


class Bench:
    """Tones on every control, on top of what the guard holds, and one lock-in a pair."""

    def __init__(self, device: Curved, guard: Guard) -> None:
        self.device, self.guard = device, guard
        self.noise_a = 0.0
        self.random = np.random.default_rng(5)
        self.readings = 0

    def x(self, output: int, control: int) -> float:
        """In-phase part of the current as a lock-in gives it, A rms."""
        self.readings += 1
        phase = 2 * np.pi * BINS[:, None] * np.arange(1024) / 1024
        voltage = self.guard.last_voltage[:, None] + AMPLITUDE_V[:, None] * np.sin(phase)
        current = self.device.current(voltage.T)[:, output] / AMPERES
        peak = 2 * np.mean(current * np.sin(phase[control]))
        return float(peak / np.sqrt(2) + self.noise_a * self.random.standard_normal())

    def readers(self) -> list[LockInReader]:
        return [
            LockInReader(f"e{m}", name, Reading(self, o, m), AMPERES, float(AMPLITUDE_V[m]))
            for o, name in enumerate(self.device.outputs)
            for m in range(4)
        ]


class Reading:
    """One lock-in's X."""

    def __init__(self, bench: Bench, output: int, control: int) -> None:
        self.bench, self.output, self.control = bench, output, control

    def get(self) -> float:
        return self.bench.x(self.output, self.control)


class Constant:
    """A lock-in that gives the same whatever happens, or fails."""

    def __init__(self, value: float | Exception) -> None:
        self.value = value

    def get(self) -> float:
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


def setup(device: Curved | None = None) -> tuple[Curved, Guard, Bench]:
    device = device or Curved()
    guard = Guard(SimulatedRig.ideal(device, rate=1000.0))
    return device, guard, Bench(device, guard)


def estimator(guard: Guard, readers: list[LockInReader], **options) -> LockInGradient:
    return LockInGradient(guard, readers, **{"settle_s": 0.01, "interval_s": 0.005} | options)


def test_lock_ins_read_the_gradient_and_the_known_bias_of_a_tone():
    device, guard, bench = setup()
    points = device.points(6).reshape(2, 3, 4)
    gradient = estimator(guard, bench.readers()).extract(points)
    # A tone of amplitude a sees dI/dV + a^2 / 8 d3I/dV3, and nothing else of this device.
    expected = device.gradient(points) + AMPLITUDE_V**2 / 8 * device.third
    np.testing.assert_allclose(gradient.value, expected, rtol=1e-9)
    np.testing.assert_allclose(gradient.current, device.current(points), rtol=1e-9)
    assert gradient.controls == device.names
    assert gradient.standard_error.shape == (2, 3, 2, 4)


def test_peak_readings_and_inverting_converters():
    device, guard, bench = setup(Curved(third=0.0))
    expected = device.gradient(np.zeros(4))
    peak = [
        replace(r, x=Constant(-np.sqrt(2) * r.x.get()), na_per_unit=-AMPERES, rms=False)
        for r in bench.readers()
    ]
    value = estimator(guard, peak).extract(np.zeros(4)).value
    np.testing.assert_allclose(value, expected, rtol=1e-9)


def test_some_controls_in_another_order():
    device, guard, bench = setup(Curved(third=0.0))
    some = [r for m in ("e2", "e0") for r in bench.readers() if r.control == m]
    gradient = estimator(guard, some).extract(device.points(1)[0])
    assert gradient.controls == ("e2", "e0")
    expected = device.gradient(device.points(1)[0])[:, [2, 0]]
    np.testing.assert_allclose(gradient.value, expected, rtol=1e-9)


def test_the_standard_error_is_that_of_the_mean_of_the_readings():
    device, guard, bench = setup(Curved(third=0.0))
    bench.noise_a = 1e-11
    points = device.points(25)
    gradient = estimator(guard, bench.readers(), readings=4).extract(points)
    off = (gradient.value - device.gradient(points)) / gradient.standard_error
    # A mean of four over its own error is Student's t with 3 degrees of freedom: half of all
    # lie within 0.765. 200 of them: the share scatters by 0.035.
    assert abs((np.abs(off) < 0.765).mean() - 0.5) < 4 * 0.035
    assert np.isnan(
        estimator(guard, bench.readers(), readings=1).extract(points[0]).standard_error
    ).all()


def test_every_reading_is_taken_after_the_guard_has_waited():
    _, guard, bench = setup()
    lockins = estimator(guard, bench.readers(), readings=3, settle_s=0.2, interval_s=0.1)
    gradient = lockins.extract(np.zeros((2, 4)))
    assert bench.readings == 2 * 3 * 8
    assert gradient.device_s == pytest.approx(2 * (0.2 + 3 * 0.1))
    assert gradient.measurements == 6


def test_a_tone_stays_inside_the_range():
    _, guard, bench = setup()
    lockins = estimator(guard, bench.readers())
    np.testing.assert_array_equal(lockins.reach_v, AMPLITUDE_V)
    lockins.extract([0, 0, 0.97, 0])
    played = guard.played_s
    with pytest.raises(VoltageLimitError, match=r"e2 at 0\.971 V with a tone of 0\.03 V"):
        lockins.extract([[0, 0, 0, 0], [0, 0, 0.971, 0]])
    assert guard.played_s == played


def test_a_clipped_output_and_a_lock_in_without_a_number_have_no_gradient():
    device = Curved()
    rig = SimulatedRig(
        device, rate=1000.0, noise=None, converter=Converter(100.0, clip_v=0.2), lowpass=None
    )
    guard = Guard(rig)
    bench = Bench(device, guard)
    readers = bench.readers()
    far = np.array([0.0, 0.0, 0.0, 0.9])
    assert (np.abs(device.current(far)) > 20).any()
    flagged = estimator(guard, readers, on_problem="flag").extract([np.zeros(4), far])
    clipped = np.abs(device.current([np.zeros(4), far])) >= 20
    np.testing.assert_array_equal(flagged.problem == CLIPPED, clipped)
    np.testing.assert_array_equal(np.isnan(flagged.value).all(axis=-1), clipped)
    readers[5] = replace(readers[5], x=Constant(float("nan")))
    dead = estimator(guard, readers, on_problem="flag").extract(np.zeros(4))
    assert dead.problem.tolist() == ["", DEAD]
    with pytest.raises(UndefinedGradientError, match="output 1 is dead"):
        estimator(guard, readers).extract(np.zeros(4))


def test_a_lock_in_that_fails_is_named():
    _, guard, bench = setup()
    readers = bench.readers()
    readers[6] = replace(readers[6], x=Constant(OSError("bus\nis off")))
    with pytest.raises(
        InstrumentError, match=r"lock-in of y and e2 could not be read \(bus is off"
    ):
        estimator(guard, readers).extract(np.zeros(4))


def test_it_is_an_estimator_that_describes_itself():
    _, guard, bench = setup()
    lockins = estimator(guard, bench.readers())
    assert isinstance(lockins, GradientEstimator)
    assert json.loads(json.dumps(lockins.describe()))["controls"] == ["e0", "e1", "e2", "e3"]


def test_readers_that_do_not_fit_are_refused():
    _, guard, bench = setup()
    readers = bench.readers()
    with pytest.raises(ParameterError, match="none for y and e3"):
        estimator(guard, readers[:-1])
    with pytest.raises(ParameterError, match="one too many"):
        estimator(guard, [*readers, readers[0]])
    with pytest.raises(ParameterError, match=r"e1 has tones of 0\.01 and 0\.5 V"):
        estimator(guard, [readers[0], replace(readers[1], amplitude_v=0.5), *readers[2:]])
    with pytest.raises(TerminalError, match="e9"):
        estimator(guard, [replace(readers[0], control="e9")])
    with pytest.raises(ParameterError, match="more than 0 V"):
        replace(readers[0], amplitude_v=0.0)
    with pytest.raises(ParameterError, match="settle_s"):
        estimator(guard, readers, settle_s=-1.0)
