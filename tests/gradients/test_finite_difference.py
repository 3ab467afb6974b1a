"""Central differences: exact where they should be, biased as they should be, honest about noise."""

from __future__ import annotations

import json

import numpy as np
import pytest

from inmateria.errors import ParameterError, UndefinedGradientError, VoltageLimitError
from inmateria.gradients.finite_difference import FiniteDifference
from inmateria.gradients.gradient import GradientEstimator
from inmateria.rigs.chain import Converter
from inmateria.rigs.guard import Guard
from inmateria.rigs.noise import PowerLawNoise
from inmateria.rigs.simulated import SimulatedRig

from .formulas import Disturbed, Formula, Parabolas, slopes

CONTROLS = ("c", "a")
QUICK = {"hold_s": 0.004, "settle_s": 0.001}


@pytest.mark.parametrize("repetitions", [1, 2, 3])
def test_second_order_is_exact(repetitions: int) -> None:
    """A central difference has no error of second order; rounding: 50 nA * 1e-16 * 10 / 0.1 V."""
    device = Parabolas()
    points = np.random.default_rng(0).uniform(-0.9, 0.9, (2, 3, 3))
    with Guard(SimulatedRig.ideal(device)) as rig:
        estimator = FiniteDifference(rig, CONTROLS, repetitions=repetitions, **QUICK)
        gradient = estimator.extract(points)
        assert gradient.device_s == rig.played_s
    assert gradient.controls == CONTROLS
    assert gradient.value.shape == gradient.standard_error.shape == (2, 3, 2, 2)
    np.testing.assert_allclose(gradient.value, device.gradient(points)[..., [2, 0]], atol=1e-11)
    # 2 controls, 2 plateaus, 6 points; the mean over plateaus is off by h^2/2 of the curvature.
    assert gradient.measurements == 24 * repetitions
    assert gradient.current.shape == gradient.problem.shape == (2, 3, 2)
    np.testing.assert_allclose(gradient.current, device.current(points), atol=0.05**2 / 2 * 40)
    assert (gradient.standard_error < 1e-10).all()


def test_third_order_is_the_bias_of_the_step() -> None:
    """I = x^3: the central difference is 3 x^2 + h^2."""
    cube = Formula(lambda v: 1000 * v[..., 0] ** 3)
    with Guard(SimulatedRig.ideal(cube)) as rig:
        for step in (0.05, 0.2):
            gradient = FiniteDifference(rig, ("a",), step_v=step, **QUICK).extract([0.3, 0.0, 0.0])
            assert gradient.value.shape == (1, 1)
            np.testing.assert_allclose(gradient.value, 1000 * (3 * 0.3**2 + step**2), rtol=1e-11)


def test_linear_drift_cancels_in_pairs_of_pairs() -> None:
    """100 nA/s: one pair is off by 100 (hold + settle + ramp) / 2h = 5.6 nA/V, two by nothing."""
    true = np.array([20.0, -3.0, 7.0])

    def found(repetitions: int) -> np.ndarray:
        drifting = Disturbed(slopes(*true), lambda i, t: i + 100 * t)
        with Guard(drifting) as rig:
            estimator = FiniteDifference(rig, ("a", "b", "c"), repetitions=repetitions, **QUICK)
            return estimator.extract(np.zeros(3)).value[0]

    # The drift reaches 7 nA; its rounding over 0.1 V.
    np.testing.assert_allclose(found(2), true, atol=1e-10)
    np.testing.assert_allclose(found(4), true, atol=1e-10)
    # Pairs take turns: the error has the sign of the half that is played first.
    np.testing.assert_allclose(found(1) - true, [-5.6, 5.6, -5.6], atol=0.11)


@pytest.mark.parametrize("repetitions", [1, 4])
@pytest.mark.parametrize("exponent", [0.0, 1.5])
def test_the_standard_error_is_that_of_the_values(exponent: float, repetitions: int) -> None:
    """Root mean square of (value - true) / standard error over 900 values is near 1.

    One repetition: 15 % for the continued noise (30 % of the variance, as tested with `Probe`).
    Four: up to 8 % too small by the anticorrelation of pairs, 2 % for 900 values.
    """
    if exponent:
        noise = PowerLawNoise(exponent=exponent)
    else:
        noise = PowerLawNoise(level_na2_per_hz=0.0, white_na2_per_hz=1e-4)
    rig = SimulatedRig(
        slopes(10.0, -5.0, 2.0), electrodes=None, noise=noise, lowpass=None, dac=None, seed=8
    )
    with Guard(rig) as guard:
        estimator = FiniteDifference(
            guard, ("a", "b", "c"), repetitions=repetitions, hold_s=0.01, settle_s=0.002
        )
        gradient = estimator.extract(np.zeros((300, 3)))
    deviation = (gradient.value - [10.0, -5.0, 2.0]) / gradient.standard_error
    assert np.sqrt(np.mean(deviation**2)) == pytest.approx(1.0, abs=0.16)


def test_samples_of_a_hold_are_not_independent() -> None:
    """What the scatter of samples would say in 1/f^1.5 noise, and what is so: over 10 x apart."""
    rig = SimulatedRig(slopes(0.0, 0.0, 0.0), noise=PowerLawNoise(), seed=1)
    with Guard(rig) as guard:
        gradient = FiniteDifference(guard, ("a",), step_v=0.05).extract(np.zeros((200, 3)))
        guard.ramp_to(np.zeros(3))
        samples = guard.play(np.zeros((3, 500)))
    naive = np.sqrt(2) * samples.std() / np.sqrt(500) / 0.1
    assert gradient.value.std() > 10 * naive
    assert gradient.standard_error[0, 0, 0] == pytest.approx(gradient.value.std(), rel=0.3)


def test_clipped_output_is_flagged_or_raised() -> None:
    device = Formula(lambda v: 2000 * v[..., 0], lambda v: 5 * v[..., 1])
    points = np.array([[0.0, 0.1, 0.0], [0.19, 0.1, 0.0]])
    rig = SimulatedRig(device, noise=None, dac=None, electrodes=None, converter=Converter())
    with Guard(rig) as guard:
        flagged = FiniteDifference(guard, ("a", "b"), on_problem="flag").extract(points)
        with pytest.raises(UndefinedGradientError, match=r"output 0 is clipped .* point 1"):
            FiniteDifference(guard, ("a", "b")).extract(points)
    assert flagged.problem.tolist() == [["", ""], ["clipped", ""]]
    undefined = flagged.problem == "clipped"
    assert np.isnan(flagged.value[undefined]).all()
    assert np.isnan(flagged.standard_error[undefined]).all()
    # What is left of steps of 100 and 200 nA after 15 ms behind the chain is nothing; the
    # converter's levels are 0.12 pA apart, over 0.1 V.
    np.testing.assert_allclose(flagged.value[0], [[2000, 0], [0, 5]], atol=2e-3)
    np.testing.assert_allclose(flagged.value[1, 1], [0, 5], atol=2e-3)


def test_dead_output_is_flagged_or_raised() -> None:
    dead = Disturbed(Parabolas(), lambda i, _: i * [[1.0], [0.0]])
    with Guard(dead) as rig:
        flagged = FiniteDifference(rig, CONTROLS, on_problem="flag", **QUICK).extract(np.zeros(3))
        with pytest.raises(UndefinedGradientError, match="output 1 is dead"):
            FiniteDifference(rig, CONTROLS, **QUICK).extract(np.zeros(3))
    assert flagged.problem.tolist() == ["", "dead"]
    assert np.isnan(flagged.value[1]).all()
    assert np.isfinite(flagged.value[0]).all()


def test_no_room_for_a_step_plays_nothing() -> None:
    rig = SimulatedRig.ideal(Parabolas())
    with Guard(rig) as guard, pytest.raises(VoltageLimitError, match="smaller step_v"):
        FiniteDifference(guard, CONTROLS).extract([0.0, 0.0, -0.97])
    assert rig.transcript.n_samples == 0


def test_no_points_no_gradients() -> None:
    with Guard(SimulatedRig.ideal(Parabolas())) as rig:
        gradient = FiniteDifference(rig, CONTROLS).extract(np.zeros((0, 3)))
    assert gradient.value.shape == (0, 2, 2)
    assert gradient.measurements == 0


def test_it_is_an_estimator_and_can_be_written_down() -> None:
    estimator = FiniteDifference(Guard(SimulatedRig.ideal(Parabolas())), CONTROLS, step_v=0.03)
    assert isinstance(estimator, GradientEstimator)
    assert json.loads(json.dumps(estimator.describe()))["step_v"] == 0.03
    np.testing.assert_array_equal(estimator.reach_v, [0.03, 0.03])


def test_settings_without_meaning() -> None:
    rig = Guard(SimulatedRig.ideal(Parabolas()))
    with pytest.raises(ParameterError, match="repetitions = 0"):
        FiniteDifference(rig, CONTROLS, repetitions=0)
    with pytest.raises(ParameterError, match="on_problem 'ignore'"):
        FiniteDifference(rig, CONTROLS, on_problem="ignore")  # type: ignore[arg-type]
