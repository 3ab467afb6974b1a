"""Homodyne extraction against known gradients, and what it refuses to read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.gradients.curved import Curved, Fading, Hasty, odd_tones

from inmateria.errors import (
    CalibrationError,
    FrequencyPlanError,
    InMateriaError,
    ParameterError,
    TerminalError,
    UndefinedGradientError,
    VoltageLimitError,
)
from inmateria.gradients.calibration import Calibration, calibrate
from inmateria.gradients.gradient import CLIPPED, DEAD, DRIFTING, GradientEstimator
from inmateria.gradients.homodyne import Homodyne
from inmateria.rigs.chain import Converter
from inmateria.rigs.guard import Guard
from inmateria.rigs.simulated import SimulatedRig

DEVICE = Curved()
POINTS = DEVICE.points(40)
EXACT = DEVICE.gradient(POINTS)


@pytest.mark.parametrize("demodulator", ["least_squares", "hann"])
@pytest.mark.parametrize("parallel", [True, False])
def test_gradients_of_a_quadratic_device_are_exact(demodulator: str, parallel: bool) -> None:
    device = Curved(third=0.0)
    guard = Guard(SimulatedRig.ideal(device))
    estimator = Homodyne(
        guard,
        odd_tones(parallel=parallel),
        device.names,
        demodulator=demodulator,  # type: ignore[arg-type]
        drift_order=0,
    )
    points = device.points(5)
    found = estimator.extract(points)
    # Second-order products lie on other bins: nothing is left but rounding (a fitted slope of
    # time would couple all bins, to a few parts in 1e5).
    np.testing.assert_allclose(found.value, device.gradient(points), atol=1e-7)
    assert found.measurements == 5 * (1 if parallel else 4)
    assert found.device_s == pytest.approx(guard.played_s)
    assert isinstance(estimator, GradientEstimator)


def test_the_bias_of_curvature_is_that_of_the_third_derivative() -> None:
    device = Curved(curvature=0.0)
    guard = Guard(SimulatedRig.ideal(device))
    a = 0.02
    plan = odd_tones(parallel=False, amplitude_v=a)
    found = Homodyne(guard, plan, device.names, drift_order=0).extract(POINTS)
    # (v + a sin)^3 / 6 holds t a^3 sin / 8 beside t v^2 a sin / 2.
    np.testing.assert_allclose(
        found.value - device.gradient(POINTS),
        np.broadcast_to(device.third * a**2 / 8, EXACT.shape),
        atol=1e-9,
    )


def test_linearity_is_the_second_harmonic() -> None:
    device = Curved(third=0.0)
    a = 0.02
    plan = odd_tones(parallel=False, amplitude_v=a)
    guard = Guard(SimulatedRig.ideal(device))
    found = Homodyne(guard, plan, device.names, drift_order=0).extract(POINTS)
    assert found.linearity is not None
    # h (a sin)^2 / 2 = h a^2 / 4 (1 - cos 2 omega t).
    second = np.abs(np.diagonal(device.hessian, axis1=1, axis2=2)) * a / 4
    np.testing.assert_allclose(
        found.linearity, second / np.abs(device.gradient(POINTS)), rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize("demodulator", ["least_squares", "hann"])
def test_errors_are_what_the_standard_errors_say(demodulator: str) -> None:
    guard = Guard(SimulatedRig(DEVICE, electrodes=None, lowpass=None, seed=3))
    estimator = Homodyne(guard, odd_tones(), DEVICE.names, demodulator=demodulator)
    points = DEVICE.points(150)
    found = estimator.extract(points)
    z = (found.value - DEVICE.gradient(points)) / found.standard_error
    # A standard error from 16 numbers makes z follow Student's t: variance 16 / 14. The scatter
    # of 1,200 squares is sqrt(2.6 / 1200) = 5 %; tones of one window share part of their bins.
    assert np.mean(z**2) == pytest.approx(16 / 14, rel=0.2)
    assert abs(z.mean()) < 4 / np.sqrt(z.size)


def test_magnitude_without_calibration_and_in_phase_part_with_it() -> None:
    guard = Guard(SimulatedRig(DEVICE, noise=None, seed=1))
    calibration = calibrate(guard, DEVICE.names)
    with_it = Homodyne(guard, odd_tones(), DEVICE.names, calibration=calibration).extract(POINTS)
    without = Homodyne(guard, odd_tones(), DEVICE.names).extract(POINTS)
    # The chain turns 950 Hz by 0.16 rad and loses 0.3 %; the in-phase part alone would lose 1.3 %.
    slope = [float((g.value * EXACT).sum() / (EXACT**2).sum()) for g in (with_it, without)]
    assert slope[0] == pytest.approx(1, abs=5e-4)
    assert slope[1] == pytest.approx(0.997, abs=2e-3)


def test_tones_in_quadrature_share_a_frequency() -> None:
    guard = Guard(SimulatedRig(DEVICE, noise=None, dac=None, adc=None))
    calibration = calibrate(guard, DEVICE.names)
    plan = odd_tones()
    shared = replace(
        plan,
        frequency_hz=np.array([970.0, 970.0, 950.0, 950.0]),
        phase=np.array([0.0, np.pi / 2, 1.0, 1.0 + np.pi / 2]),
    )
    found = Homodyne(guard, shared, DEVICE.names, calibration=calibration).extract(POINTS)
    # An error of the calibrated phase puts that share of one control on its partner.
    assert np.abs(found.value - EXACT).max() < 2e-3 * np.abs(EXACT).max()


def test_batches_keep_their_shape() -> None:
    guard = Guard(SimulatedRig.ideal(DEVICE))
    estimator = Homodyne(guard, odd_tones(), DEVICE.names)
    found = estimator.extract(POINTS[:6].reshape(2, 3, 4))
    assert found.value.shape == found.standard_error.shape == (2, 3, 2, 4)
    assert found.current.shape == found.problem.shape == (2, 3, 2)
    one = estimator.extract(POINTS[5])
    assert one.value.shape == (2, 4)
    np.testing.assert_allclose(one.value, found.value[1, 2], atol=1e-9)


def test_some_controls_of_many() -> None:
    guard = Guard(SimulatedRig.ideal(DEVICE))
    found = Homodyne(guard, odd_tones(2), ("e3", "e1")).extract(POINTS)
    # Left: the cubic term's a^2 (t / 8 + ...) = 64e-6 x 100 / 8 < 1e-3 nA/V.
    np.testing.assert_allclose(found.value, EXACT[..., [3, 1]], atol=2e-3)


def test_the_rig_is_left_at_the_last_point_and_ends_at_rest() -> None:
    rig = SimulatedRig.ideal(DEVICE)
    with Guard(rig) as guard:
        Homodyne(guard, odd_tones(), DEVICE.names).extract(POINTS[:3])
        np.testing.assert_allclose(guard.last_voltage, POINTS[2], atol=1e-12)
    np.testing.assert_array_equal(rig.held_voltage, 0.0)


def test_adapted_amplitudes_balance_noise_and_curvature() -> None:
    device = Curved(curvature=0.0, third=2000.0)
    guard = Guard(SimulatedRig(device, electrodes=None, lowpass=None, seed=5))
    points = device.points(60)
    estimator = Homodyne(guard, odd_tones(), device.names).adapt(points)
    a = estimator.plan.amplitude_v
    found = estimator.extract(points)
    noise = np.sqrt((found.standard_error**2).mean(axis=(0, 1)))
    bias = 2000.0 * a**2 / 8
    # At the best amplitude bias = noise / sqrt(2). The third harmonic is accepted once it is six
    # standard errors of its mean power, which leaves 8 % in c and so 3 % in a, 8 % in a^3; the
    # noise of two readings leaves about as much: three times their sum in square.
    np.testing.assert_allclose(bias / noise, 1 / np.sqrt(2), rtol=0.35)
    assert (a > 0.008).all()


def test_adapting_stays_within_range_and_slew() -> None:
    guard = Guard(SimulatedRig(DEVICE, seed=5), slew_v_per_s=60.0)
    points = np.full((3, 4), 0.985)
    estimator = Homodyne(guard, odd_tones(), DEVICE.names).adapt(points)
    assert (estimator.plan.amplitude_v <= 0.015 + 1e-12).all()
    estimator.extract(points)


def test_a_clipped_output_has_no_gradient() -> None:
    rig = SimulatedRig(DEVICE, seed=1, converter=Converter(clip_v=0.2))
    clipped = (np.abs(DEVICE.current(POINTS)) > 20).any(axis=0)
    assert clipped.all()
    guard = Guard(rig)
    found = Homodyne(guard, odd_tones(), DEVICE.names, on_problem="flag").extract(POINTS)
    over = np.abs(DEVICE.current(POINTS)) > 25
    assert (found.problem[over] == CLIPPED).all()
    assert np.isnan(found.value[over]).all()
    assert np.isfinite(found.value[found.defined]).all()
    with pytest.raises(UndefinedGradientError, match="clipped at operating point"):
        Homodyne(guard, odd_tones(), DEVICE.names).extract(POINTS)


def test_a_dead_output_has_no_gradient() -> None:
    device = Curved()
    device.slope[1], device.hessian[1], device.third[1] = 0, 0, 0
    guard = Guard(SimulatedRig.ideal(device))
    found = Homodyne(guard, odd_tones(), device.names, on_problem="flag").extract(POINTS)
    assert (found.problem[:, 1] == DEAD).all()
    assert (found.problem[:, 0] == "").all()
    assert np.isnan(found.value[:, 1]).all()


def test_a_device_that_fades_during_the_window_is_noticed() -> None:
    rig = Fading(DEVICE, seed=1)
    rig.loss = 8.0  # 40 % from the middle of a window to its end
    guard = Guard(rig, block_s=10.0)
    loud = odd_tones(amplitude_v=0.03)
    found = Homodyne(guard, loud, DEVICE.names, on_problem="flag").extract(POINTS[:4])
    assert (found.problem == DRIFTING).all()


def test_a_rig_that_plays_at_another_rate_than_it_says_is_noticed() -> None:
    guard = Guard(Hasty(DEVICE, seed=1), block_s=10.0)
    found = Homodyne(guard, odd_tones(), DEVICE.names, on_problem="flag").extract(POINTS[0])
    assert (found.problem == DRIFTING).all()


def test_noise_alone_raises_no_alarm() -> None:
    guard = Guard(SimulatedRig(DEVICE, seed=2))
    found = Homodyne(guard, odd_tones(), DEVICE.names, on_problem="flag").extract(
        DEVICE.points(300)
    )
    assert found.defined.all()


def test_what_cannot_be_played_is_refused_before_anything_is() -> None:
    rig = SimulatedRig(DEVICE)
    guard = Guard(rig)
    estimator = Homodyne(guard, odd_tones(), DEVICE.names)
    with pytest.raises(VoltageLimitError, match=r"control e0 at 0.995 V with a tone of 0.008 V"):
        estimator.extract(np.full(4, 0.995))
    other_rate = replace(odd_tones(), rate=5_000.0)
    cases: list[tuple[type[InMateriaError], str, object]] = [
        (FrequencyPlanError, "5000 Hz, but the rig samples at 10000", (other_rate, DEVICE.names)),
        (FrequencyPlanError, "guard allows 200", (odd_tones(amplitude_v=0.08), DEVICE.names)),
        (FrequencyPlanError, "4 tones for 3 terminals", (odd_tones(), DEVICE.names[:3])),
        (TerminalError, "no terminal 'z'", (odd_tones(1), ("z",))),
        (ParameterError, "twice", (odd_tones(2), ("e1", "e1"))),
    ]  # fmt: skip
    for error, message, arguments in cases:
        with pytest.raises(error, match=message):
            Homodyne(guard, *arguments)  # type: ignore[misc]
    with pytest.raises(FrequencyPlanError, match="no demodulator"):
        Homodyne(guard, odd_tones(), DEVICE.names, demodulator="box")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="on_problem"):
        Homodyne(guard, odd_tones(), DEVICE.names, on_problem="hide")  # type: ignore[arg-type]
    assert rig.transcript.n_samples == 0


def test_the_third_harmonic_must_be_measurable_to_adapt() -> None:
    guard = Guard(SimulatedRig(DEVICE, lowpass=None))
    estimator = Homodyne(guard, odd_tones(top_hz=1970.0, amplitude_v=0.008), DEVICE.names)
    with pytest.raises(ParameterError, match="third harmonic"):
        estimator.adapt(POINTS)


def test_a_calibration_belongs_to_its_controls_and_frequencies() -> None:
    flat = Calibration(
        ("e0", "e1"), ("x", "y"), 500.0, np.zeros((2, 2, 4)), np.zeros((2, 2, 2)), 0.0
    )
    guard = Guard(SimulatedRig.ideal(DEVICE))
    with pytest.raises(CalibrationError, match="e2 was not calibrated"):
        Homodyne(guard, odd_tones(), DEVICE.names, calibration=flat)
    with pytest.raises(CalibrationError, match="up to 500 Hz"):
        Homodyne(guard, odd_tones(2), ("e0", "e1"), calibration=flat)
