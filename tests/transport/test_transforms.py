"""Half-table transforms against the full tables."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.transport.strip import transverse_modes
from inmateria.transport.transforms import cosine_transform, make_tables, to_modes, to_sites


@pytest.mark.parametrize("n_y", [1, 2, 7, 12, 33])
def test_against_the_full_tables(n_y: int) -> None:
    rng = np.random.default_rng(n_y)
    rows = rng.normal(size=(3, n_y))
    tables, chi = make_tables(n_y), transverse_modes(n_y)
    scratch, found = np.empty((3, 3, n_y + 2)), np.zeros((3, n_y))
    for low, high in {(0, 1), (0, n_y // 2 + 1), (n_y // 2, n_y), (0, n_y), (n_y - 1, n_y)}:
        to_sites(tables, rows, low, high, found, scratch)
        np.testing.assert_allclose(found, rows[:, low:high] @ chi[:, low:high].T, atol=1e-13)
        to_modes(tables, rows, low, high, found, scratch)
        np.testing.assert_allclose(found[:, low:high], rows @ chi[:, low:high], atol=1e-13)
    terms = np.zeros((3, 2 * n_y + 4))
    cosine_transform(tables, rows, 2 * n_y + 1, terms, np.empty((2, 3, n_y + 2)))
    j, k = np.arange(1, n_y + 1), np.arange(2 * n_y + 1)
    expected = rows @ np.cos(np.pi * np.outer(j, k) / (n_y + 1)) / (n_y + 1)
    np.testing.assert_allclose(terms[:, : k.size], expected, atol=1e-13)
