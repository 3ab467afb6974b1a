"""Gradients of losses of a strong tip's maps against central differences."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria import ElectronGas, Lead
from inmateria.errors import ShapeError
from inmateria.transport.image_gradient import ImageGradient
from inmateria.transport.strong_tip_gradient import strong_tip_gradient
from inmateria.transport.tip import Tip

GAS = ElectronGas(n_x=24, n_y=14, fermi_mev=9.0, source=Lead(4, 8), drain=Lead(0, 14))
TIP = Tip(13.5, 8.0)
POTENTIAL = np.random.default_rng(3).normal(size=GAS.shape)


def test_against_central_differences() -> None:
    # Every third column and fourth row, two positions of which were not measured.
    counted = np.ones((8, 4), dtype=bool)
    counted[3, 1] = counted[7, 2] = False
    target = np.random.default_rng(4).normal(size=counted.shape)

    def loss(shown: np.ndarray) -> tuple[float, np.ndarray]:
        off = np.where(counted, shown - target, 0.0)
        # Where nothing was measured, a derivative must not count.
        return 0.5 * float((off**2).sum()), np.where(counted, off, 1e3)

    def at(v: np.ndarray) -> ImageGradient:
        return strong_tip_gradient(
            GAS, v, TIP, loss, stride=(3, 4), positions=counted, accuracy=1e-12
        )

    found = at(POTENTIAL)
    for site in [(0, 5), (11, 7), (23, 0)]:
        step = np.zeros(GAS.shape)
        step[site] = 1e-3
        # Fourth order: the error is some 1e-12 / 1e-3 by rounding and 1e-12 by the step.
        near = at(POTENTIAL + step).value - at(POTENTIAL - step).value
        far = at(POTENTIAL + 2 * step).value - at(POTENTIAL - 2 * step).value
        slope = (8 * near - far) / 12e-3
        assert found.gradient[site] == pytest.approx(slope, rel=1e-6, abs=1e-6)


def test_the_map_is_the_one_that_scanning_gives() -> None:
    def loss(shown: np.ndarray) -> tuple[float, np.ndarray]:
        return 0.0, shown

    found = strong_tip_gradient(GAS, POTENTIAL, TIP, loss, stride=5, accuracy=1e-9)
    expected = GAS.sgm(POTENTIAL, TIP, method="exact", stride=5, accuracy=1e-7).change
    np.testing.assert_allclose(found.image, expected, atol=2e-7)


def test_errors() -> None:
    def loss(shown: np.ndarray) -> tuple[float, np.ndarray]:
        return 0.0, shown

    with pytest.raises(ShapeError, match="give one"):
        strong_tip_gradient(GAS, np.zeros((2, *GAS.shape)), TIP, loss)
    with pytest.raises(ShapeError, match=r"a stride of 5 has \(5, 3\)"):
        strong_tip_gradient(
            GAS, POTENTIAL, TIP, loss, stride=5, positions=np.ones((2, 2), dtype=bool)
        )
