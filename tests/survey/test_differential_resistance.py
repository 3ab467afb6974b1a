"""Where a rising input lowers the output: a cubic, and curves by hand."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.survey.device_survey import survey_device
from inmateria.survey.differential_resistance import (
    differential_resistance,
    largest_fall,
    steps_of,
)

from .known_devices import cubic, linear

NO_VECTORS = np.zeros((1, 4))


def test_fall_of_a_cubic() -> None:
    # I = V^3 - a V falls from its maximum at -sqrt(a/3) to its minimum at sqrt(a/3), by
    # 4 / (3 sqrt 3) a^(3/2). A grid of step h misses each turning point by at most
    # I'' h^2 / 8 = 6 sqrt(a/3) h^2 / 8.
    v = np.linspace(-1, 1, 401)
    for a in (0.1, 0.3, 0.9):
        fall = 4 / (3 * np.sqrt(3)) * a**1.5
        missed = 2 * 6 * np.sqrt(a / 3) * (v[1] - v[0]) ** 2 / 8
        assert largest_fall(v**3 - a * v) == pytest.approx(fall, abs=missed)


def test_fall_of_simple_curves() -> None:
    curves = [[0, 1, 2, 3], [3, 2, 1, 0], [0, 5, 1, 4], [2, 2, 2, 2], [0, 3, 2, 6]]
    assert largest_fall(curves).tolist() == [0, 3, 4, 0, 1]


def test_a_sweep_falls_when_it_drops_by_more_than_the_margin() -> None:
    v = np.linspace(-1, 1, 401)
    # Falls by 0.770 a^1.5: 0.126 for a = 0.3.
    sweeps = np.stack([[v**3 - 0.3 * v, v**3], [-v, v**3 - 0.3 * v]])
    loose = differential_resistance(sweeps, NO_VECTORS, 0.1)
    tight = differential_resistance(sweeps, NO_VECTORS, 0.15)
    assert [s.mean for s in loose.sweeps] == [0.5, 1.0]
    assert [s.mean for s in tight.sweeps] == [0.0, 0.5]
    # -v only falls; the cubic also rises, by 2 (1 - 0.3) from end to end and more locally.
    assert [s.mean for s in loose.both_ways] == [0.5, 0.5]
    assert loose.largest_fall_na == pytest.approx((0.1265, 2.0), abs=1e-3)


def test_steps_name_input_and_state_of_the_other() -> None:
    # I00, I01, I10, I11 = 0, 1, 10, 100.
    assert steps_of([0.0, 1.0, 10.0, 100.0]).tolist() == [[10.0, 99.0], [1.0, 90.0]]


def test_steps_that_lower_are_counted_per_input() -> None:
    # NAND: the first input lowers the current only while the second is 1, and vice versa.
    found = differential_resistance(np.zeros((2, 0, 5)), [[8.0, 8.0, 8.0, 0.0]], 1.0)
    assert [s.mean for s in found.steps] == [0.5, 0.5]
    assert [(s.mean, s.low, s.high) for s in found.sweeps] == [(0.0, 0.0, 1.0)] * 2


def test_devices_from_their_terminals() -> None:
    straight = survey_device(linear(), inputs=("a", "b"), settings=20)
    assert [s.mean for s in straight.resistance.sweeps] == [0.0, 0.0]
    assert straight.resistance.largest_fall_na == pytest.approx((0.0, 0.0), abs=1e-12)
    # Over -1 V to 1 V: 0.385 nA for a = 0.63, whatever the other terminals do.
    bent = survey_device(cubic(0.63), inputs=("a", "b"), settings=20, margin_na=0.1)
    assert [s.mean for s in bent.resistance.sweeps] == [1.0, 0.0]
    assert bent.resistance.largest_fall_na[0] == pytest.approx(0.7698 * 0.63**1.5, rel=0.01)
