"""The survey of devices known in closed form, and the protocol's own rules."""

from __future__ import annotations

import math

import numpy as np
import pytest

from inmateria.devices.device import Terminal
from inmateria.errors import ParameterError, TaskError
from inmateria.survey.abundance import VARYING
from inmateria.survey.device_survey import MARGINS, Criterion, conclude, survey_device
from inmateria.survey.samples import Protocol, logic_levels, take_samples

from .known_devices import Formula, linear, product

AB = ("a", "b")


def test_linear_device_adds_up() -> None:
    found = survey_device(linear(), inputs=AB, settings=300, margin=0.0)
    # 3 a + 2 b at +-0.7 V: 00 < 01 < 10 < 11 at every setting, so OR, A and AND always.
    assert {name for name in VARYING if found.counts[name]} == {"OR", "A", "AND"}
    assert found.counts["AND"] == found.counts["A"] == found.counts["OR"] == 300
    assert found.n_gates == 3
    indicators = found.nonlinearity
    assert (indicators.ndr_first, indicators.ndr_second, indicators.coupling) == (0, 0, 0)
    # The controls shift all four currents alike: one component, the mean.
    assert found.components.share == pytest.approx([1, 0, 0, 0])
    assert found.components.overlap[0, 0] == pytest.approx(1.0)


def test_margin_decides_between_the_gates_of_a_linear_device() -> None:
    # Steps of the inputs: 2 b gives 2.8 nA, 3 a gives 4.2 nA; levels 0, 2.8, 4.2, 7.0 above the
    # lowest: margins OR 2.8, A 1.4, AND 2.8 nA.
    for margin, gates in ((1.3, {"OR", "A", "AND"}), (1.5, {"OR", "AND"}), (2.9, set())):
        found = survey_device(linear(), inputs=AB, settings=10, margin_na=margin)
        assert {name for name in VARYING if found.counts[name]} == gates
        assert found.margin_na == margin


def test_product_device_knows_only_xor_and_xnor() -> None:
    found = survey_device(product(), inputs=AB, settings=400, margin=0.0, seed=3)
    assert {name for name in VARYING if found.counts[name]} == {"XOR", "XNOR"}
    assert found.counts["XOR"] + found.counts["XNOR"] == 400
    # A fair coin, the sign of c: 200 +- 10; four standard deviations.
    assert abs(found.counts["XOR"] - 200) < 40
    assert math.isinf(found.nonlinearity.coupling)
    assert found.components.overlap[0, 3] == pytest.approx(1.0)


def test_scale_of_a_linear_device() -> None:
    # Variance of a uniform voltage is 1/3 V^2: sqrt((9 + 4 + 16 + 1) / 3) = 3.162 nA. The sample
    # deviation of 20,000 nearly normal values is right to 1 / sqrt(40,000) = 0.5 %: four of that.
    samples = take_samples(linear(), Protocol(AB, settings=1, points=20_000, sweeps=1))
    found = conclude(samples, Criterion())
    assert found.scale.std_na == pytest.approx(math.sqrt(10), rel=0.02)
    assert found.margin_na == 0.25 * found.scale.std_na


def test_shares_do_not_depend_on_the_unit_of_current() -> None:
    def bent(v: np.ndarray) -> np.ndarray:
        return np.tanh(v @ [2.0, -1.0, 2.0, 1.0]) * (1 + v[..., 0] * v[..., 1])

    small = survey_device(Formula(bent), inputs=AB)
    large = survey_device(Formula(lambda v: 1024.0 * bent(v)), inputs=AB)
    assert small.counts == large.counts
    assert np.array_equal(small.counts_by_margin, large.counts_by_margin)
    assert small.nonlinearity.coupling == pytest.approx(large.nonlinearity.coupling)


def test_counts_fall_with_the_margin_and_hold_the_one_asked_for() -> None:
    device = Formula(lambda v: np.tanh(v @ [2.0, -1.0, 2.0, 1.0]) + v[..., 0] * v[..., 1])
    found = survey_device(device, inputs=AB, margin=0.25)
    assert (np.diff(found.counts_by_margin, axis=0) <= 0).all()
    row = found.counts_by_margin[MARGINS.index(0.25)]
    assert row.tolist() == [found.counts[name] for name in VARYING]


def test_same_seed_same_survey_and_three_calls_in_all() -> None:
    device = linear()
    first = survey_device(device, inputs=AB, seed=(4, 2))
    assert device.calls == 3
    again = survey_device(device, inputs=AB, seed=(4, 2))
    other = survey_device(device, inputs=AB, seed=(4, 3))
    assert np.array_equal(first.samples.vectors_na, again.samples.vectors_na)
    assert not np.array_equal(first.samples.vectors_na, other.samples.vectors_na)


def test_more_settings_do_not_change_the_sweeps() -> None:
    few = take_samples(linear(), Protocol(AB, settings=5))
    many = take_samples(linear(), Protocol(AB, settings=50))
    assert np.array_equal(few.sweep_na, many.sweep_na)
    assert np.array_equal(few.controls_v, many.controls_v[:5])


def test_levels_and_controls_are_where_they_should_be() -> None:
    seen = []
    device = Formula(lambda v: v[..., 0])
    device.formula = lambda v: (seen.append(v), v[..., 0])[1]
    samples = take_samples(device, Protocol(("b", "a"), level_v=0.5, settings=3, sweeps=2))
    voltage = seen[0]
    assert samples.controls == ("c", "d")
    # b is the first input: 0, 0, 1, 1 over the states.
    assert (voltage[..., 1] == [-0.5, -0.5, 0.5, 0.5]).all()
    assert (voltage[..., 0] == [-0.5, 0.5, -0.5, 0.5]).all()
    assert (voltage[..., 2:] == samples.controls_v[:, None]).all()
    sweeps = seen[1] if seen[1].ndim == 4 else seen[2]
    assert (sweeps[0, ..., 1] == samples.sweep_v[0]).all()
    assert (sweeps[0, ..., 0] == sweeps[0, :, :1, 0]).all()
    assert samples.sweep_v[0, [0, -1]].tolist() == [-1.0, 1.0]


def test_levels_lie_around_the_middle_of_a_range() -> None:
    device = linear()
    device.terminals = (Terminal("a", -1.2, 0.6), *device.terminals[1:])
    assert logic_levels(device, Protocol(AB, level_v=0.5)) == pytest.approx(
        np.array([[-0.8, 0.2], [-0.5, 0.5]])
    )
    # Without a level: 0.7 of the way to the ends.
    assert logic_levels(device, Protocol(AB)) == pytest.approx(
        np.array([[-0.93, 0.33], [-0.7, 0.7]])
    )


@pytest.mark.parametrize(
    ("protocol", "words"),
    [
        ({"inputs": ("a", "x")}, "'x' is not a terminal; the device has a, b, c, d"),
        ({"inputs": ("a", "a")}, "named twice"),
        ({"inputs": AB, "level_v": 1.5}, "give 1 V or less"),
        ({"inputs": AB, "output": "e0"}, "no output 'e0'"),
    ],
)
def test_a_protocol_that_does_not_suit_the_device(protocol: dict[str, object], words: str) -> None:
    with pytest.raises(TaskError, match=words):
        take_samples(linear(), Protocol(**protocol))  # type: ignore[arg-type]


def test_protocols_and_criteria_without_meaning() -> None:
    with pytest.raises(TaskError, match="2 inputs; got 3"):
        Protocol(("a", "b", "c"))  # type: ignore[arg-type]
    for wrong in ({"settings": 0}, {"points": 1}, {"sweeps": -1}, {"sweep_points": 1.5}):
        with pytest.raises(ParameterError, match=next(iter(wrong))):
            Protocol(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="level_v"):
        Protocol(level_v=math.nan)
    with pytest.raises(ParameterError, match="margin_na"):
        Criterion(margin_na=-1.0)


def test_criterion_says_what_it_is() -> None:
    assert "0.25 of the device's current scale" in Criterion().sentence()
    assert "more than 3 nA" in Criterion(margin_na=3.0).sentence()
