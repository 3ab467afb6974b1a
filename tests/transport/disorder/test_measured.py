"""Strength and length of given potentials: pairs counted one by one, known answers."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.errors import NotFiniteError, ParameterError, ShapeError
from inmateria.transport.disorder import measured
from inmateria.transport.disorder.gaussian import GaussianDisorder
from inmateria.transport.disorder.grid import Grid


@pytest.mark.parametrize("shape", [(9, 7), (6, 11)])
def test_correlation_is_the_mean_over_all_pairs(shape: tuple[int, int]) -> None:
    v = np.random.default_rng(0).normal(size=shape) + 3.0
    found = measured.correlation(v, 5.0)
    sites = [(i, j) for i in range(shape[0]) for j in range(shape[1])]
    rings: dict[int, list[tuple[float, float]]] = {}
    deviation = v - v.mean()
    for a in sites:
        for b in sites:
            r = float(np.hypot(a[0] - b[0], a[1] - b[1]))
            rings.setdefault(round(r), []).append((r, deviation[a] * deviation[b]))
    for k, (distance, value) in enumerate(zip(found.distance_nm, found.value, strict=True)):
        r, products = np.mean(rings[k], axis=0)
        assert abs(distance - 5 * r) < 1e-12
        assert abs(value - products) < 1e-13
    assert len(found.value) == min(shape) // 2 + 1


def test_a_wave_is_known() -> None:
    """A cos(q x) has rms A / sqrt(2); an offset is not disorder."""
    x = np.arange(120)[:, None]
    wave = 3 * np.cos(2 * np.pi * x / 24) + np.zeros(80)
    assert measured.rms_mev(wave) == pytest.approx(3 / np.sqrt(2), rel=1e-13)
    assert measured.rms_mev(wave + 100) == pytest.approx(3 / np.sqrt(2), rel=1e-12)
    phase = 2 * np.pi * np.arange(480) / 24
    both = 3 * np.cos(phase)[:, None] + 3 * np.cos(phase)
    # Averaged over directions cos(q x) becomes J_0(q R), half at q R = 1.521. Windows of no
    # whole number of periods add 1 / (2 q n) = 0.4 %, over a logarithmic slope of 0.85.
    length = measured.correlation_length_nm(both, 2.0)
    assert abs(length / (2.0 * 24 / (2 * np.pi) * 1.5211) - 1) < 0.01


def test_length_of_a_long_gaussian_sample() -> None:
    """400 lengths each way: the mean square scatters by 1 / 200, the length by as much."""
    sample = GaussianDisorder(0.7, 30.0).sample(Grid(1200, 1200, 10.0), seed=1).potential
    assert abs(measured.rms_mev(sample) / 0.7 - 1) < 0.01
    # Interpolation over a third of the length adds h^2 C'' / (8 C' xi), below 1 %.
    assert abs(measured.correlation_length_nm(sample, 10.0) / 30.0 - 1) < 0.02


def test_leading_axes_and_scales() -> None:
    v = GaussianDisorder(1.0, 20.0).sample_many(Grid(30, 24, 5.0), 6, seed=2).potential
    stacked = measured.correlation_length_nm(v.reshape(2, 3, 30, 24), 5.0)
    assert stacked.shape == (2, 3)
    alone = [float(measured.correlation_length_nm(one, 5.0)) for one in v]
    np.testing.assert_allclose(stacked.ravel(), alone, rtol=1e-12)
    np.testing.assert_allclose(
        measured.correlation_length_nm(-40 * v + 7, 2.5), stacked.ravel() / 2, rtol=1e-10
    )
    assert measured.rms_mev(v.reshape(2, 3, 30, 24)).shape == (2, 3)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    v = np.random.default_rng(3).normal(size=(5, 12, 10))
    whole = measured.correlation(v, 1.0).value
    monkeypatch.setattr(measured, "BLOCK", 700)
    np.testing.assert_allclose(measured.correlation(v, 1.0).value, whole, atol=1e-14)


def test_no_length_is_said_to_be_none() -> None:
    assert np.isnan(measured.correlation_length_nm(np.full((8, 8), 0.1), 5.0))
    step = np.repeat([[0.0], [1.0]], 40, axis=0) + np.zeros(8)
    assert np.isinf(measured.correlation_length_nm(step, 5.0))


def test_what_is_no_potential_is_refused() -> None:
    with pytest.raises(ShapeError, match="at least 4 sites"):
        measured.rms_mev(np.zeros((3, 8)))
    with pytest.raises(NotFiniteError, match=r"at \(0, 1\) is nan"):
        measured.correlation_length_nm(np.array([[0, np.nan], [1, 2]]), 5.0)
    with pytest.raises(ParameterError, match="spacing_nm = 0"):
        measured.correlation_length_nm(np.zeros((8, 8)), 0)
