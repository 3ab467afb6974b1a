"""Gradients of losses of images against central differences."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria import ElectronGas, Lead
from inmateria.errors import ParameterError, ShapeError
from inmateria.transport.image_gradient import image_gradient

GAS = ElectronGas(n_x=24, n_y=14, fermi_mev=9.0, source=Lead(4, 8), drain=Lead(0, 14))


@pytest.mark.parametrize("image", ["pldos", "sensitivity"])
@pytest.mark.parametrize("lead", ["source", "drain"])
def test_against_central_differences(image: str, lead: str) -> None:
    rng = np.random.default_rng(3)
    potential = rng.normal(size=GAS.shape)
    target = rng.normal(size=GAS.shape)

    def loss(shown: np.ndarray) -> tuple[float, np.ndarray]:
        return 0.5 * float(((shown - target) ** 2).sum()), shown - target

    def at(v: np.ndarray) -> float:
        options = {"image": image, "lead": lead, "accuracy": 1e-12}
        return image_gradient(GAS, v, loss, **options).value  # type: ignore[arg-type]

    found = image_gradient(GAS, potential, loss, image=image, lead=lead, accuracy=1e-12)  # type: ignore[arg-type]
    for site in [(0, 5), (11, 7), (23, 0)]:
        step = np.zeros(GAS.shape)
        step[site] = 1e-3
        # Fourth order: the error is some 1e-12 / 1e-3 by rounding and 1e-12 by the step.
        near = at(potential + step) - at(potential - step)
        far = at(potential + 2 * step) - at(potential - 2 * step)
        slope = (8 * near - far) / 12e-3
        assert found.gradient[site] == pytest.approx(slope, rel=1e-6, abs=1e-6)


def test_errors() -> None:
    def loss(shown: np.ndarray) -> tuple[float, np.ndarray]:
        return 0.0, shown

    with pytest.raises(ParameterError, match="pldos"):
        image_gradient(GAS, np.zeros(GAS.shape), loss, image="ldos")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="give one"):
        image_gradient(GAS, np.zeros((2, *GAS.shape)), loss)
