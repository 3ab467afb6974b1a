"""Patterns of pixels and labelings of points."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from inmateria.tasks import Features, labelings
from inmateria.tasks.capacity import CAPACITY_POINTS


def test_all_sixteen_patterns_once_in_binary_order():
    task = Features()
    bits = (task.points > 0).astype(int)
    assert [int("".join(map(str, row)), 2) for row in bits] == list(range(16))


def test_sixteen_steps_pass_and_a_pair_too_close_does_not():
    task = Features(min_margin_na=0.5)
    current = np.random.default_rng(0).permutation(16).astype(float)
    assert task.score(current).passed
    assert task.score(current).margin_na == 1.0
    assert task.score(current).accuracy == 1.0
    current[current == 3.0] = 2.2
    score = task.score(current)
    assert not score.passed
    assert score.margin_na == pytest.approx(0.2)
    assert score.accuracy == 15 / 16
    assert score.threshold_na != score.threshold_na


def test_features_are_batched():
    score = Features().score(np.zeros((2, 5, 16)))
    assert score.accuracy.shape == (2, 5)
    assert (score.accuracy == 1 / 16).all()


@pytest.mark.parametrize("n", [2, 4, 7])
def test_every_labeling_with_both_classes_once(n):
    tasks = labelings(n)
    assert len({t.labels for t in tasks}) == len(tasks) == 2**n - 2
    highs = np.array([t.target.sum() for t in tasks])
    for k in range(1, n):
        assert (highs == k).sum() == comb(n, k)
    assert all((t.points == tasks[0].points).all() for t in tasks)


def test_points_differ_and_stay_near_the_levels():
    points = labelings(7)[0].points
    assert len(np.unique(points, axis=0)) == 7
    assert np.abs(points).max() <= 0.7 * 1.25
    assert len(CAPACITY_POINTS) == 7


def test_the_first_four_points_are_those_of_the_gates():
    xor = next(t for t in labelings(4) if t.labels == "0110")
    assert xor.score([1.0, 5.0, 7.0, 2.0]).margin_na == 3.0
    assert xor.points[1].tolist() == [-0.7, 0.7]
