"""Gaussian disorder: its covariance site by site, edges, periods, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.errors import ParameterError
from inmateria.transport.disorder.ensemble import Disorder
from inmateria.transport.disorder.gaussian import GaussianDisorder
from inmateria.transport.disorder.grid import Grid

GRID = Grid(24, 18, 5.0)


class Impulses(np.random.Generator):
    """A source whose noise is 1 on one site: shows the linear map behind the samples."""

    def __init__(self, site: int) -> None:
        super().__init__(np.random.PCG64(0))
        self.site = site

    def standard_normal(self, *, out: np.ndarray) -> None:  # type: ignore[override]
        out[...] = 0
        out.flat[self.site] = 1


@pytest.mark.parametrize(("xi", "periodic"), [(20.0, False), (300.0, False), (20.0, True)])
def test_covariance_is_the_closed_form_at_every_pair(xi: float, periodic: bool) -> None:
    disorder = GaussianDisorder(1.3, xi, periodic)
    sites = range(GRID.n_x * GRID.n_y)
    rows = [disorder.sample(GRID, seed=Impulses(k)).potential.ravel() for k in sites]
    covariance = np.array(rows).T @ np.array(rows)
    x, y = (5.0 * i.ravel() for i in np.indices((24, 18)))
    dx, dy = (np.subtract.outer(r, r) for r in (x, y))
    images = (-2, -1, 0, 1, 2) if periodic else (0,)
    expected = sum(
        disorder.correlation(np.hypot(dx + 120 * k, dy + 90 * m)) for k in images for m in images
    )
    # Dropped eigenvalues: 1e-12 of the largest, 24 of 1.3^2, in each direction.
    assert np.abs(covariance - expected).max() < 1e-10


def test_half_height_and_gaussian_length() -> None:
    disorder = GaussianDisorder(2.0, 80.0)
    assert disorder.correlation(80.0) == pytest.approx(2.0, rel=1e-14)
    length = disorder.gaussian_length_nm
    r = np.array([0.0, 10.0, 200.0])
    np.testing.assert_allclose(
        disorder.correlation(r), 4 * np.exp(-(r**2) / (2 * length**2)), rtol=1e-13
    )
    assert isinstance(disorder, Disorder)


def test_meaningless_parameters_are_refused() -> None:
    with pytest.raises(ParameterError, match="rms_mev = 0"):
        GaussianDisorder(0, 80.0)
    with pytest.raises(ParameterError, match="correlation_length_nm = -3"):
        GaussianDisorder(1.0, -3)
    with pytest.raises(ParameterError, match=r"at most 22\.5 nm or periodic=False"):
        GaussianDisorder(1.0, 40.0, periodic=True).sample(GRID, seed=0)
