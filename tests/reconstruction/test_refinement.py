"""Refinement finds the potential again, from a start that is nearly right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from inmateria import ElectronGas, Lead, RemoteDopants
from inmateria.errors import NotFiniteError, ParameterError, ShapeError
from inmateria.reconstruction import refinement
from inmateria.reconstruction.limits import two_parameter_limit
from inmateria.reconstruction.metrics import coverage, pearson, rms_error
from inmateria.reconstruction.refinement import FourierPotential, refine
from inmateria.transport.gradient import transmission_gradient
from inmateria.transport.tip import Tip

GAS = ElectronGas(n_x=64, n_y=48, source=Lead(14, 20), drain=Lead(0, 48))
DOPANTS = RemoteDopants()


@pytest.mark.parametrize("dopants", [DOPANTS, replace(DOPANTS, periodic=False)])
def test_pull_back_is_the_transpose(dopants: RemoteDopants) -> None:
    space, rng = FourierPotential(GAS, dopants), np.random.default_rng(0)
    x, gradient = rng.normal(size=space.n), rng.normal(size=GAS.shape)
    forward = float((space.potential(x) * gradient).sum())
    assert forward == pytest.approx(float(x @ space.pull_back(gradient)), rel=1e-12)
    drawn = dopants.sample(GAS, seed=1).potential
    again = space.potential(space.unknowns(drawn))
    difference = again - drawn
    # A constant is left out of the unknowns; on part of the torus they are found by damping.
    assert (difference - difference.mean()).std() < (
        1e-10 if dopants.periodic else 0.05
    ) * drawn.std()


def test_unknowns_are_white() -> None:
    """Components of drawn potentials have unit variance."""
    space = FourierPotential(GAS, DOPANTS)
    drawn = DOPANTS.sample_many(GAS, 200, seed=0).potential
    x = np.array([space.unknowns(v) for v in drawn])
    # 200 n squares of unit variance: the mean is 1 within 4 sqrt(2 / (200 n)).
    assert abs((x**2).mean() - 1) < 4 * np.sqrt(2 / x.size)


@pytest.mark.parametrize("image", ["pldos", "sensitivity"])
def test_it_finds_the_truth(image: str) -> None:
    true = DOPANTS.sample(GAS, seed=3).potential
    start = np.sqrt(1 - 0.1**2) * true + 0.1 * DOPANTS.sample(GAS, seed=4).potential
    if image == "pldos":
        measured = GAS.pldos(true, accuracy=1e-8)
    else:
        measured = transmission_gradient(GAS, true, accuracy=1e-8).gradient
    found = refine(GAS, start, 3.0 * measured, image=image, free_scale=True, most=60)  # type: ignore[arg-type]
    assert found.scale == pytest.approx(3.0, rel=0.02)
    assert found.misfit_after < 0.05 * found.misfit_before
    assert pearson(start, true) < 0.998
    assert pearson(found.potential_mev, true) > 0.9995
    np.testing.assert_allclose(found.history, np.minimum.accumulate(found.history), rtol=0.2)


def nearly_right() -> tuple[np.ndarray, np.ndarray]:
    """A potential, and a start that correlates with it by 0.984."""
    true = DOPANTS.sample(GAS, seed=3).potential
    return true, np.sqrt(1 - 0.1**2) * true + 0.1 * DOPANTS.sample(GAS, seed=4).potential


def test_it_finds_the_truth_from_a_weak_tip_of_unknown_height() -> None:
    """A map of a broad tip at every fourth site, a part of which was not measured."""
    true, start = nearly_right()
    measured = GAS.sgm(true, Tip(0.2, 25.0), stride=4, accuracy=1e-6).change
    measured[12:, :3] = np.nan
    found = refine(
        GAS,
        start,
        measured,
        image="gate-map",
        tip=Tip(1.0, 25.0),
        stride=4,
        free_scale=True,
        most=60,
    )
    assert found.scale == pytest.approx(0.2, rel=0.05)
    assert found.misfit_after < 0.05 * found.misfit_before
    assert pearson(found.potential_mev, true) > 0.9993
    assert np.isfinite(found.image).all()
    off = (found.scale * found.image - measured)[np.isfinite(measured)]
    spread = measured[np.isfinite(measured)].std()
    assert np.sqrt((off**2).mean()) / spread == pytest.approx(found.misfit_after, rel=1e-9)


def test_a_strong_tip_takes_exact_maps() -> None:
    """A tip of 1.5 E_F at 48 positions: first order leads away from the truth."""
    true, start = nearly_right()
    tip = Tip(8.4, 15.0)
    measured = GAS.sgm(true, tip, method="exact", stride=8, accuracy=1e-4).change
    options = {"image": "gate-map", "tip": tip, "stride": 8, "most": 12}
    weak = refine(GAS, start, measured, **options)  # type: ignore[arg-type]
    strong = refine(GAS, start, measured, method="exact", **options)  # type: ignore[arg-type]
    assert pearson(weak.potential_mev, true) < pearson(start, true) - 0.1
    assert weak.misfit_after > 0.3
    assert pearson(strong.potential_mev, true) > 0.995
    assert strong.misfit_after < 0.15 * strong.misfit_before


def test_a_short_step_stays_near_the_start() -> None:
    true = DOPANTS.sample(GAS, seed=3).potential
    start = 0.9 * true
    found = refine(GAS, start, GAS.pldos(true), step=1e-6, most=5)
    assert rms_error(found.potential_mev, start) < 1e-2 * rms_error(true, start)


def test_a_search_that_goes_too_far_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """No component leaves the start by more than a limit, made so short that all would."""
    monkeypatch.setattr(refinement, "FARTHEST", 0.02)
    true, start = nearly_right()
    found = refine(GAS, start, GAS.pldos(true), most=5)
    space = FourierPotential(GAS, DOPANTS)
    away = np.abs(space.unknowns(found.potential_mev) - space.unknowns(start)).max()
    assert 1e-4 < away <= 0.02 * (1 + 1e-9)
    assert found.misfit_after < found.misfit_before


def test_limit_by_drawing() -> None:
    """Maximum likelihood from exact potentials, whose errors approach the limit."""
    gas, dopants = ElectronGas(), DOPANTS
    limit = two_parameter_limit(dopants, gas)
    space = FourierPotential(gas, dopants)
    x = np.array(
        [space.unknowns(v) for v in dopants.sample_many(gas, 400, seed=5).potential]
    ).reshape(400, -1, 2)
    power = (x**2).sum(-1) / 2
    q = 2 * np.pi / 5.0 * np.hypot(space.m_x / 256, space.m_y / 192)
    # One step of scoring from the truth: d log-likelihood / d theta over the information.
    slope = np.stack([-2 * q * 50.0, np.ones_like(q)])
    score = (power - 1) @ slope.T
    errors = score @ np.linalg.inv(slope @ slope.T)
    # 400 samples give a standard deviation to 3.5 %, times 3.
    assert errors[:, 0].std() == pytest.approx(limit.spacing, rel=0.11)
    assert errors[:, 1].std() == pytest.approx(limit.density, rel=0.11)
    assert np.corrcoef(errors.T)[0, 1] == pytest.approx(limit.correlation, abs=0.03)


def test_metrics() -> None:
    rng = np.random.default_rng(0)
    a, noise = rng.normal(size=(2, 50, 40)), rng.normal(size=(2, 50, 40))
    np.testing.assert_allclose(pearson(a, 3 * a + 1), 1)
    np.testing.assert_allclose(rms_error(a + 2, a), 2)
    # 4000 pixels: three standard deviations are 1.5 %.
    assert coverage(a + 0.5 * noise, np.full(a.shape, 0.5), a, 1.645) == pytest.approx(
        0.9, abs=0.015
    )


def test_errors() -> None:
    flat, image = np.zeros(GAS.shape), np.random.default_rng(0).uniform(size=GAS.shape)
    with pytest.raises(ShapeError, match="measured image"):
        refine(GAS, flat, image[1:])
    holed = image.copy()
    holed[3, 3] = np.nan
    with pytest.raises(NotFiniteError, match="fill"):
        refine(GAS, flat, holed)
    with pytest.raises(ParameterError, match="nothing to fit"):
        refine(GAS, flat, np.ones(GAS.shape))
    with pytest.raises(ParameterError, match="positive"):
        refine(GAS, flat, image, noise=0.0)
