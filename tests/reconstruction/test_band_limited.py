"""Averages over squares give the potential on sites back; images tell a good one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from inmateria import ElectronGas, Lead, RemoteDopants
from inmateria.datasets.averaging import block_average
from inmateria.errors import NotFiniteError, ParameterError, ShapeError
from inmateria.reconstruction.band_limited import on_sites
from inmateria.reconstruction.misfit import computed_pldos
from inmateria.reconstruction.refinement import refine

GAS = ElectronGas(n_x=64, n_y=48, source=Lead(14, 20), drain=Lead(0, 48))
DOPANTS = RemoteDopants()


@pytest.mark.parametrize("periodic", [True, False])
def test_averages_give_the_potential_back(periodic: bool) -> None:
    dopants = replace(DOPANTS, periodic=periodic)
    true = dopants.sample(GAS, seed=2).potential
    # A distance that is too small lets more components in than there are.
    found = on_sites(block_average(true, 4), GAS, replace(dopants, spacing_nm=40.0))
    error = (found - true).std() / true.std()
    # sigma is 1 % of the spread. Inside, components are known far better than single averages;
    # beyond the edges of a sample that is not periodic they are not.
    assert error < (1e-3 if periodic else 1e-2)
    # Means of squares in the wrong place, or plain repetition, are far off.
    repeated = block_average(true, 4).repeat(4, axis=0).repeat(4, axis=1)
    assert (repeated - true).std() / true.std() > 0.1
    assert found.mean() == pytest.approx(true.mean(), abs=1e-3 * true.std())


def test_a_constant_and_full_resolution_are_left_alone() -> None:
    np.testing.assert_array_equal(on_sites(np.full((16, 12), 0.3), GAS, DOPANTS), 0.3)
    true = DOPANTS.sample(GAS, seed=2).potential
    np.testing.assert_array_equal(on_sites(true, GAS, DOPANTS), true)


def test_the_true_potential_explains_its_image_and_another_does_not() -> None:
    true = DOPANTS.sample(GAS, seed=3).potential
    seen = block_average(GAS.pldos(true, accuracy=1e-8), 2)
    found = computed_pldos(GAS, true, 7.0 * seen)
    assert found.scale == pytest.approx(7.0, rel=1e-3)
    # 1e-3 of the maximum was asked for, which is about ten times the spread.
    assert found.misfit < 1e-2
    np.testing.assert_allclose(found.image, 7.0 * seen, atol=7e-3 * seen.max())
    fixed = computed_pldos(GAS, true, 7.0 * seen, free_scale=False)
    # Without the scale six sevenths are missing, mean and all.
    assert fixed.scale == 1.0
    assert fixed.misfit == pytest.approx(6 / 7 * np.sqrt((seen**2).mean()) / seen.std(), rel=1e-2)
    assert computed_pldos(GAS, DOPANTS.sample(GAS, seed=4).potential, seen).misfit > 0.5


def test_refinement_by_an_image_on_coarse_pixels() -> None:
    true = DOPANTS.sample(GAS, seed=3).potential
    start = np.sqrt(1 - 0.1**2) * true + 0.1 * DOPANTS.sample(GAS, seed=4).potential
    seen = block_average(GAS.pldos(true, accuracy=1e-8), 2)
    found = refine(GAS, start, seen, pixel=2, most=60)
    assert found.image.shape == seen.shape
    assert found.misfit_after < 0.05 * found.misfit_before
    assert (found.potential_mev - true).std() < 0.03 * true.std()
    with pytest.raises(ParameterError, match="divisor"):
        refine(GAS, start, seen, pixel=5)
    with pytest.raises(ShapeError, match="measured image"):
        refine(GAS, start, seen)


def test_errors() -> None:
    with pytest.raises(ShapeError, match="64 x 48 sites"):
        on_sites(np.zeros((15, 12)), GAS, DOPANTS)
    with pytest.raises(NotFiniteError):
        on_sites(np.full((16, 12), np.nan), GAS, DOPANTS)
    with pytest.raises(ShapeError, match="sites a pixel"):
        computed_pldos(GAS, np.zeros(GAS.shape), np.ones((32, 32)))
    with pytest.raises(ParameterError, match="same everywhere"):
        computed_pldos(GAS, np.zeros(GAS.shape), np.ones((32, 24)))
