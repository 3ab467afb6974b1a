"""Endless trajectories: seamless, inside their ranges, never repeating."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from inmateria.devices.device import Terminal
from inmateria.errors import ParameterError, ShapeError
from inmateria.signals.sweeps import Sweep, incommensurate_frequencies, sweep

RATE = 10_000.0
TERMINALS = tuple(Terminal(f"e{i}", -1.2 + 0.1 * i, 0.6 + 0.05 * i) for i in range(7))
TONES = sweep(TERMINALS, kind="sinusoid", base_hz=1.0, seed=0)


@pytest.mark.parametrize("kind", ["sinusoid", "triangle"])
def test_stretches_join_without_seams(kind):
    trajectory = sweep(TERMINALS, kind=kind, base_hz=3.0, seed=4)
    whole = trajectory.at(0, 5000, RATE)
    cuts = [0, 1, 17, 1000, 1000, 5000]
    parts = [trajectory.at(a, b - a, RATE) for a, b in pairwise(cuts)]
    # Nothing but the vectorised sine's rounding may depend on where an array starts.
    np.testing.assert_allclose(np.hstack(parts), whole, atol=1e-15)


@pytest.mark.parametrize("kind", ["sinusoid", "triangle"])
def test_a_sweep_fills_its_ranges_and_never_leaves_them(kind):
    voltage = sweep(TERMINALS, kind=kind, base_hz=5.0, seed=4).at(0, 40_000, RATE)
    low = np.array([t.low_v for t in TERMINALS])
    high = np.array([t.high_v for t in TERMINALS])
    assert (voltage >= low[:, None]).all()
    assert (voltage <= high[:, None]).all()
    # A sample lies within half a sample of each turning point: at 15 Hz, 10 kS/s a triangle
    # is then within 4 f / rate / 2 = 0.3 % of half the range.
    reach = 0.003 * (high - low) / 2
    assert (voltage.min(axis=1) <= low + reach).all()
    assert (voltage.max(axis=1) >= high - reach).all()


@pytest.mark.parametrize("kind", ["sinusoid", "triangle"])
def test_the_slew_it_states_is_the_slew_it_has(kind):
    trajectory = sweep(TERMINALS, kind=kind, base_hz=5.0, seed=4)
    fastest = np.abs(np.diff(trajectory.at(0, 40_000, RATE), axis=1)).max() * RATE
    # The secant of a sine over one sample is below its slope by (pi f / rate)^2 / 6 = 4e-6.
    assert fastest <= trajectory.max_slew_v_per_s * (1 + 1e-9)
    assert fastest >= trajectory.max_slew_v_per_s * (1 - 1e-4)


def test_kinds_at_known_times():
    for kind, at_an_eighth in (("sinusoid", np.sin(np.pi / 4)), ("triangle", 0.5)):
        tone = Sweep(kind, np.array([1.0]), np.array([0.0]), np.array([-1.0]), np.array([1.0]))
        expected = [0, at_an_eighth, 1, at_an_eighth, 0, -at_an_eighth, -1, -at_an_eighth]
        np.testing.assert_allclose(tone.at(0, 8, 8.0)[0], expected, atol=1e-15)


def test_hours_do_not_cost_precision():
    tone = Sweep("sinusoid", np.array([1.0]), np.array([0.3]), np.array([-1.0]), np.array([1.0]))
    late = tone.at(36_000_000 * 10, 100, RATE)
    # 36,000 s is a whole number of cycles; a time of 3.6e4 s is rounded by 3.6e-12 s,
    # which is 2.3e-11 of phase.
    np.testing.assert_allclose(late, tone.at(0, 100, RATE), atol=1e-10)


def test_frequencies_go_as_square_roots_of_primes():
    frequency = incommensurate_frequencies(7, base_hz=2.0)
    np.testing.assert_allclose((frequency / 2) ** 2 * 2, [2, 3, 5, 7, 11, 13, 17], rtol=1e-14)
    assert incommensurate_frequencies(0, base_hz=1.0).shape == (0,)


def test_the_seed_sets_the_phases():
    a, b, c = (sweep(TERMINALS, kind="sinusoid", base_hz=1.0, seed=s).phase for s in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.isclose(a, c).any()


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (ParameterError, lambda: sweep(TERMINALS, kind="sawtooth", base_hz=1.0, seed=0)),
        (ParameterError, lambda: sweep(TERMINALS, kind="sinusoid", base_hz=0.0, seed=0)),
        (
            ParameterError,
            lambda: TONES.at(-1, 2, 1e3),
        ),
        (
            ParameterError,
            lambda: TONES.at(0, 2, 0.0),
        ),
        (ShapeError, lambda: Sweep("sinusoid", np.ones(2), np.ones(3), np.ones(2), np.ones(2))),
        (
            ParameterError,
            lambda: Sweep("sinusoid", *np.array([[1.0], [0.0], [1.0], [-1.0]])),
        ),
        (ParameterError, lambda: incommensurate_frequencies(-1, base_hz=1.0)),
    ],
)
def test_what_has_no_meaning_is_refused(error, call):
    with pytest.raises(error):
        call()
