"""The error of a mean: exact for white noise, honest for coloured."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.errors import ShapeError
from inmateria.rigs.noise import PowerLawNoise
from inmateria.signals.allan import MeanError, mean_error

RATE = 1000.0


def test_white_noise_gives_the_usual_error() -> None:
    noise = np.random.default_rng(1).normal(0, 2.0, (3, 400, 64))
    found = mean_error(noise)
    # 400 stretches with 1, 3 and 7 pairs each: the error is known to a few per cent.
    assert found.standard_error == pytest.approx(np.full(3, 2.0 / 8), rel=0.1)
    assert found.exponent == pytest.approx(np.full(3, -1.0), abs=0.1)
    # Far apart or near, white means differ by the same.
    assert found.difference(1000.0) == pytest.approx(np.sqrt(2) * found.standard_error, rel=0.1)


def test_coloured_noise_gives_the_scatter_of_neighbouring_means() -> None:
    n = 200
    stream = PowerLawNoise(1e-3, 100.0, 1.5, lowest_hz=0.01).stream(4, RATE, seed=3)
    stretches = stream.next(400 * n).reshape(4, 400, n)
    found = mean_error(stretches)
    means = stretches.mean(axis=-1)
    truth = np.sqrt((np.diff(means, axis=-1) ** 2).mean(axis=-1) / 2)
    # 399 differences, correlated ones: 5 % of scatter, and as much for the carrying on.
    assert found.standard_error == pytest.approx(truth, rel=0.15)
    # 1/f^1.5 goes as tau^0.5.
    assert found.exponent == pytest.approx(np.full(4, 0.5), abs=0.15)
    # Independent samples would promise an error several times smaller.
    naive = stretches.std(axis=-1).mean(axis=-1) / np.sqrt(n)
    assert (truth > 3 * naive).all()
    # And differences grow with the time between; slow ones are few, so all four together.
    apart = np.sqrt(((means[:, 8:] - means[:, :-8]) ** 2).mean())
    promised = np.sqrt((found.difference(8.0) ** 2).mean())
    assert promised == pytest.approx(apart, rel=0.3)
    assert promised > 1.8 * found.difference(1.0).mean()


def test_a_drift_and_a_random_walk_grow_as_they_must() -> None:
    drift = MeanError(np.array(1.0), np.array(2.0))
    assert drift.difference([1, 5]) == pytest.approx(np.sqrt(2) * np.array([1, 5]))
    # Means of a random walk: <(y_m - y_0)^2> = m - 1/3 of its own over one length.
    walk = MeanError(np.array(1.0), np.array(1.0))
    assert walk.difference(7.0) ** 2 == pytest.approx(2 * (7 - 1 / 3) / (1 - 1 / 3))
    # 1/f is the limit from either side.
    near = [float(MeanError(np.array(1.0), np.array(e)).difference(9.0)) for e in (-0.01, 0, 0.01)]
    assert near[0] < near[1] < near[2] < 1.02 * near[0]


def test_a_single_long_stretch() -> None:
    stream = PowerLawNoise(1e-3, 100.0, 1.5, lowest_hz=0.01).stream(40, RATE, seed=5)
    two = stream.next(8192).reshape(40, 2, 4096)
    found = mean_error(two[:, :1])
    # The next mean differs by root two errors: half of the draws by less than 0.67 of that. The
    # median of 40 is known to 0.13, and each error is itself off by a third.
    z = np.diff(two.mean(axis=-1), axis=-1)[:, 0] / (np.sqrt(2) * found.standard_error)
    assert 0.4 < np.median(np.abs(z)) < 1.1


def test_a_dead_recording_has_no_error() -> None:
    found = mean_error(np.full((2, 1, 64), 3.0))
    assert (found.standard_error == 0).all()


@pytest.mark.parametrize("shape", [(64,), (1, 7), (3, 3)])
def test_too_little_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"stretch"):
        mean_error(np.zeros(shape))
