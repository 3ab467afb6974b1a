"""Block statistics: ratio, standard error, truncation."""

from __future__ import annotations

import numpy as np

from inmateria.devices.dopant.kmc_blocks import pairs, ratio, truncation


def test_ratio_weights_blocks_with_their_time():
    time = np.array([1.0, 3.0, 2.0, 2.0])
    mean, error = ratio((5.0 * time)[:, None], time)
    np.testing.assert_allclose(mean, [5.0])
    np.testing.assert_allclose(error, [0.0], atol=1e-15)


def test_standard_error_is_that_of_independent_blocks():
    generator = np.random.default_rng(0)
    blocks = generator.normal(2.0, 1.0, (2000, 32, 1))
    mean, error = ratio(blocks, np.ones((2000, 32)))
    expected = 1 / np.sqrt(32)
    # 2,000 means: their spread is known to 1 / sqrt(4000) = 1.6 %.
    assert abs(mean.std() / expected - 1) < 0.05
    # The larger of two estimates that scatter by 12 % and 18 % is some 6 % above the truth.
    assert 1.0 < np.sqrt(np.mean(error**2)) / expected < 1.12


def test_correlated_blocks_are_given_the_error_of_pairs():
    generator = np.random.default_rng(1)
    noise = generator.normal(size=(500, 64))
    twice = np.repeat(noise, 2, axis=1)[..., None]  # neighbours equal: half as many blocks in truth
    _, error = ratio(twice, np.ones((500, 128)))
    assert 0.9 < np.sqrt(np.mean(error**2)) * np.sqrt(64) < 1.1


def test_pairs_adds_neighbours():
    np.testing.assert_array_equal(pairs(np.arange(6.0)[:, None])[:, 0], [1, 5, 9])
    np.testing.assert_array_equal(pairs(np.arange(6.0), -1), [1, 5, 9])


def test_truncation_leaves_out_a_transient_and_nothing_of_a_flat_row():
    generator = np.random.default_rng(2)
    flat = generator.normal(size=(200, 64, 1))
    decay = flat + 30 * np.exp(-np.arange(64) / 5)[:, None]
    late = flat + 0.5 * np.arange(64)[:, None]
    assert np.median(truncation(flat)) <= 6
    # exp(-d / 5) x 30 falls below the noise of the mean, 1 / 8, at d = 27.
    assert 12 <= np.median(truncation(decay)) <= 32
    assert (truncation(decay) <= 32).mean() > 0.95
    assert (truncation(late) > 32).mean() > 0.95


def test_truncation_heeds_the_slowest_quantity():
    generator = np.random.default_rng(3)
    series = generator.normal(size=(64, 3))
    series[:, 1] += 100 * (np.arange(64) < 20)
    assert truncation(series) >= 20
