"""Genetic algorithm: known minima, its five groups, a gate on a noisy rig."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.errors import ParameterError
from inmateria.training.genetic import genetic
from inmateria.training.task_on_rig import SearchEnded

from .known_losses import HIGH_V, LOW_V, KnownLoss, rosenbrock, settings_to_find, sphere


def test_finds_the_bottom_of_a_bowl() -> None:
    task = KnownLoss(sphere)
    genetic(task, seed=0, generations=60)
    # Small changes are 0.05 of 3 V; ranking among some hundred of them gets a tenth
    # of that on each of three controls.
    assert task.losses.min() < 3 * 0.015**2
    assert len(task.asked) == 60 * 25


def test_gets_far_down_a_curved_valley() -> None:
    task = KnownLoss(rosenbrock, 2)
    genetic(task, seed=1, generations=100)
    random = rosenbrock(np.random.default_rng(1).uniform(LOW_V, HIGH_V, (2500, 2)))
    assert task.losses.min() < 0.1 * random.min()


def test_a_generation_has_its_five_groups() -> None:
    task = KnownLoss(sphere)
    genetic(task, seed=3, population=23, generations=2)
    first, second = task.asked[:23], task.asked[23:]
    fittest = first[np.argsort(sphere(first))[:4]]
    assert np.array_equal(second[:4], fittest)  # unchanged, and measured again
    moved = np.abs(second[4:8] - fittest)
    assert (moved > 0).all()
    assert moved.max() < 5 * 0.05 * (HIGH_V - LOW_V)
    # What is left over by division by five is fresh: 3 x 3 groups of 4, and 7.
    fresh = second[16:]
    assert len(fresh) == 7
    distance = np.abs(fresh[:, None] - first).min(axis=1)
    assert (distance.max(axis=1) > 0).all()


def test_without_mutations_a_cross_stays_between_its_parents() -> None:
    task = KnownLoss(sphere, 1)
    genetic(task, seed=0, population=10, generations=2, mutation_rate=1e-12, blend=1e-12)
    first, second = task.asked[:10, 0], task.asked[10:, 0]
    fittest = first[np.argsort(sphere(first[:, None]))[:2]]
    # Group 3: both parents are among the two fittest.
    assert (second[4:6] >= fittest.min() - 1e-9).all()
    assert (second[4:6] <= fittest.max() + 1e-9).all()


def test_the_seed_decides_everything() -> None:
    runs = [KnownLoss(sphere) for _ in range(3)]
    for task, seed in zip(runs, (5, 5, 6), strict=True):
        genetic(task, seed=seed, generations=4)
    assert np.array_equal(runs[0].asked, runs[1].asked)
    assert not np.array_equal(runs[0].asked, runs[2].asked)


def test_ends_when_the_search_is_ended() -> None:
    task = KnownLoss(sphere, most=30)
    with pytest.raises(SearchEnded):
        genetic(task, seed=0)
    assert len(task.asked) == 30


def test_finds_a_rare_gate_sooner_than_chance() -> None:
    # One random setting in 500 does OR by this margin: a random search has it within 120 with
    # probability 1 - 0.998^120 = 0.214. Of 24 random searches, 10 have a chance of 2 %.
    assert (settings_to_find(genetic, "OR", n_seeds=24) < 120).sum() >= 10


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"population": 4}, "population is 4; give a whole number of 5 or more"),
        ({"generations": 0}, "generations is 0"),
        ({"variation": 0.0}, "variation is 0.0"),
        ({"mutation_rate": 1.5}, "mutation_rate is 1.5"),
    ],
)
def test_refuses(options: dict[str, float], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        genetic(KnownLoss(sphere), seed=0, **options)  # type: ignore[arg-type]
