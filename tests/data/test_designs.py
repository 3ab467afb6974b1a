"""Designs: densities, frequencies and slews that follow from their definition."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.data.designs import Plateaus, Sinusoids, Triangles, design_from_json
from inmateria.devices.device import Terminal
from inmateria.errors import ConfigurationError, ParameterError, SlewLimitError

TERMINALS = tuple(Terminal(f"e{k}", -1.0, 1.0) for k in range(7))
RATE = 1e4


@pytest.mark.parametrize("design", [Sinusoids(10.0), Triangles(10.0)])
def test_ten_seconds_over_seven_terminals_respect_200_v_per_s(design: Sinusoids) -> None:
    plan = design.plan(TERMINALS, rate=RATE, slew_v_per_s=200.0)
    assert plan.n_rows == 100_000
    voltage = plan.block(0, plan.n_rows).voltage
    assert np.abs(np.diff(voltage, axis=1)).max() * RATE <= 200.0
    # every terminal sees its whole range: at 8 Hz and more, a sample is at most
    # pi * 2 V * 23 Hz / 10 kHz = 15 mV from the extreme, so 0.02 V is enough
    assert (voltage.max(axis=1) > 0.98).all()
    assert (voltage.min(axis=1) < -0.98).all()
    assert np.abs(voltage).max() <= 1.0


def test_sinusoids_pile_up_at_the_edges_and_triangles_do_not() -> None:
    """Arcsine density: P(|x| > 0.9) = 1 - 2 asin(0.9) / pi = 0.287; uniform: 0.1."""
    shares = {}
    for design in (Sinusoids(10.0), Triangles(10.0)):
        plan = design.plan(TERMINALS, rate=RATE, slew_v_per_s=200.0)
        shares[design.kind] = np.mean(np.abs(plan.block(0, plan.n_rows).voltage) > 0.9)
    # 80 cycles or more a terminal: a broken last cycle shifts a share by 1 / 80 at most
    assert shares["sinusoids"] == pytest.approx(1 - 2 * np.arcsin(0.9) / np.pi, abs=1 / 80)
    assert shares["triangles"] == pytest.approx(0.1, abs=1 / 80)


def test_terminals_are_uncorrelated() -> None:
    voltage = (
        Triangles(10.0).plan(TERMINALS, rate=RATE, slew_v_per_s=200.0).block(0, 100_000).voltage
    )
    correlation = np.corrcoef(voltage) - np.eye(7)
    # the closest two tones lie 8 (sqrt(17) - sqrt(13)) / sqrt(2) = 2.9 Hz apart; over T = 10 s
    # their correlation is below 1 / (pi df T) = 0.011, and twice that leaves room for harmonics
    assert np.abs(correlation).max() < 0.025


@pytest.mark.parametrize("design", [Sinusoids(1.0, seed=5), Triangles(1.0), Plateaus(30, seed=2)])
def test_blocks_join_without_seams(design: Sinusoids) -> None:
    plan = design.plan(TERMINALS, rate=RATE, slew_v_per_s=200.0)
    whole = plan.block(0, plan.n_rows).voltage
    cut = plan.n_rows // 3
    parts = [plan.block(0, cut).voltage, plan.block(cut, plan.n_rows - cut).voltage]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


def test_seeds_choose_phases_and_points() -> None:
    def first(design: Sinusoids | Plateaus) -> np.ndarray:
        return design.plan(TERMINALS, rate=RATE, slew_v_per_s=200.0).block(0, 1).voltage

    for one, same, other in (
        (Sinusoids(1.0, seed=1), Sinusoids(1.0, seed=1), Sinusoids(1.0, seed=2)),
        (Plateaus(5, seed=1), Plateaus(5, seed=1), Plateaus(5, seed=2)),
    ):
        np.testing.assert_array_equal(first(one), first(same))
        assert not np.array_equal(first(one), first(other))


def test_a_trajectory_that_is_too_fast_says_what_would_do() -> None:
    with pytest.raises(SlewLimitError, match=r"base_hz of at most 5\.458 Hz") as caught:
        Sinusoids(1.0).plan(TERMINALS, rate=RATE, slew_v_per_s=100.0)
    assert "\n" not in str(caught.value)
    # 2 pi 1 V * base * sqrt(17 / 2) = 100 V/s at base = 5.45897 Hz, rounded down
    Sinusoids(1.0, base_hz=5.458).plan(TERMINALS, rate=RATE, slew_v_per_s=100.0)


def test_ramps_that_are_too_short_say_what_would_do() -> None:
    with pytest.raises(SlewLimitError, match="ramp_s of at least"):
        Plateaus(100, ramp_s=0.001).plan(TERMINALS, rate=RATE, slew_v_per_s=200.0)
    plan = Plateaus(100, ramp_s=0.01).plan(TERMINALS, rate=RATE, slew_v_per_s=200.0)
    assert np.abs(np.diff(plan.block(0, 100).voltage)).max() * RATE <= 200.0


def test_plateaus_fill_the_box_evenly() -> None:
    terminals = (Terminal("a", -1.2, 0.6), Terminal("b", -0.3, 0.1))
    points = Plateaus(4000, seed=8).points(terminals)
    # standard error of the mean of a uniform variable of width w: w / sqrt(12 n)
    for column, terminal in zip(points.T, terminals, strict=True):
        width = terminal.high_v - terminal.low_v
        middle = (terminal.high_v + terminal.low_v) / 2
        assert column.mean() == pytest.approx(middle, abs=4 * width / np.sqrt(12 * 4000))
        assert column.std() == pytest.approx(width / np.sqrt(12), rel=0.05)
        assert terminal.low_v <= column.min() < column.max() <= terminal.high_v


def test_a_tour_visits_the_same_points_in_less_time() -> None:
    drawn, toured = (Plateaus(500, order=order, seed=3) for order in ("random", "tour"))
    a, b = drawn.points(TERMINALS), toured.points(TERMINALS)
    np.testing.assert_array_equal(np.sort(a, axis=0), np.sort(b, axis=0))
    lengths = [
        d.plan(TERMINALS, rate=RATE, slew_v_per_s=200.0).block(0, 500).voltage.shape[1]
        for d in (drawn, toured)
    ]
    assert lengths[1] < 0.9 * lengths[0]


def test_an_infinite_slew_limit_leaves_no_ramps() -> None:
    plan = Plateaus(20, hold_s=0.001, settle_s=0.0).plan(TERMINALS, rate=RATE, slew_v_per_s=np.inf)
    assert plan.block(0, 20).voltage.shape == (7, 20 * 10)


@pytest.mark.parametrize(
    "design", [Sinusoids(2.0, base_hz=3.0, seed=4), Triangles(2.0), Plateaus(9, order="tour")]
)
def test_json_and_back(design: Sinusoids) -> None:
    assert design_from_json(design.to_json()) == design


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Sinusoids(0.0), "duration_s = 0"),
        (lambda: Triangles(1.0, base_hz=float("nan")), "base_hz = nan Hz"),
        (lambda: Sinusoids(1.0, stretch_s=-1.0), "stretch_s = -1"),
        (lambda: Sinusoids(1.0, seed=-1), "seed = -1"),
        (lambda: Plateaus(0), "n_points = 0"),
        (lambda: Plateaus(2.5), "n_points = 2.5"),  # type: ignore[arg-type]
        (lambda: Plateaus(3, hold_s=0.0), "hold_s = 0"),
        (lambda: Plateaus(3, settle_s=-1.0), "settle_s = -1"),
        (lambda: Plateaus(3, order="best"), "order = 'best'"),  # type: ignore[arg-type]
    ],
)
def test_parameters_without_meaning(make: object, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        make()  # type: ignore[operator]


def test_shorter_than_a_sample() -> None:
    with pytest.raises(ParameterError, match=r"record at least 0\.0001 s"):
        Sinusoids(1e-6).plan(TERMINALS, rate=RATE, slew_v_per_s=200.0)
    with pytest.raises(ParameterError, match=r"hold at least 0\.0001 s"):
        Plateaus(3, hold_s=1e-6).plan(TERMINALS, rate=RATE, slew_v_per_s=200.0)


def test_unknown_kinds() -> None:
    with pytest.raises(ConfigurationError, match="'spiral' is unknown; use sinusoids"):
        design_from_json({"kind": "spiral"})
    with pytest.raises(ConfigurationError, match="speed"):
        design_from_json({"kind": "sinusoids", "duration_s": 1.0, "speed": 3})
