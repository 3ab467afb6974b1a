"""Ramps and plateaus: where they go, how fast, and what a sample belongs to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inmateria.errors import NotFiniteError, ParameterError, ShapeError, SlewLimitError
from inmateria.signals.waveforms import plateaus, ramp

RATE = 10_000.0
# Derandomised: seeds are fixed here as everywhere. No deadline: machines are shared.
steadily = settings(derandomize=True, deadline=None)
volts = st.floats(-2, 2, allow_subnormal=False)


@steadily
@given(
    st.lists(st.tuples(volts, volts), min_size=1, max_size=8),
    st.floats(1, 1e4),
    st.floats(100, 1e5),
)
def test_a_ramp_never_exceeds_its_slew_and_arrives(ends, slew, rate):
    start, stop = np.array(ends).T
    voltage = ramp(start, stop, rate=rate, slew_v_per_s=slew)
    steps = np.abs(np.diff(voltage, axis=1, prepend=start[:, None]))
    # Rounding of a voltage of up to 4 V is 4.4e-16 V twice, against steps of 1e-5 V and more.
    assert steps.max(initial=0) <= slew / rate * (1 + 1e-9)
    if voltage.shape[1]:
        np.testing.assert_array_equal(voltage[:, -1], stop)
    else:
        np.testing.assert_array_equal(start, stop)


@steadily
@given(volts, volts)
def test_a_ramp_takes_no_longer_than_its_slew_demands(start, stop):
    n = ramp([start], [stop], rate=RATE, slew_v_per_s=200).shape[1]
    # one sample more only where rounding makes 57 of 56.000000000000007 steps
    assert (n - 1) * 200 / RATE <= abs(stop - start) * (1 + 1e-12) or n == 0


def test_terminals_move_straight_and_arrive_together():
    voltage = ramp([0, 1, -1], [1, -1, -1], rate=100, duration_s=0.5)
    assert voltage.shape == (3, 50)
    share = np.arange(1, 51) / 50
    # One rounding each for the product and the sum of numbers up to 2.
    np.testing.assert_allclose(voltage, [share, 1 - 2 * share, -np.ones(50)], atol=1e-15)


def test_plateaus_ramp_settle_and_hold():
    points = np.array([[1.0, 0.0], [0.0, 0.5]])
    wave = plateaus(
        points, rate=1e3, hold_s=5e-3, settle_s=2e-3, ramp_s=4e-3, start=[0, 0], end=[0, 0]
    )
    assert wave.voltage.shape == (2, 2 * 11 + 4)
    assert wave.duration_s == pytest.approx(0.026)
    np.testing.assert_array_equal(wave.segment[:11], [-1] * 6 + [0] * 5)
    np.testing.assert_array_equal(wave.segment[11:22], [-1] * 6 + [1] * 5)
    np.testing.assert_array_equal(wave.segment[22:], -1)
    np.testing.assert_allclose(wave.voltage[0, :4], [0.25, 0.5, 0.75, 1.0])
    np.testing.assert_array_equal(wave.voltage[:, 3:11], points[0][:, None] * np.ones(8))
    np.testing.assert_allclose(wave.voltage[1, 11:15], [0.125, 0.25, 0.375, 0.5])
    np.testing.assert_array_equal(wave.voltage[:, -1], 0)


def test_plateaus_hold_exactly_their_points_and_never_exceed_the_slew():
    points = np.random.default_rng(1).uniform(-1, 1, (200, 7))
    points[7] = points[6]
    wave = plateaus(
        points, rate=RATE, hold_s=1e-3, settle_s=5e-4, slew_v_per_s=300, end=np.zeros(7)
    )
    steps = np.abs(np.diff(wave.voltage, axis=1))
    assert steps.max() <= 300 / RATE * (1 + 1e-9)
    for i, point in enumerate(points):
        held = wave.voltage[:, wave.segment == i]
        np.testing.assert_array_equal(held, np.repeat(point[:, None], 10, axis=1))
    assert (np.diff(wave.segment[wave.segment >= 0]) >= 0).all()


def test_plateaus_join_the_ramps_one_would_write_by_hand():
    points = np.random.default_rng(2).uniform(-1, 1, (5, 3))
    wave = plateaus(points, rate=RATE, hold_s=2e-4, slew_v_per_s=500, start=np.zeros(3))
    by_hand, here = [], np.zeros(3)
    for point in points:
        by_hand += [ramp(here, point, rate=RATE, slew_v_per_s=500), np.repeat(point[:, None], 2, 1)]
        here = point
    # Two orders of the same product: an ulp of 2 V.
    np.testing.assert_allclose(wave.voltage, np.hstack(by_hand), atol=5e-16)


def test_plateau_means_are_those_of_the_held_samples():
    wave = plateaus([[0.0], [1.0], [2.0]], rate=1e3, hold_s=4e-3, ramp_s=3e-3, end=[0.0])
    recording = np.random.default_rng(3).normal(size=(2, wave.n_samples))
    expected = [recording[:, wave.segment == i].mean(axis=1) for i in range(3)]
    np.testing.assert_allclose(wave.plateau_mean(recording), np.array(expected).T, rtol=1e-13)


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (ParameterError, lambda: ramp([0], [1], rate=RATE)),
        (ParameterError, lambda: ramp([0], [1], rate=0, duration_s=1)),
        (ParameterError, lambda: ramp([0], [1], rate=RATE, slew_v_per_s=-1)),
        (ParameterError, lambda: ramp([0], [1], rate=RATE, duration_s=np.nan)),
        (ShapeError, lambda: ramp(["a"], [1], rate=RATE, duration_s=1)),
        (ShapeError, lambda: plateaus([[1.0], [1.0, 2.0]], rate=RATE, hold_s=1, ramp_s=1)),
        (ShapeError, lambda: ramp([0, 0], [1], rate=RATE, duration_s=1)),
        (ShapeError, lambda: ramp([[0]], [[1]], rate=RATE, duration_s=1)),
        (NotFiniteError, lambda: ramp([np.nan], [1], rate=RATE, duration_s=1)),
        (SlewLimitError, lambda: ramp([0], [1], rate=RATE, duration_s=1e-3, slew_v_per_s=200)),
        (ShapeError, lambda: plateaus([0.0], rate=RATE, hold_s=1, ramp_s=1)),
        (ShapeError, lambda: plateaus(np.empty((0, 2)), rate=RATE, hold_s=1, ramp_s=1)),
        (NotFiniteError, lambda: plateaus([[np.inf]], rate=RATE, hold_s=1, ramp_s=1)),
        (ParameterError, lambda: plateaus([[1.0]], rate=RATE, hold_s=1e-6, ramp_s=1)),
        (ParameterError, lambda: plateaus([[1.0]], rate=RATE, hold_s=1, settle_s=-1, ramp_s=1)),
        (ShapeError, lambda: plateaus([[1.0]], rate=RATE, hold_s=1, ramp_s=1, start=[0, 0])),
        (
            ShapeError,
            lambda: plateaus([[1.0]], rate=RATE, hold_s=1, ramp_s=1).plateau_mean([1.0, 2.0]),
        ),
    ],
)
def test_what_has_no_meaning_is_refused(error, call):
    with pytest.raises(error):
        call()
