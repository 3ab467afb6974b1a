"""Sets of samples: the same however they are cut, different from one another."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.errors import ParameterError
from inmateria.transport.disorder.ensemble import Disorder
from inmateria.transport.disorder.gaussian import GaussianDisorder
from inmateria.transport.disorder.grid import Grid
from inmateria.transport.disorder.impurities import SiteImpurities
from inmateria.transport.disorder.remote_dopants import RemoteDopants
from inmateria.transport.disorder.short_range import ShortRange

GRID = Grid(64, 48, 20.0)
KINDS = [
    RemoteDopants(),
    RemoteDopants(periodic=False),
    GaussianDisorder(1.0, 80.0),
    ShortRange(1.0),
    SiteImpurities(0.2, 1.0),
]


@pytest.mark.parametrize("disorder", KINDS, ids=repr)
def test_a_set_does_not_depend_on_how_it_is_cut(disorder: Disorder) -> None:
    whole = disorder.sample_many(GRID, 7, seed=11)
    parts = [disorder.sample_many(GRID, n, seed=11, start=s) for s, n in ((0, 2), (2, 1), (3, 4))]
    joined = np.concatenate([part.potential for part in parts])
    # The random numbers are the same; sums of hundreds of them may round differently.
    np.testing.assert_allclose(joined, whole.potential, atol=1e-13)
    for i, stream in ((0, 0), (5, 5)):
        sequence = np.random.SeedSequence(11, spawn_key=(stream,))
        alone = disorder.sample(GRID, seed=np.random.default_rng(sequence))
        np.testing.assert_allclose(alone.potential, whole[i].potential, atol=1e-13)


@pytest.mark.parametrize("disorder", KINDS, ids=repr)
def test_seeds_repeat_and_samples_differ(disorder: Disorder) -> None:
    one = disorder.sample(GRID, seed=4).potential
    np.testing.assert_array_equal(one, disorder.sample(GRID, seed=4).potential)
    many = disorder.sample_many(GRID, 3, seed=4)
    assert many.potential.shape == (3, 64, 48)
    everything = np.stack([one, disorder.sample(GRID, seed=5).potential, *many.potential])
    correlations = np.corrcoef(everything.reshape(5, -1))[np.triu_indices(5, 1)]
    # Some 70 independent places at the least: 0.12 a pair, five times that never.
    assert np.abs(correlations).max() < 0.6
    assert disorder.sample_many(GRID, 0, seed=4).potential.shape == (0, 64, 48)


def test_samples_of_a_set_carry_their_coefficients() -> None:
    many = RemoteDopants().sample_many(GRID, 3, seed=2)
    assert many.coefficients is not None
    assert many.coefficients.c.shape == (3, 240)
    assert len(many) == 3
    for i, sample in enumerate(many):
        assert sample.coefficients is not None
        np.testing.assert_array_equal(sample.coefficients.c, many.coefficients.c[i])
        np.testing.assert_array_equal(sample.potential, many.potential[i])
    assert ShortRange(1.0).sample(GRID, seed=0).coefficients is None


def test_seeds_that_are_none_are_refused() -> None:
    for seed in (None, -1, 2.5):
        with pytest.raises(ParameterError, match="seed = "):
            ShortRange(1.0).sample(GRID, seed=seed)  # type: ignore[arg-type]
        with pytest.raises(ParameterError, match="seed = "):
            ShortRange(1.0).sample_many(GRID, 1, seed=seed)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="n = -2"):
        ShortRange(1.0).sample_many(GRID, -2, seed=0)
    with pytest.raises(ParameterError, match="start = -1"):
        ShortRange(1.0).sample_many(GRID, 2, seed=0, start=-1)
