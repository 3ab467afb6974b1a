"""From transverse modes to sites and back, and the cosine transform of a potential.

Sines and cosines are even or odd about the middle of the sample, so each transform
is done on half of the sites, for the even and the odd modes apart: half the work of
one product with the full table. (A fast transform gains nothing at a few hundred
sites whose number plus one is prime, as in the default geometry.)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inmateria.compiled import compiled
from inmateria.transport.row_products import add_product
from inmateria.transport.strip import transverse_modes


class Tables(NamedTuple):
    """Half tables of sines and cosines for `n_y` rows, h = ceil(n_y / 2) of them.

    Attributes
    ----------
    even, odd : (number of modes, h) arrays
        Modes that are even or odd about the middle, over sites.
    even_back, odd_back : (h, number of modes) arrays
        The same over modes.
    cosine_even, cosine_odd : (h, n_y + 2) arrays
        cos(pi k j / (n_y + 1)) / (n_y + 1) for k = 0, 2, 4 .. and k = 1, 3, 5 ..
    """

    even: NDArray[np.float64]
    odd: NDArray[np.float64]
    even_back: NDArray[np.float64]
    odd_back: NDArray[np.float64]
    cosine_even: NDArray[np.float64]
    cosine_odd: NDArray[np.float64]


def make_tables(n_y: int) -> Tables:
    """Tables for a sample of `n_y` rows."""
    half = (n_y + 1) // 2
    chi = transverse_modes(n_y)[:half]
    even, odd = chi[:, 0::2], chi[:, 1::2]
    j, k = np.arange(1, half + 1), np.arange(2 * n_y + 4)
    angle = np.pi * (np.outer(j, k) % (2 * (n_y + 1))) / (n_y + 1)
    cosine = np.cos(angle) / (n_y + 1)
    parts = (even.T, odd.T, even, odd, cosine[:, 0::2], cosine[:, 1::2])
    return Tables(*(np.ascontiguousarray(part) for part in parts))


@compiled
def to_sites(tables, modes, low, high, sites, scratch):  # type: ignore[no-untyped-def]
    """sites[c, j] = sum over low <= m < high of modes[c, m] chi_m(j).

    Parameters
    ----------
    modes, sites : (n_rows, n_y) arrays
    scratch : (3, n_rows, n_y) array
    """
    n_rows, n_y = sites.shape
    half = (n_y + 1) // 2
    first_even, first_odd = (low + 1) // 2, low // 2
    n_even, n_odd = (high + 1) // 2 - first_even, high // 2 - first_odd
    gathered, even, odd = scratch[0], scratch[1], scratch[2]
    for c in range(n_rows):
        for q in range(n_even):
            gathered[c, q] = modes[c, 2 * (first_even + q)]
        for j in range(half):
            even[c, j] = 0.0
            odd[c, j] = 0.0
    add_product(even, gathered, tables.even[first_even:], n_rows, n_even, half, 1.0)
    for c in range(n_rows):
        for q in range(n_odd):
            gathered[c, q] = modes[c, 2 * (first_odd + q) + 1]
    add_product(odd, gathered, tables.odd[first_odd:], n_rows, n_odd, half, 1.0)
    for c in range(n_rows):
        for j in range(half):
            sites[c, n_y - 1 - j] = even[c, j] - odd[c, j]
        for j in range(half):
            sites[c, j] = even[c, j] + odd[c, j]


@compiled
def to_modes(tables, sites, low, high, modes, scratch):  # type: ignore[no-untyped-def]
    """modes[c, m] = sum_j sites[c, j] chi_m(j) for low <= m < high; shapes as in `to_sites`.

    Modes from `low` down to a multiple of 16 are found as well: whole vectors.
    """
    n_rows, n_y = sites.shape
    half = (n_y + 1) // 2
    first = low // 16 * 8
    n_even, n_odd = (high + 1) // 2 - first, high // 2 - first
    gathered, result = scratch[0], scratch[1]
    for c in range(n_rows):
        for j in range(half):
            gathered[c, j] = sites[c, j] + sites[c, n_y - 1 - j]
        if n_y % 2:
            gathered[c, half - 1] = sites[c, half - 1]
        for q in range(n_even):
            result[c, q] = 0.0
    add_product(result, gathered, tables.even_back[:, first:], n_rows, half, n_even, 1.0)
    for c in range(n_rows):
        for q in range(n_even):
            modes[c, 2 * (first + q)] = result[c, q]
        for j in range(half):
            gathered[c, j] = sites[c, j] - sites[c, n_y - 1 - j]
        for q in range(n_odd):
            result[c, q] = 0.0
    # The middle row of an odd number is a node of all odd modes.
    add_product(result, gathered, tables.odd_back[:, first:], n_rows, half, n_odd, 1.0)
    for c in range(n_rows):
        for q in range(n_odd):
            modes[c, 2 * (first + q) + 1] = result[c, q]


@compiled
def cosine_transform(tables, potential, n_terms, terms, scratch):  # type: ignore[no-untyped-def]
    """terms[i, k] = sum_j potential[i, j] cos(pi k j / (n_y + 1)) / (n_y + 1), k < n_terms or more.

    Parameters
    ----------
    potential : (n_slices, n_y) array
    terms : (>= n_slices, 2 n_y + 4) array
    scratch : (2, >= n_slices, n_y + 2) array
    """
    n_slices, n_y = potential.shape
    half = (n_y + 1) // 2
    # Whole vectors, as far as the tables reach.
    n_terms = min((n_terms + 15) // 16 * 16, 2 * tables.cosine_even.shape[1])
    n_even, n_odd = (n_terms + 1) // 2, n_terms // 2
    gathered, result = scratch[0], scratch[1]
    for i in range(n_slices):
        for j in range(half):
            gathered[i, j] = potential[i, j] + potential[i, n_y - 1 - j]
        if n_y % 2:
            gathered[i, half - 1] = potential[i, half - 1]
        for q in range(n_even):
            result[i, q] = 0.0
    add_product(result, gathered, tables.cosine_even, n_slices, half, n_even, 1.0)
    for i in range(n_slices):
        for q in range(n_even):
            terms[i, 2 * q] = result[i, q]
        for j in range(half):
            gathered[i, j] = potential[i, j] - potential[i, n_y - 1 - j]
        for q in range(n_odd):
            result[i, q] = 0.0
    add_product(result, gathered, tables.cosine_odd, n_slices, half, n_odd, 1.0)
    for i in range(n_slices):
        for q in range(n_odd):
            terms[i, 2 * q + 1] = result[i, q]
