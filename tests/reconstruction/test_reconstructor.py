"""A model's answers, its file, and what it says of strange images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from inmateria.datasets.averaging import block_average
from inmateria.errors import ModelFileError, NotFiniteError, ParameterError, ShapeError
from inmateria.reconstruction.familiarity import Familiarity
from inmateria.reconstruction.metrics import coverage
from inmateria.reconstruction.networks import build_network
from inmateria.reconstruction.reconstructor import (
    NINETY,
    Reconstructor,
    load_reconstructor,
    save_reconstructor,
)
from inmateria.reconstruction.scaling import ImageScaling

OPTIONS = {"width": 8, "depth": 2, "shrink": 2}


def images(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2.0, size=(n, 32, 16))


def model(**changes: object) -> Reconstructor:
    scaling = ImageScaling.of("amplitude", images(50))
    return Reconstructor(
        **{
            "network": build_network("unet", seed=1, **OPTIONS),
            "kind": "unet",
            "options": OPTIONS,
            "scaling": scaling,
            "shape": (32, 16),
            "image_pixel_nm": 10.0,
            "potential_pixel_nm": 20.0,
            "potential_scale_mev": 1.4,
            "familiarity": Familiarity.of(scaling(images(50))),
            "about": {"samples": 50},
            **changes,
        }  # type: ignore[arg-type]
    )


def test_a_file_gives_the_same_answers(tmp_path: Path) -> None:
    one = model()
    path = save_reconstructor(tmp_path / "model.safetensors", one)
    two = load_reconstructor(path)
    a, b = one.reconstruct(images(3)), two.reconstruct(images(3))
    np.testing.assert_array_equal(a.potential_mev, b.potential_mev)
    np.testing.assert_array_equal(a.uncertainty_mev, b.uncertainty_mev)
    assert a.potential_mev.shape == (3, 16, 8)
    assert two.about == {"samples": 50}
    assert two.shape == (32, 16)


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    path = save_reconstructor(tmp_path / "model.safetensors", model())
    whole = path.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(whole), 40):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        path.write_bytes(bytes(damaged))
        with pytest.raises(ModelFileError):
            load_reconstructor(path)
    path.write_bytes(whole[:-100])
    with pytest.raises(ModelFileError, match="damaged"):
        load_reconstructor(path)
    with pytest.raises(ModelFileError, match="does not exist"):
        load_reconstructor(tmp_path / "none.safetensors")


def test_units_do_not_matter_and_mirrors_agree() -> None:
    one = model()
    a = one.reconstruct(images(2)).potential_mev
    np.testing.assert_allclose(one.reconstruct(1e-9 * images(2)).potential_mev, a, atol=1e-4)
    mirrored = one.reconstruct(images(2)[..., ::-1]).potential_mev[..., ::-1]
    np.testing.assert_allclose(mirrored, a, atol=1e-4)
    finer = images(2).repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(one.reconstruct(finer).potential_mev, a, atol=1e-4)
    assert one.reconstruct(images(1)[0]).potential_mev.shape == (16, 8)


def test_calibrated_intervals_hold_their_share() -> None:
    one, rng = model(), np.random.default_rng(3)
    found = one.reconstruct(images(400))
    true = found.potential_mev + 3 * found.uncertainty_mev * rng.normal(
        size=found.potential_mev.shape
    )
    before = one.calibrate(images(400)[:200], true[:200])
    assert before == pytest.approx(0.416, abs=0.01)  # erf(1.645 / 3 / sqrt 2)
    again = one.reconstruct(images(400)[200:])
    share = coverage(again.potential_mev, again.uncertainty_mev, true[200:], NINETY)
    assert share == pytest.approx(0.9, abs=0.01)


def test_strange_images_are_named() -> None:
    one = model()
    assert (one.reconstruct(images(20, seed=9)).warning == "").all()
    smooth = images(1)[0].mean() + 0.1 * np.sin(np.arange(16) / 4) * np.ones((32, 16))
    assert "unlike the training set" in str(one.reconstruct(smooth).warning)


def test_errors() -> None:
    one = model()
    with pytest.raises(ShapeError, match="32 x 16 of 10 nm"):
        one.reconstruct(np.ones((16, 32)))
    holed = images(1)
    holed[0, 2, 3] = np.nan
    with pytest.raises(NotFiniteError, match=r"\(0, 2, 3\)"):
        one.reconstruct(holed)
    with pytest.raises(ParameterError, match="negative"):
        one.reconstruct(-images(1))
    plain = model(network=build_network("encoder-decoder", seed=0), kind="encoder-decoder")
    with pytest.raises(ParameterError, match="no uncertainty"):
        plain.calibrate(images(2), images(2))
    with pytest.raises(ShapeError, match="squares"):
        block_average(images(1), 3)


def test_block_average_and_scaling() -> None:
    x = np.arange(16.0).reshape(4, 4)
    np.testing.assert_array_equal(block_average(x, 2), [[2.5, 4.5], [10.5, 12.5]])
    scaled = ImageScaling.of("amplitude", images(30))(images(30))
    assert scaled.dtype == np.float32
    assert abs(scaled.mean()) < 1e-5
    assert scaled.std() == pytest.approx(1, rel=1e-5)
    signed = ImageScaling.of("signed", images(5) - 2)(7 * (images(5) - 2))
    assert signed.std() == pytest.approx(1, rel=1e-5)
    assert not torch.tensor(scaled).requires_grad
