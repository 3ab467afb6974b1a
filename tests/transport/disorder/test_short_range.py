"""Uncorrelated disorder: its box, its closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.errors import ParameterError
from inmateria.transport.disorder.ensemble import Disorder
from inmateria.transport.disorder.grid import Grid
from inmateria.transport.disorder.impurities import SiteImpurities
from inmateria.transport.disorder.short_range import ShortRange


def test_box_of_anderson() -> None:
    disorder = ShortRange(2.0)
    v = disorder.sample(Grid(200, 200), seed=1).potential
    # 40,000 uniform numbers come within 1e-3 of either end, but for a chance of exp(-40).
    assert disorder.width_mev / 2 * 0.998 < v.max() < disorder.width_mev / 2
    assert -disorder.width_mev / 2 < v.min() < -disorder.width_mev / 2 * 0.998
    assert disorder.width_mev == pytest.approx(2 * np.sqrt(12))


def test_impurities_have_one_strength() -> None:
    disorder = SiteImpurities(0.1, -3.0)
    v = disorder.sample(Grid(200, 200), seed=1).potential
    np.testing.assert_allclose(np.unique(v), [-2.7, 0.3], atol=1e-15)
    # Binomial: 4 standard errors of the share.
    assert abs((v < 0).mean() - 0.1) < 4 * np.sqrt(0.09 / v.size)


@pytest.mark.parametrize("disorder", [ShortRange(0.9), SiteImpurities(0.1, 3.0)])
def test_closed_forms(disorder: Disorder) -> None:
    assert isinstance(disorder, Disorder)
    assert disorder.rms_mev == pytest.approx(0.9)
    assert disorder.correlation_length_nm == 0
    np.testing.assert_allclose(disorder.correlation([0.0, 5.0]), [0.81, 0.0])


def test_meaningless_parameters_are_refused() -> None:
    with pytest.raises(ParameterError, match="rms_mev = -1"):
        ShortRange(-1.0)
    with pytest.raises(ParameterError, match=r"fraction 1\.0"):
        SiteImpurities(1.0, 2.0)
    with pytest.raises(ParameterError, match="other than 0 meV"):
        SiteImpurities(0.5, 0.0)
