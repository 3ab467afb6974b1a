"""The series against its sum term by term, and coefficients that are refused."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.errors import NotFiniteError, ParameterError, ShapeError
from inmateria.transport.disorder.fourier import (
    FourierCoefficients,
    by_products,
    by_transform,
    half_plane,
    synthesise,
)
from inmateria.transport.disorder.grid import Grid


@pytest.mark.parametrize(("n_x", "n_y"), [(16, 12), (15, 11), (16, 11), (9, 14)])
def test_series_is_the_sum_over_the_whole_plane(n_x: int, n_y: int) -> None:
    """Even and odd sides; the highest wave numbers that the lattice resolves."""
    torus = Grid(n_x, n_y, 2.0)
    m_x, m_y = half_plane(torus, 0.9 * np.pi / 2)
    rng = np.random.default_rng(1)
    amplitude = rng.normal(size=(2, 3, len(m_x))) + 1j * rng.normal(size=(2, 3, len(m_x)))
    i, j = np.arange(n_x)[:, None], np.arange(n_y)
    expected = np.zeros((2, 3, n_x, n_y), dtype=complex)
    for k in range(len(m_x)):
        wave = np.exp(-2j * np.pi * (m_x[k] * i / n_x + m_y[k] * j / n_y))
        term = amplitude[..., k, None, None]
        expected += term * wave + term.conj() * wave.conj()
    assert np.abs(expected.imag).max() < 1e-13
    # Rounding of a hundred terms of order one.
    series = m_x, m_y, amplitude, torus
    np.testing.assert_allclose(by_transform(*series), expected.real, atol=1e-12)
    np.testing.assert_allclose(by_products(*series, (n_x, n_y)), expected.real, atol=1e-12)
    found = synthesise(*series, part=(n_x - 2, 5))
    np.testing.assert_allclose(found, expected.real[..., : n_x - 2, :5], atol=1e-12)


def test_few_terms_and_many_go_different_ways() -> None:
    """Both ways of `synthesise` are taken, and give the same."""
    torus, rng = Grid(64, 48, 5.0), np.random.default_rng(2)
    for q_max, way in ((0.02, "products"), (0.6, "transform")):
        m_x, m_y = half_plane(torus, q_max)
        amplitude = rng.normal(size=len(m_x)) + 1j * rng.normal(size=len(m_x))
        products = by_products(m_x, m_y, amplitude, torus, (64, 48))
        transform = by_transform(m_x, m_y, amplitude, torus)
        # Rounding: the terms add up to at most sum |A|.
        np.testing.assert_allclose(products, transform, atol=1e-14 * np.abs(amplitude).sum())
        found = synthesise(m_x, m_y, amplitude, torus)
        np.testing.assert_array_equal(found, products if way == "products" else transform)


def test_half_plane_has_each_wave_once() -> None:
    torus = Grid(64, 48, 20.0)
    m_x, m_y = half_plane(torus, 0.07)
    kept = set(zip(m_x.tolist(), m_y.tolist(), strict=True))
    inside = {
        (a, b)
        for a in range(-30, 31)
        for b in range(-30, 31)
        if (a, b) != (0, 0) and np.hypot(2 * np.pi * a / 1280, 2 * np.pi * b / 960) <= 0.07
    }
    assert len(kept) == len(m_x) == 240
    assert kept | {(-a, -b) for a, b in kept} == inside
    assert sorted(kept) == list(zip(m_x.tolist(), m_y.tolist(), strict=True))


def test_wrong_coefficients_are_refused() -> None:
    one, c = np.array([1]), np.array([1.0 + 0j])
    with pytest.raises(ParameterError, match=r"\(-1, 0\) is not in the half plane"):
        FourierCoefficients(-one, 0 * one, c)
    with pytest.raises(ParameterError, match=r"\(0, 0\) is not in the half plane"):
        FourierCoefficients(0 * one, 0 * one, c)
    with pytest.raises(ParameterError, match="there twice"):
        FourierCoefficients(np.array([1, 1]), np.array([2, 2]), np.zeros(2))
    with pytest.raises(ParameterError, match="give integers"):
        FourierCoefficients(np.array([1.5]), one, c)
    with pytest.raises(ShapeError, match=r"c \(2,\)"):
        FourierCoefficients(one, one, np.zeros(2))
    with pytest.raises(NotFiniteError, match=r"coefficient \(0,\) is nan"):
        FourierCoefficients(one, one, np.array([np.nan]))
    # Eight sites cannot tell wave number 4 from -4.
    with pytest.raises(ParameterError, match="wave number 4 on 8 sites along x"):
        synthesise(4 * one, one, c, Grid(8, 8))
