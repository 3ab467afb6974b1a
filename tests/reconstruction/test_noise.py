"""Noise told from waves: known noise on computed images."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.datasets.averaging import block_average
from inmateria.datasets.settings import GasSettings
from inmateria.errors import NotFiniteError, ShapeError
from inmateria.reconstruction.noise import white_noise
from inmateria.transport.disorder.remote_dopants import RemoteDopants

GAS = GasSettings(n_x=128, n_y=96).gas()


@pytest.fixture(scope="module")
def pldos() -> np.ndarray:
    return np.asarray(GAS.pldos(RemoteDopants().sample(GAS, seed=2).potential, accuracy=1e-5))


@pytest.mark.parametrize("pixel", [1, 2])
@pytest.mark.parametrize("share", [0.005, 0.02, 0.1, 0.5])
def test_known_noise_is_found(pldos: np.ndarray, pixel: int, share: float) -> None:
    image = 1e-9 * block_average(pldos, pixel)
    sigma = share * image.mean()
    noise = sigma * np.random.default_rng(3).standard_normal(image.shape)
    # 4 standard deviations of the estimate from the numbers that it uses.
    assert white_noise(image + noise, GAS) == pytest.approx(sigma, rel=0.2)


@pytest.mark.parametrize(("pixel", "share"), [(1, 3e-4), (2, 2e-3)])
def test_waves_are_not_noise(pldos: np.ndarray, pixel: int, share: float) -> None:
    image = block_average(pldos, pixel)
    assert white_noise(image, GAS) < share * image.mean()


def test_pixels_too_coarse_to_tell(pldos: np.ndarray) -> None:
    assert np.isnan(white_noise(block_average(pldos, 4), GAS))


def test_what_is_no_image_of_the_sample_is_refused(pldos: np.ndarray) -> None:
    for wrong in (pldos.T, pldos[0], pldos[:, :50]):
        with pytest.raises(ShapeError, match="square pixels"):
            white_noise(wrong, GAS)
    with pytest.raises(NotFiniteError, match="NaN"):
        white_noise(np.full(GAS.shape, np.nan), GAS)
