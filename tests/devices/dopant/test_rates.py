"""Hopping rates: detailed balance, slopes, extremes."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.devices.dopant.rates import RATES, both_ways, hop_weight, rate_number
from inmateria.errors import ParameterError

COSTS = [-800.0, -40.0, -3.0, -1e-3, 1e-3, 3.0, 40.0, 800.0]


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("x", COSTS)
def test_detailed_balance(name, x):
    up, down, _, _ = both_ways(x, rate_number(name))
    assert 0 <= up <= 1
    assert 0 <= down <= 1
    if abs(x) < 700:
        assert up == pytest.approx(np.exp(-x) * down, rel=1e-13)


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("x", [x for x in COSTS if abs(x) <= 40])
def test_slopes_match_differences(name, x):
    rule = rate_number(name)
    h = 1e-4 * min(1.0, abs(x))
    above, below = both_ways(x + h, rule), both_ways(x - h, rule)
    _, _, d_up, d_down = both_ways(x, rule)
    # Central differences of exp(-x): relative error h^2 / 6 plus rounding 1e-16 / h.
    assert d_up == pytest.approx((above[0] - below[0]) / (2 * h), rel=1e-6, abs=1e-8)
    # g'(-x): the derivative of down with respect to x is minus that.
    assert d_down == pytest.approx(-(above[1] - below[1]) / (2 * h), rel=1e-6, abs=1e-8)


def test_weight_falls_by_e_every_half_localisation_length():
    weight = hop_weight(np.array([0.0, 7.5, 15.0]), localisation_nm=15.0)
    np.testing.assert_allclose(weight, np.exp([0.0, -1.0, -2.0]))


def test_unknown_rule_names_the_choices():
    with pytest.raises(ParameterError, match="miller-abrahams, glauber"):
        rate_number("arrhenius")
