"""Ring and sphere: where the points lie, and what is counted on which."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.tasks import Ring, Sphere


@pytest.mark.parametrize("task", [Ring(), Sphere(), Ring(n_train=31, n_test=17, seed=3)])
def test_classes_lie_where_they_should_and_are_balanced(task):
    # Levels are -0.7 V and 0.7 V: radius 1 is 0.7 V.
    radius = np.linalg.norm(task.points, axis=1) / 0.7
    outer = task.target > 0.5
    assert (radius[~outer] <= task.inner_radius).all()
    assert (radius[outer] >= task.inner_radius + task.gap - 1e-12).all()
    assert (radius[outer] <= 1 + 1e-12).all()
    for part in (task.train, ~task.train):
        assert abs(outer[part].sum() - (~outer[part]).sum()) <= 1
    assert task.train.sum() == task.n_train
    assert len(task.points) == task.n_train + task.n_test


def test_the_paper_sizes_of_the_sphere():
    sphere = Sphere()
    assert sphere.points.shape == (1300, 3)
    assert sphere.train.sum() == 300


@pytest.mark.parametrize(("task", "dimension"), [(Ring(n_train=2, n_test=8000), 2),
                                                  (Sphere(n_train=2, n_test=8000), 3)])  # fmt: skip
def test_points_are_uniform_in_area_and_volume(task, dimension):
    inner = task.target < 0.5
    share = (np.linalg.norm(task.points[inner], axis=1) / 0.7 / task.inner_radius) ** dimension
    # A uniform variable has mean 1/2; five standard errors of 4,000 draws are 5 x 0.289 / 63.
    assert abs(share.mean() - 0.5) < 0.023
    assert np.abs(task.points[inner].mean(0)).max() < 5 * 0.7 * task.inner_radius / np.sqrt(4000)


def test_the_seed_draws_the_points():
    assert (Ring(seed=1).points == Ring(seed=1).points).all()
    assert not (Ring(seed=1).points == Ring(seed=2).points).any()
    ring = Ring()
    assert not (ring.points[:200][:, None] == ring.points[200:][None]).all(-1).any()


def test_asymmetric_levels_move_and_stretch_the_ring():
    ring = Ring(low_v=(-0.93, -0.55), high_v=(0.33, 0.15))
    normalised = (ring.points - [-0.3, -0.2]) / [0.63, 0.35]
    assert np.linalg.norm(normalised, axis=1).max() <= 1 + 1e-12
    assert normalised == pytest.approx(Ring().points / 0.7)


def test_a_perfect_radius_gets_all_and_the_wrong_sign_half():
    ring = Ring()
    radius = np.linalg.norm(ring.points, axis=1)
    good = ring.score(radius)
    assert good.accuracy == 1.0
    assert good.passed
    assert 0.7 * 0.25 < good.threshold_na < 0.7 * 0.75
    upside_down = ring.score(-radius)
    assert upside_down.accuracy == 0.5
    assert not upside_down.passed


def test_the_threshold_is_chosen_on_the_training_points_only():
    # Over all 16 points 10.5 nA would be best.
    ring = Ring(n_train=4, n_test=12)
    outer = ring.target > 0.5
    current = np.where(outer, 1.0, 0.0)
    current[4:] += 10.0
    score = ring.score(current)
    assert score.threshold_na == 0.5
    assert score.accuracy == 0.5
    assert score.margin_na == 1.0


def test_accuracy_has_to_reach_what_is_demanded():
    ring = Ring(n_train=4, n_test=4, min_accuracy=0.75)
    current = ring.target.copy()
    current[4] = 1 - current[4]
    assert ring.score(current).accuracy == 0.75
    assert ring.score(current).passed
    current[5] = 1 - current[5]
    assert not ring.score(current).passed


def test_scores_are_batched():
    ring = Ring(n_train=6, n_test=10)
    current = np.random.default_rng(2).normal(size=(3, 16))
    score = ring.score(current)
    for i in range(3):
        assert score[i].to_dict() == ring.score(current[i]).to_dict()
