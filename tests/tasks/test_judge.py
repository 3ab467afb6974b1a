"""Thresholds and levels, against counting by brute force."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.tasks import judge


def test_best_threshold_is_as_good_as_trying_all():
    rng = np.random.default_rng(0)
    for _ in range(50):
        current = rng.normal(0, 3, 9).round(1)
        target = rng.integers(0, 2, 9)
        threshold, accuracy = judge.best_threshold(current, target)
        tried = np.concatenate([current - 0.05, current + 0.05])
        best = max(np.mean((current > t) == (target > 0)) for t in tried)
        assert accuracy == pytest.approx(best)
        assert judge.accuracy_at(current, target, threshold) == pytest.approx(best)


def test_threshold_of_separable_classes_is_the_middle_of_the_margin():
    assert judge.best_threshold([0.0, 3.9, 10.0, 12.0], [0, 0, 1, 1])[0] == pytest.approx(6.95)


def test_no_threshold_stands_between_equal_currents():
    threshold, accuracy = judge.best_threshold([1.0, 1.0, 1.0], [0, 1, 1])
    assert accuracy == pytest.approx(2 / 3)
    assert threshold < 1.0


def test_thresholds_are_batched():
    current = np.random.default_rng(1).normal(size=(2, 3, 6))
    target = np.array([0, 1, 0, 1, 1, 0])
    threshold, accuracy = judge.best_threshold(current, target)
    assert threshold.shape == accuracy.shape == (2, 3)
    for i in np.ndindex(2, 3):
        assert judge.best_threshold(current[i], target) == (threshold[i], accuracy[i])


def test_levels_are_counted_greedily():
    # 0, then 1.2 (0.5 is too near 0), then 2.5.
    assert judge.count_distinct([0.5, 2.5, 0.0, 1.2], 1.0) == 3
    assert judge.smallest_gap([0.5, 2.5, 0.0, 1.2]) == pytest.approx(0.5)
    assert judge.count_distinct([1.0, 1.0, 1.0], 0.0) == 1


def test_share_in_band_finds_the_fullest_band():
    assert judge.share_in_band([0.0, 0.5, 0.9, 5.0], 1.0) == 0.75
    assert judge.share_in_band([0.0, 1.0], 1.0) == 0.5
