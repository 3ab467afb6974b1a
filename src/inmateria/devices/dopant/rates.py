"""Hopping rates between localised states, in units of the attempt frequency.

A hop over a distance r that costs the energy x (in kT) happens at the rate
w g(x) with w = exp(-2 r / a) and, for the two rules offered,

    Miller-Abrahams   g(x) = min(1, exp(-x))
    Glauber           g(x) = 1 / (1 + exp(x))

Both obey detailed balance, g(x) = exp(-x) g(-x). Glauber rates are smooth;
Miller-Abrahams rates leave a kink in I(V) wherever a hop becomes downhill.

Source: A. Miller and E. Abrahams, Phys. Rev. 120, 745 (1960); R. J. Glauber,
J. Math. Phys. 4, 294 (1963).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from inmateria.compiled import compiled
from inmateria.errors import ParameterError

MILLER_ABRAHAMS = 0
GLAUBER = 1
RATES = {"miller-abrahams": MILLER_ABRAHAMS, "glauber": GLAUBER}

# exp(700) is the last power that a double holds; a hop that costs 700 kT never happens.
LARGEST_EXPONENT = 700.0


def rate_number(name: str) -> int:
    """The compiled kernels' number for a rate rule.

    Raises
    ------
    ParameterError
        If there is no such rule.
    """
    if name not in RATES:
        raise ParameterError(f"rates {name!r} are unknown; choose one of {', '.join(RATES)}")
    return RATES[name]


@compiled
def both_ways(x: float, rule: int) -> tuple[float, float, float, float]:
    """g(x), g(-x), g'(x) and g'(-x), with one exponential."""
    small = math.exp(-min(abs(x), LARGEST_EXPONENT))
    if rule == GLAUBER:
        down = 1.0 / (1.0 + small)
        up = small * down
        slope = -up * down
        if x > 0.0:
            return up, down, slope, slope
        return down, up, slope, slope
    if x > 0.0:
        return small, 1.0, -small, 0.0
    return 1.0, small, 0.0, -small


@compiled
def expansion(x: float, rule: int) -> tuple[float, float, float, float, float, float, float, float]:
    """g(x) and h(x) = g(-x) and, each for both, the first, second and third derivatives to x.

    For Miller-Abrahams rates those on either side of the kink at x = 0.
    """
    small = math.exp(-min(abs(x), LARGEST_EXPONENT))
    if rule == GLAUBER:
        down = 1.0 / (1.0 + small)
        up = small * down
        g, h = (up, down) if x > 0.0 else (down, up)
        both = g * h
        apart = h - g
        second = both * apart
        third = both * (2.0 * both - apart * apart)
        return g, h, -both, both, second, -second, third, -third
    if x > 0.0:
        return small, 1.0, -small, 0.0, small, 0.0, -small, 0.0
    return 1.0, small, 0.0, small, 0.0, small, 0.0, small


def hop_weight(distance_nm: NDArray[np.float64], *, localisation_nm: float) -> NDArray[np.float64]:
    """exp(-2 r / a) for distances r, any shape, nm; a is the localisation length, nm."""
    return np.exp(-2.0 * distance_nm / localisation_nm)
