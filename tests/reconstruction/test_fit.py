"""Presets trained on a small store: everything goes together, nothing is held in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inmateria.data.sample_store import SampleStore, open_store
from inmateria.datasets.generate import generate
from inmateria.datasets.settings import GenerationSettings
from inmateria.errors import DataFileError, ParameterError
from inmateria.reconstruction.fit import Split, fit_preset
from inmateria.reconstruction.presets import PRESETS, find_preset
from inmateria.reconstruction.reconstructor import (
    Reconstructor,
    load_reconstructor,
    save_reconstructor,
)
from inmateria.reconstruction.stored import read_targets

SETTINGS = GenerationSettings.model_validate(
    {
        "n_samples": 40,
        "block_size": 4,
        "gas": {"n_x": 32, "n_y": 16, "source_rows": "4:12", "fermi_mev": 9.0},
        "disorder": {"spacing_nm": [15.0, 25.0]},
        "keep": {"potential": "float16"},
    }
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SampleStore:
    path = tmp_path_factory.mktemp("set") / "set.zarr"
    generate(SETTINGS, path, workers=1)
    return open_store(path)


def test_a_potential_with_its_uncertainty(store: SampleStore, tmp_path: Path) -> None:
    preset = find_preset("unet")
    options = {"width": 8, "depth": 2, "shrink": 2}
    preset = replace(preset, options=options, target_pixel=2, plan=replace(preset.plan, epochs=3))
    found = fit_preset(store, preset)
    assert isinstance(found.model, Reconstructor)
    assert found.errors["samples"] == 4
    assert 0 <= found.errors["coverage_90"] <= 1
    assert found.model.about["training_samples"] == 32
    again = load_reconstructor(save_reconstructor(tmp_path / "m.safetensors", found.model))
    image = np.asarray(store.values(0, "pldos"))[0]
    answer = again.reconstruct(image)
    assert answer.potential_mev.shape == (16, 8)
    assert answer.pixel_nm == 10.0
    np.testing.assert_array_equal(
        answer.potential_mev, found.model.reconstruct(image).potential_mev
    )


@pytest.mark.parametrize("name", ["two-parameters", "coefficients", "encoder-decoder"])
def test_the_papers_networks(store: SampleStore, name: str) -> None:
    preset = PRESETS[name]
    plan = replace(preset.plan, epochs=1)
    changes = {"widths": (4, 8)} if name != "encoder-decoder" else {}
    found = fit_preset(store, replace(preset, options={**preset.options, **changes}, plan=plan))
    assert found.errors["samples"] == 4
    assert isinstance(found.model, Reconstructor) == (name == "encoder-decoder")
    assert found.model.about["blocks"]["test"] == [9]
    if name == "two-parameters":
        for key in ("s", "density", "rms", "correlation_length"):
            assert found.errors[f"relative_error_{key}"] > 0


def test_split(store: SampleStore) -> None:
    split = Split.of(store)
    assert (split.training, split.validation, split.test) == (tuple(range(8)), (8,), (9,))
    assert Split.of(store, most=8).training == (0, 1)
    assert Split.of(store, most=8).test == (9,)


def test_targets(store: SampleStore) -> None:
    maps = read_targets(store, 0, "potential", 2)
    assert maps.shape == (4, 16, 8)
    rows = read_targets(store, 0, "parameters")
    assert ((rows[:, 0] >= 15) & (rows[:, 0] <= 25)).all()


def test_errors(store: SampleStore, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="unet"):
        find_preset("vnet")
    path = tmp_path / "part.zarr"
    generate(SETTINGS, path, workers=1, blocks=range(2))
    with pytest.raises(ParameterError, match="at least 3"):
        Split.of(open_store(path))
    with pytest.raises((DataFileError, ParameterError), match="gate_map"):
        fit_preset(store, PRESETS["encoder-decoder"], image="gate_map")
