"""A short way through many points."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest

from inmateria.errors import NotFiniteError, ParameterError, ShapeError
from inmateria.signals.tour import tour


def length(points: np.ndarray, order: np.ndarray) -> float:
    return float(np.abs(np.diff(points[order], axis=0)).max(axis=1).sum())


@pytest.mark.parametrize(("n", "d"), [(0, 3), (1, 3), (2, 3), (3, 1), (50, 2), (400, 7)])
def test_every_point_is_visited_once(n, d):
    order = tour(np.random.default_rng(n).normal(size=(n, d)))
    np.testing.assert_array_equal(np.sort(order), np.arange(n))


def test_points_on_a_line_are_visited_in_order():
    x = np.random.default_rng(1).uniform(0.1, 1, (100, 1))
    np.testing.assert_array_equal(tour(x), np.argsort(x[:, 0]))


def greedy_length(points: np.ndarray) -> float:
    """The heuristic by exhaustion: all pairs, shortest first, fragments as sets."""
    fragments = [{i} for i in range(len(points))]
    degree, total = [0] * len(points), 0.0
    pairs = list(combinations(range(len(points)), 2))
    for a, b in sorted(pairs, key=lambda p: np.abs(points[p[0]] - points[p[1]]).max()):
        mine, other = (next(f for f in fragments if i in f) for i in (a, b))
        if mine is not other and degree[a] < 2 and degree[b] < 2:
            mine |= other
            fragments.remove(other)
            degree[a] += 1
            degree[b] += 1
            total += np.abs(points[a] - points[b]).max()
    return total


@pytest.mark.parametrize("seed", range(5))
def test_few_points_are_joined_greedily(seed):
    """With six points every pair is a candidate, and the path is the heuristic's own."""
    points = np.random.default_rng(seed).uniform(-1, 1, (6, 3))
    best = min(length(points, np.array(order)) for order in permutations(range(6)))
    found = length(points, tour(points))
    assert found == pytest.approx(greedy_length(points), rel=1e-12)
    assert found >= best * (1 - 1e-12)


def test_seven_dimensional_steps_shrink():
    """Against random order, whose mean step in a box of width 2 is 1.36 V."""
    points = np.random.default_rng(2).uniform(-1, 1, (5000, 7))
    # The mean distance to the nearest of n others in the max norm is about n^(-1/7) = 0.30; no
    # order has shorter steps, and random order has 4.6 times that. A third is required.
    assert length(points, tour(points)) < length(points, np.arange(5000)) / 3


def test_repeated_points_are_visited_one_after_another():
    points = np.repeat(np.random.default_rng(3).uniform(-1, 1, (20, 4)), 12, axis=0)
    where = np.random.default_rng(4).permutation(len(points))
    order = tour(points[where])
    np.testing.assert_array_equal(np.sort(order), np.arange(len(points)))
    moves = np.abs(np.diff(points[where][order], axis=0)).max(axis=1) > 0
    assert moves.sum() == 19


def test_scale_says_what_is_far():
    # Along x the points are 1 mV apart, along y 1 V; in units of (1 mV, 1 kV) x is what counts.
    points = np.array([[1e-3 * (i % 2), float(i)] for i in range(10)])
    assert (np.diff(points[tour(points)][:, 1]) == 1).all()
    by_x = points[tour(points, scale=[1e-3, 1e3])][:, 0]
    assert (np.diff(by_x) != 0).sum() == 1


def test_it_starts_near_0_v():
    points = np.linspace(-3, 1, 41)[:, None]
    assert tour(points)[0] == 40


@pytest.mark.parametrize(
    ("error", "points", "scale"),
    [
        (ShapeError, np.ones(3), 1.0),
        (ShapeError, np.ones((3, 2)), [1.0, 1.0, 1.0]),
        (NotFiniteError, np.full((3, 2), np.nan), 1.0),
        (ParameterError, np.ones((3, 2)), 0.0),
        (ParameterError, np.ones((3, 2)), [1.0, np.nan]),
    ],
)
def test_what_has_no_meaning_is_refused(error, points, scale):
    with pytest.raises(error):
        tour(points, scale=scale)
