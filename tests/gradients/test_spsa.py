"""Simultaneous perturbation: right in the mean, and its interference is in its error."""

from __future__ import annotations

import json

import numpy as np
import pytest

from inmateria.errors import ParameterError, UndefinedGradientError, VoltageLimitError
from inmateria.gradients.finite_difference import FiniteDifference
from inmateria.gradients.gradient import GradientEstimator
from inmateria.gradients.spsa import SimultaneousPerturbation
from inmateria.rigs.guard import Guard
from inmateria.rigs.noise import PowerLawNoise
from inmateria.rigs.simulated import SimulatedRig

from .formulas import Disturbed, Formula, Parabolas, slopes

TRUE = np.array([10.0, -4.0, 1.0])
ALL = ("a", "b", "c")
QUICK = {"hold_s": 0.001, "settle_s": 0.0}


def test_one_direction_is_the_slope_along_it() -> None:
    with Guard(SimulatedRig.ideal(slopes(*TRUE))) as rig:
        gradient = SimultaneousPerturbation(rig, ALL, **QUICK).extract(np.full((2, 3), 0.1))
        assert gradient.device_s == rig.played_s
    assert gradient.measurements == 4
    value = gradient.value[0, 0]
    direction = np.sign(value) * np.sign(value[0])  # up to a sign that the slope fixes
    np.testing.assert_allclose(np.abs(value), abs(direction @ TRUE), rtol=1e-9)
    # Linear and shared directions: both operating points give the same.
    np.testing.assert_allclose(gradient.value[1], gradient.value[0], rtol=1e-9)


def test_right_in_the_mean_over_calls() -> None:
    """Mean of 400 calls: 4 standard errors, each sqrt(sum_{n != m} g_n^2 / 400)."""
    with Guard(SimulatedRig.ideal(slopes(*TRUE))) as rig:
        spsa = SimultaneousPerturbation(rig, ALL, **QUICK)
        values = np.array([spsa.extract(np.zeros(3)).value[0] for _ in range(400)])
    interference = np.sqrt(np.sum(TRUE**2) - TRUE**2)
    np.testing.assert_array_less(np.abs(values.mean(axis=0) - TRUE), 4 * interference / 20)
    # Of a sample variance of 400 two-point-like values: 7 %, four of them.
    np.testing.assert_allclose(values.std(axis=0), interference, rtol=0.3)


def test_standard_error_of_one_direction_is_the_interference_on_average() -> None:
    """Mean of variance over calls and components: |g|^2 (1 - 1/n).

    d^2 takes four values with a standard deviation below |g|^2: 5 % over 400 calls, four of them.
    """
    with Guard(SimulatedRig.ideal(slopes(*TRUE))) as rig:
        spsa = SimultaneousPerturbation(rig, ALL, **QUICK)
        errors = np.array([spsa.extract(np.zeros(3)).standard_error[0] for _ in range(400)])
    assert np.mean(errors**2) == pytest.approx(np.sum(TRUE**2) * 2 / 3, rel=0.2)


def test_standard_error_of_several_directions_is_their_scatter() -> None:
    """400 calls of 8 directions: mean of variance against the true interference / 8, 15 %."""
    with Guard(SimulatedRig.ideal(slopes(*TRUE))) as rig:
        spsa = SimultaneousPerturbation(rig, ALL, directions=8, **QUICK)
        found = [spsa.extract(np.zeros(3)) for _ in range(400)]
    assert found[0].measurements == 16
    variance = np.mean([g.standard_error[0] ** 2 for g in found], axis=0)
    np.testing.assert_allclose(variance, (np.sum(TRUE**2) - TRUE**2) / 8, rtol=0.15)


def test_noise_is_in_the_standard_error() -> None:
    """A flat device: all there is is noise, so value / standard error scatters by 1.

    One direction has one degree of freedom, so the mean squares are compared; 600 values: 6 %,
    and 30 % of the variance from the continued noise, which counts by 1/3.
    """
    rig = SimulatedRig(slopes(0.0, 0.0, 0.0), noise=PowerLawNoise(), seed=2)
    with Guard(rig) as guard:
        spsa = SimultaneousPerturbation(guard, ALL, hold_s=0.01, settle_s=0.002)
        gradient = spsa.extract(np.zeros((600, 3)))
    ratio = np.mean(gradient.value**2) / np.mean(gradient.standard_error**2)
    assert ratio == pytest.approx(1.0, abs=0.25)


def test_of_one_control_it_is_a_finite_difference() -> None:
    point = np.array([0.2, -0.3, 0.1])
    with Guard(SimulatedRig.ideal(Parabolas())) as rig:
        one = SimultaneousPerturbation(rig, ("b",), seed=4, **QUICK).extract(point)
        other = FiniteDifference(rig, ("b",), **QUICK).extract(point)
    np.testing.assert_allclose(one.value, other.value, atol=1e-10)
    np.testing.assert_allclose(one.standard_error, 0, atol=1e-10)


def test_directions_depend_on_seed_and_call_only() -> None:
    with Guard(SimulatedRig.ideal(slopes(1.0, 2.0, 4.0))) as rig:

        def series(seed: int, start: int = 0, n: int = 12) -> list[list[float]]:
            spsa = SimultaneousPerturbation(rig, ALL, seed=seed, **QUICK)
            spsa.call = start
            return [spsa.extract(np.zeros(3)).value[0].round(9).tolist() for _ in range(n)]

        first = series(0)
        assert series(0) == first
        assert series(1) != first
        assert series(0, start=5, n=7) == first[5:]
        assert len({tuple(v) for v in first}) > 2


def test_a_refused_call_does_not_count() -> None:
    rig = SimulatedRig.ideal(slopes(*TRUE))
    with Guard(rig) as guard:
        spsa = SimultaneousPerturbation(guard, ALL, step_v=0.2, **QUICK)
        with pytest.raises(VoltageLimitError, match="terminal b"):
            spsa.extract([0.0, 0.9, 0.0])
        assert spsa.call == 0
        assert rig.transcript.n_samples == 0
        spsa.extract(np.zeros(3))
        assert spsa.call == 1


def test_drift_averages_out_over_directions() -> None:
    """A flat device drifting by 100 nA/s; one direction sees 100 * 1.5 ms / 0.1 V = 1.5 nA/V."""
    drifting = Disturbed(slopes(0.0, 0.0, 0.0), lambda i, t: i + 100 * t)
    with Guard(drifting) as rig:
        one = SimultaneousPerturbation(rig, ("a",), **QUICK).extract(np.zeros(3))
    assert abs(one.value[0, 0]) == pytest.approx(1.5, rel=0.01)
    drifting = Disturbed(slopes(0.0, 0.0, 0.0), lambda i, t: i + 100 * t)
    with Guard(drifting) as rig:
        spsa = SimultaneousPerturbation(rig, ("a",), directions=64, **QUICK)
        many = spsa.extract(np.zeros(3))
    # Random signs of Delta: 1.5 / sqrt(64), four of them.
    assert abs(many.value[0, 0]) < 4 * 1.5 / 8


def test_problems_are_flagged_or_raised() -> None:
    device = Formula(lambda v: 2000 * v[..., 0], lambda v: 5 * v[..., 1])
    rig = SimulatedRig(device, noise=None)
    with Guard(rig) as guard:
        spsa = SimultaneousPerturbation(guard, ("a", "b"), on_problem="flag")
        flagged = spsa.extract([[0.19, 0.0, 0.0], [0.0, 0.0, 0.0]])
        with pytest.raises(UndefinedGradientError, match="clipped"):
            SimultaneousPerturbation(guard, ("a", "b")).extract([0.19, 0.0, 0.0])
    assert flagged.problem.tolist() == [["clipped", ""], ["", ""]]
    assert np.isnan(flagged.value[0, 0]).all()
    assert np.isnan(flagged.standard_error[0, 0]).all()
    assert np.isfinite(flagged.value[1]).all()


def test_it_is_an_estimator_and_can_be_written_down() -> None:
    rig = Guard(SimulatedRig.ideal(Parabolas()))
    spsa = SimultaneousPerturbation(rig, ALL, seed=3, directions=2)
    assert isinstance(spsa, GradientEstimator)
    described = json.loads(json.dumps(spsa.describe()))
    assert (described["seed"], described["directions"]) == (3, 2)
    np.testing.assert_array_equal(spsa.reach_v, [0.05] * 3)
    with pytest.raises(ParameterError, match="directions = 0"):
        SimultaneousPerturbation(rig, ALL, directions=0)
    with pytest.raises(ParameterError, match="seed = -1"):
        SimultaneousPerturbation(rig, ALL, seed=-1)
    with pytest.raises(ParameterError, match="on_problem"):
        SimultaneousPerturbation(rig, ALL, on_problem="no")  # type: ignore[arg-type]
