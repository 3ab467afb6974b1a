"""Particle swarm: known minima, constriction, mirrors, a gate on a noisy rig."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.errors import ParameterError
from inmateria.training.particle_swarm import constriction, particle_swarm
from inmateria.training.task_on_rig import SearchEnded

from .known_losses import KnownLoss, rosenbrock, settings_to_find, sphere


def test_constriction_is_that_of_clerc_and_kennedy() -> None:
    assert constriction(4.1) == pytest.approx(0.72984, abs=1e-5)
    # chi solves chi^2 - ... : with phi = 4 + e it tends to 1 as 1 - sqrt(e).
    assert constriction(4 + 1e-8) == pytest.approx(1 - 1e-4, abs=1e-7)


@pytest.mark.parametrize(("loss", "n"), [(sphere, 1), (sphere, 5), (rosenbrock, 2)])
def test_contracts_onto_the_minimum(loss, n: int) -> None:  # type: ignore[no-untyped-def]
    task = KnownLoss(loss, n)
    particle_swarm(task, seed=0, generations=100)
    # chi^100 = 2e-14 of the range for a free particle; where it ends is the minimum itself.
    assert task.losses.min() < 1e-4
    assert len(task.asked) == 100 * 20


def test_a_minimum_on_the_edge_is_reached_from_inside() -> None:
    task = KnownLoss(lambda v: v[..., 0] + v[..., 1], 2)
    particle_swarm(task, seed=0, generations=60)
    assert task.losses.min() == pytest.approx(-2.0, abs=1e-3)  # both at -1 V


def test_the_seed_decides_everything() -> None:
    runs = [KnownLoss(sphere) for _ in range(3)]
    for task, seed in zip(runs, (5, 5, 6), strict=True):
        particle_swarm(task, seed=seed, generations=4)
    assert np.array_equal(runs[0].asked, runs[1].asked)
    assert not np.array_equal(runs[0].asked, runs[2].asked)


def test_ends_when_the_search_is_ended() -> None:
    task = KnownLoss(sphere, most=30)
    with pytest.raises(SearchEnded):
        particle_swarm(task, seed=0)
    assert len(task.asked) == 30


def test_finds_a_rare_gate_sooner_than_chance() -> None:
    # Random search: median 346, and 2 % for 5 of 8 within 120 (see test_genetic).
    assert np.median(settings_to_find(particle_swarm, "OR")) < 120


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"particles": 1}, "particles is 1; give a whole number of 2 or more"),
        ({"own_pull": 2.0, "swarm_pull": 2.0}, r"own_pull \+ swarm_pull is 4;"),
        ({"first_step": 0.0}, "first_step is 0.0"),
        ({"generations": 1.5}, "generations is 1.5"),
    ],
)
def test_refuses(options: dict[str, float], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        particle_swarm(KnownLoss(sphere), seed=0, **options)  # type: ignore[arg-type]
