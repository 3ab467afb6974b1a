"""What instruments make of images, its transpose, and gradients through them."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria import ElectronGas, Lead, RemoteDopants
from inmateria.errors import ParameterError, ShapeError
from inmateria.reconstruction.instrument import Instrument, Pixels, TipPositions, instrument
from inmateria.reconstruction.metrics import pearson
from inmateria.reconstruction.refinement import refine
from inmateria.transport.gradient import transmission_gradient
from inmateria.transport.image_gradient import image_gradient
from inmateria.transport.scanning_gate import scanning_gate_map
from inmateria.transport.tip import Tip

GAS = ElectronGas(n_x=24, n_y=16, fermi_mev=9.0, source=Lead(4, 8), drain=Lead(0, 16))
TIP = Tip(-0.2, 12.0)


@pytest.mark.parametrize(
    "by",
    [
        Pixels(GAS, 4),
        TipPositions(GAS, TIP, (3, 2)),
        TipPositions(GAS, Tip(1.0, 9.0, "lorentzian")),
    ],
    ids=["pixels", "every few sites", "far-reaching tip"],
)
def test_pull_back_is_the_transpose(by: Instrument) -> None:
    rng = np.random.default_rng(0)
    image, slope = rng.normal(size=GAS.shape), rng.normal(size=by.shape)
    forward = float((by.measure(image) * slope).sum())
    assert forward == pytest.approx(float((image * by.pull_back(slope)).sum()), rel=1e-12)


def test_a_map_is_that_of_first_order() -> None:
    potential = RemoteDopants().sample(GAS, seed=0).potential
    s = transmission_gradient(GAS, potential, accuracy=1e-9).gradient
    shown = scanning_gate_map(GAS, potential, TIP, accuracy=1e-9, stride=(3, 2))
    found = TipPositions(GAS, TIP, (3, 2)).measure(s)
    # Both hold states to 1e-9 of the largest PLDOS.
    np.testing.assert_allclose(found, shown.change, atol=1e-7 * np.abs(shown.change).max())


def test_gradient_against_central_differences() -> None:
    """Of a misfit to a map, with the best scale, by the potential on sites."""
    rng = np.random.default_rng(1)
    potential, by = rng.normal(size=GAS.shape), TipPositions(GAS, TIP, 3)
    wanted = rng.normal(size=by.shape)

    def loss(on_sites: np.ndarray) -> tuple[float, np.ndarray]:
        computed = by.measure(on_sites)
        k = float((computed * wanted).sum() / (computed**2).sum())
        difference = k * computed - wanted
        return 0.5 * float((difference**2).sum()), by.pull_back(k * difference)

    def at(v: np.ndarray) -> float:
        return image_gradient(GAS, v, loss, image="sensitivity", accuracy=1e-12).value

    found = image_gradient(GAS, potential, loss, image="sensitivity", accuracy=1e-12).gradient
    for site in [(0, 5), (11, 7), (23, 0)]:
        step = np.zeros(GAS.shape)
        step[site] = 1e-3
        near = at(potential + step) - at(potential - step)
        far = at(potential + 2 * step) - at(potential - 2 * step)
        # Fourth order: 1e-12 by the step, and the loss of order 50 to 1e-12 over 1e-3.
        assert found[site] == pytest.approx((8 * near - far) / 12e-3, rel=1e-6, abs=1e-6)


def test_the_truth_from_a_map_of_a_tip_of_unknown_height() -> None:
    gas = ElectronGas(n_x=64, n_y=48, source=Lead(14, 20), drain=Lead(0, 48))
    dopants = RemoteDopants()
    true = dopants.sample(gas, seed=3).potential
    start = np.sqrt(1 - 0.1**2) * true + 0.1 * dopants.sample(gas, seed=4).potential
    tip = Tip(0.01 * gas.fermi_mev, 10.0)
    measured = scanning_gate_map(gas, true, tip, accuracy=1e-8, stride=2).change
    taken = Tip(-3 * tip.height_mev, tip.width_nm)
    found = refine(
        gas, start, measured, image="gate-map", tip=taken, stride=2, free_scale=True, most=60
    )
    assert found.image.shape == (32, 24)
    assert found.scale == pytest.approx(-1 / 3, rel=0.02)
    assert found.misfit_after < 0.05 * found.misfit_before
    assert pearson(start, true) < 0.998
    assert pearson(found.potential_mev, true) > 0.9995


def test_errors() -> None:
    with pytest.raises(ParameterError, match="without its tip"):
        instrument(GAS, "gate-map")
    with pytest.raises(ParameterError, match="stride"):
        instrument(GAS, "gate-map", tip=TIP, pixel=2)
    with pytest.raises(ParameterError, match="or neither"):
        instrument(GAS, "sensitivity", tip=TIP)
    with pytest.raises(ParameterError, match="or neither"):
        instrument(GAS, "pldos", stride=2)
    with pytest.raises(ParameterError, match="divisor"):
        instrument(GAS, "pldos", pixel=5)
    flat = np.zeros(GAS.shape)
    with pytest.raises(ShapeError, match=r"\(8, 8\)"):
        refine(GAS, flat, np.ones(GAS.shape), image="gate-map", tip=TIP, stride=(3, 2))
