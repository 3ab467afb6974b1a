"""What population methods share: mirrors, losses in order, refused settings."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.errors import ParameterError
from inmateria.training.population import check_count, check_number, measured_loss, reflected

from .known_losses import HIGH_V, LOW_V, KnownLoss, sphere


def test_mirrors_fold_any_coordinate_into_the_cube() -> None:
    x = np.array([-2.25, -1.0, -0.3, 0.0, 0.4, 1.0, 1.2, 2.0, 3.75])
    assert reflected(x) == pytest.approx([0.25, 1.0, 0.3, 0.0, 0.4, 1.0, 0.8, 0.0, 0.25])


def test_mirrors_keep_a_uniform_density_uniform() -> None:
    # Clipping would put half of these points on the edges.
    x = reflected(np.random.default_rng(0).uniform(-0.5, 1.5, 20_000))
    counts, _ = np.histogram(x, 10, range=(0, 1))
    # Ten bins of 2,000 +- 42; five standard deviations.
    assert np.abs(counts - 2000).max() < 5 * 42


def test_losses_come_in_the_order_of_the_population_and_in_volts() -> None:
    task = KnownLoss(sphere)
    unit = np.random.default_rng(0).random((4, 3))
    loss = measured_loss(task, unit, generation=0)
    assert task.asked == pytest.approx(LOW_V + (HIGH_V - LOW_V) * unit)
    assert loss == pytest.approx(sphere(task.asked))


def test_what_could_not_be_read_is_infinitely_bad() -> None:
    task = KnownLoss(lambda v: np.where(v[..., 0] > 0, np.nan, v[..., 1]))
    loss = measured_loss(task, np.array([[1.0, 0.5, 0.5], [0.0, 0.5, 0.5]]), generation=0)
    assert loss[0] == np.inf
    assert loss[1] == pytest.approx(0.5)


@pytest.mark.parametrize("value", [0, 2.5, True, "3", None])
def test_counts_are_whole_numbers(value: object) -> None:
    with pytest.raises(ParameterError, match=r"particles is .*; give a whole number of 1 or more"):
        check_count("particles", value, least=1)


@pytest.mark.parametrize("value", [0.0, -1.0, 1.5, np.nan, np.inf])
def test_numbers_have_limits(value: float) -> None:
    with pytest.raises(ParameterError, match=r"step is .*; give a number of more than 0, up to 1"):
        check_number("step", value, low=0, high=1)
