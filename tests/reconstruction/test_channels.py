"""Several images of a sample as channels of one network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inmateria.data.sample_store import SampleStore, open_store
from inmateria.datasets.generate import generate
from inmateria.datasets.settings import GenerationSettings
from inmateria.errors import ParameterError, ShapeError
from inmateria.reconstruction.augment import Augmentation
from inmateria.reconstruction.channels import ChannelScaling, familiarity_of, read_scaling
from inmateria.reconstruction.fit import fit_preset
from inmateria.reconstruction.load import load_model, save_model
from inmateria.reconstruction.presets import PRESETS, Preset
from inmateria.reconstruction.reconstructor import Reconstructor
from inmateria.reconstruction.stored import channel_variables, read_images
from inmateria.reconstruction.unseen import check_set

SETTINGS = GenerationSettings.model_validate(
    {
        "n_samples": 12,
        "block_size": 4,
        "gas": {"n_x": 32, "n_y": 16, "source_rows": "4:12", "fermi_mev": 9.0},
        "disorder": {"spacing_nm": [15.0, 25.0]},
        "field_t": [0.5, 1.0],
        "scanning_gate": {"tip_height_mev": 0.1, "tip_width_nm": 10.0},
        "keep": {"potential": "float16"},
    }
)
ALL = ("pldos", "pldos_in_field", "gate_map")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SampleStore:
    path = tmp_path_factory.mktemp("set") / "set.zarr"
    generate(SETTINGS, path, workers=1)
    return open_store(path)


def quick(name: str = "unet", **options: object) -> Preset:
    preset = PRESETS[name]
    plan = replace(preset.plan, epochs=1, augmentation=Augmentation(mirror=False, noise=0.1))
    return replace(preset, options={**preset.options, **options}, plan=plan)


UNET = replace(quick(width=8, depth=2, shrink=2), target_pixel=2)


def test_channels_of_a_store(store: SampleStore) -> None:
    assert channel_variables(store, ALL) == ("pldos", *["pldos_in_field"] * 2, "gate_map")
    images = read_images(store, 0, ALL)
    assert images.shape == (4, 4, 32, 16)
    np.testing.assert_array_equal(images[:, 0], read_images(store, 0, "pldos"))
    np.testing.assert_array_equal(images[:, 1:3], store.values(0, "pldos_in_field"))
    assert read_images(store, 0, ("pldos",)).shape == (4, 32, 16)
    with pytest.raises(ParameterError, match="one size"):
        channel_variables(store, ("pldos", "transmission"))
    with pytest.raises(ParameterError, match="does not hold"):
        channel_variables(store, ("pldos", "current"))


def test_a_network_of_four_images(store: SampleStore, tmp_path: Path) -> None:
    fit = fit_preset(store, UNET, image=ALL)
    assert isinstance(fit.model, Reconstructor)
    assert fit.image_scaling.form == "amplitude, amplitude, amplitude, signed"
    again = load_model(save_model(tmp_path / "m.safetensors", fit.model))
    assert isinstance(again, Reconstructor)
    images = read_images(store, 2, ALL)
    found = again.reconstruct(images)
    assert found.potential_mev.shape == (4, 16, 8)
    np.testing.assert_array_equal(found.potential_mev, fit.model.reconstruct(images).potential_mev)
    assert again.reconstruct(images[0]).potential_mev.shape == (16, 8)
    finer = images.repeat(2, axis=-2).repeat(2, axis=-1)
    np.testing.assert_allclose(
        again.reconstruct(finer).potential_mev, found.potential_mev, atol=1e-4
    )
    assert check_set(again, store) == ()
    with pytest.raises(ShapeError, match="4 images of a sample"):
        again.reconstruct(images[:, :3])


def test_every_channel_counts_in_its_own_unit(store: SampleStore) -> None:
    """Units of a channel do not matter, what it shows does."""
    model, images = fit_preset(store, UNET, image=ALL).model, read_images(store, 2, ALL)
    assert isinstance(model, Reconstructor)
    answer = model.reconstruct(images).potential_mev
    units = np.array([1e-9, 3.0, 7.0, 1e4])[:, None, None]
    np.testing.assert_allclose(model.reconstruct(units * images).potential_mev, answer, atol=1e-4)
    for c in range(4):
        other = images.copy()
        other[:, c] = images[::-1, c]
        assert np.abs(model.reconstruct(other).potential_mev - answer).max() > 1e-3


@pytest.mark.parametrize("name", ["two-parameters", "encoder-decoder"])
def test_the_papers_networks(store: SampleStore, tmp_path: Path, name: str) -> None:
    widths = {"widths": (4, 8)} if name == "two-parameters" else {}
    fit = fit_preset(store, quick(name, **widths), image=("pldos", "gate_map"))
    assert fit.image_scaling.form == "plain, plain"
    assert fit.errors["samples"] == 4
    again = load_model(save_model(tmp_path / "m.safetensors", fit.model))
    assert again.about["image"] == ["pldos", "gate_map"]


def test_scaling_and_strange_channels() -> None:
    rng = np.random.default_rng(0)
    images = np.stack([rng.gamma(2.0, size=(50, 16, 8)), rng.normal(size=(50, 16, 8))], axis=1)
    scaling = ChannelScaling.of(("amplitude", "signed"), images)
    scaled = scaling(images)
    np.testing.assert_allclose(scaled.mean(axis=(0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=(0, 2, 3)), 1, rtol=1e-5)
    assert read_scaling({"channels": [vars(one) for one in scaling.channels]}) == scaling
    known = familiarity_of(scaled)
    assert known.warnings(scaled) == [""] * 50
    strange = images[:2].copy()
    strange[1, 1] = np.sin(np.arange(8) / 4) * np.ones((16, 8))
    first, second = known.warnings(scaling(strange))
    assert not first
    assert second.startswith("channel 1: unlike the training set")
