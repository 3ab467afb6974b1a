"""The check of an engine against Monte Carlo, on networks whose truth is known."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from inmateria.devices.dopant import network as home
from inmateria.devices.dopant.accuracy import Accuracy, _error, measure_accuracy
from inmateria.devices.dopant.network import DopantNetwork
from inmateria.devices.dopant.parameters import DopantParameters
from inmateria.errors import ConvergenceError, ParameterError

SMALL = DopantParameters(
    n_acceptors=5, n_donors=1, radius_nm=40.0, electrode_width_nm=12.0, localisation_nm=10.0
)
POINTS = 40


def small(seed: int, **options) -> DopantNetwork:
    return DopantNetwork(
        seed=seed, parameters=SMALL, outputs=(0, 3), **({"engine": "meanfield"} | options)
    )


def true_error(seed: int, voltage: np.ndarray, engine: str) -> float:
    truth = small(seed, engine="exact").current(voltage)
    deviation = small(seed, engine=engine).current(voltage) - truth
    return math.sqrt(np.mean(deviation**2) / np.mean(truth**2))


def drawn(seed: int, points: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1.0, 1.0, (points, 6))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_error_is_that_against_the_master_equation(seed: int) -> None:
    device = small(seed, engine="meanfield")
    found = measure_accuracy(device, points=POINTS, standard_error=0.005, seed=11)
    # At the same points only the noise of the judge is between the two. Its square's
    # estimate scatters by the cross term 2 d s / sqrt(points) around d^2.
    here = true_error(seed, drawn(11, POINTS), "meanfield")
    slack = 4 * (2 * here * found.judge + found.judge**2) / math.sqrt(POINTS)
    assert here > 0.005, "a case without an error tests nothing"
    assert abs(found.error**2 - here**2) < slack


def test_the_uncertainty_covers_the_error_over_all_points() -> None:
    # 32 of 4,000 points, a hundred times. One and two standard errors cover 68 % and 95 % where
    # deviations are Gaussian; theirs have long tails, which cost some of the second. Four hundred
    # draws scatter by 2 %, and draws from the same network are alike.
    inside = {1: 0, 2: 0}
    for seed in range(4):
        voltage = drawn(seed, 4000)
        truth = small(seed, engine="exact").current(voltage)
        excess = np.mean((small(seed).current(voltage) - truth) ** 2, axis=1)
        power = np.mean(truth**2, axis=1)
        error = math.sqrt(np.mean(excess) / np.mean(power))
        rng = np.random.default_rng(seed)
        for _ in range(100):
            some = rng.integers(0, 4000, 32)
            found, margin = _error(excess[some], power[some], np.ones(32, dtype=bool))
            for n in inside:
                inside[n] += abs(found - error) < n * margin
    assert 0.58 < inside[1] / 400 < 0.78
    assert 0.82 < inside[2] / 400 < 0.98


def test_without_an_error_nothing_but_noise_is_found() -> None:
    # The noise-subtracted square scatters around zero, or below it, for blocks give noise rather
    # too large: half of the runs and more end at 0, and none is three standard errors (those of
    # the square) above it.
    ends = []
    for seed in range(8):
        found = measure_accuracy(
            small(5, engine="exact"), points=24, standard_error=0.02, seed=seed
        )
        spread = found.error**2 - (found.error - found.uncertainty) ** 2
        assert found.error**2 <= 3 * abs(spread)
        assert 0 < found.uncertainty < 0.02
        assert found.error < found.judge
        ends.append(found.error == 0)
    assert np.mean(ends) >= 0.5


def test_a_known_bias_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    device = small(5, engine="exact")
    right = device.current
    monkeypatch.setattr(device, "current", lambda voltage: 1.1 * right(voltage))
    found = measure_accuracy(device, points=24, standard_error=0.005)
    # Every current is 10 % too large: that share of the rms, up to the judge's error.
    assert found.error == pytest.approx(0.1, abs=3 * found.judge)
    assert found.worst > found.error


def test_monte_carlo_is_judged_by_its_standard_error() -> None:
    device = small(2, engine="kmc", engine_settings={"hops": 20_000, "seed": 3})
    found = measure_accuracy(device, points=8)
    run = device.monte_carlo(drawn(0, 8), hops=20_000, seed=3)
    power = np.mean(run.current**2 - run.standard_error**2)
    assert found.error == pytest.approx(math.sqrt(np.mean(run.standard_error**2) / power))
    assert found.error == pytest.approx(found.judge)
    assert found.sentence().startswith("kmc: a standard error of ")


def test_points_without_an_answer_are_counted_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    device = small(1)
    right = device.current

    def current(voltage: np.ndarray) -> np.ndarray:
        if (np.asarray(voltage)[..., 0] > 0.5).any():
            raise ConvergenceError("no")
        return right(voltage)

    monkeypatch.setattr(device, "current", current)
    found = measure_accuracy(device, points=16, standard_error=0.05)
    voltage = drawn(0, 16)
    lost = voltage[voltage[:, 0] > 0.5]
    assert 0 < len(lost) < 14
    np.testing.assert_array_equal(found.unsolved, lost)
    assert f"meanfield did not converge at {len(lost)}" in found.sentence()

    monkeypatch.setattr(device, "current", lambda _: current(np.ones(6)))
    with pytest.raises(ConvergenceError, match=r"converged at 0 of 16 points.*another engine"):
        measure_accuracy(device, points=16)


def test_walks_cut_short_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    from inmateria.devices.dopant import accuracy

    monkeypatch.setattr(accuracy, "MOST_HOPS", 64)
    found = measure_accuracy(small(1), points=4, standard_error=1e-4)
    assert found.n_short == 4
    assert found.judge > 1e-4
    assert "Monte Carlo cut short at 4" in found.sentence()


def test_it_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counted(device, **asked):
        calls.append(asked)
        return measure_accuracy(device, **asked)

    monkeypatch.setattr(home, "measure_accuracy", counted)
    device = small(1)
    first = device.accuracy(points=4, standard_error=0.1)
    assert device.accuracy(points=4, standard_error=0.1) is first
    assert len(calls) == 1
    assert device.accuracy(points=4, standard_error=0.1, seed=1) != first
    assert len(calls) == 2
    assert small(1).accuracy(points=4, standard_error=0.1) == first


def test_plain_values_and_back() -> None:
    found = Accuracy(
        "meanfield", 0.025, 0.004, 12.5, 0.09, 16, 0.01, 0.004, 1, 2, ((0.1, -0.7),), 3
    )
    assert Accuracy.from_dict(json.loads(json.dumps(found.as_dict()))) == found
    assert found.sentence() == (
        "meanfield: 2.5 % +- 0.4 % of the rms current off Monte Carlo (16 points); "
        "Monte Carlo cut short at 1; start not forgotten by Monte Carlo at 2; "
        "meanfield did not converge at 1"
    )
    with pytest.raises(ParameterError, match="lacks engine"):
        Accuracy.from_dict({k: v for k, v in found.as_dict().items() if k != "engine"})


@pytest.mark.parametrize(
    ("error", "uncertainty", "expected"),
    [
        (0.0, 0.0031, "exact: less than 0.4 % of"),
        (0.0072, 0.0028, "exact: 0.7 % +- 0.3 % of"),
        (0.2349, 0.031, "exact: 23 % +- 4 % of"),
        (0.00072, 0.00021, "exact: 0.07 % +- 0.03 % of"),
    ],
)
def test_digits_follow_the_uncertainty(error: float, uncertainty: float, expected: str) -> None:
    found = Accuracy("exact", error, uncertainty, 1.0, 0.1, 16, 0.01, 0.01, 0, 0, (), 0)
    assert found.sentence().startswith(expected)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"points": 1}, "points = 1"),
        ({"points": 2.5}, "points"),
        ({"standard_error": 0.0}, "share of the rms"),
        ({"standard_error": "1 %"}, "standard_error = '1 %'"),
        ({"seed": -1}, "seed = -1"),
    ],
)
def test_wrong_calls_are_one_line(wrong: dict, words: str) -> None:
    with pytest.raises(ParameterError, match=words) as caught:
        measure_accuracy(small(1), **wrong)
    assert "\n" not in str(caught.value)


def test_a_device_without_current_has_no_share_of_it() -> None:
    model = small(1).model
    weight = model.electrode_weight.copy()
    weight[:, 0] = 0.0
    dead = DopantNetwork.from_arrays(
        electrode_basis=model.electrode_basis,
        site_energy_kt=model.site_energy_kt,
        pair_coulomb_kt=model.pair_coulomb_kt,
        pair_weight=model.pair_weight,
        electrode_weight=weight,
    )
    with pytest.raises(ParameterError, match=r"no current flows at any of 4 points.*outputs"):
        dead.accuracy(points=4)
