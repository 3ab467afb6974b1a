"""What augmentation does to maps of changes and to images in a field."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from inmateria import ElectronGas, Lead, RemoteDopants
from inmateria.data.sample_store import SampleStore, open_store
from inmateria.datasets.generate import generate
from inmateria.datasets.settings import GenerationSettings
from inmateria.errors import ParameterError
from inmateria.reconstruction.augment import Augmentation, blur, signed_rms
from inmateria.reconstruction.channels import ChannelScaling
from inmateria.reconstruction.fit import Split, fit_preset
from inmateria.reconstruction.mirror import check_mirror
from inmateria.reconstruction.presets import PRESETS
from inmateria.reconstruction.scaling import ImageScaling
from inmateria.transport.gradient import transmission_gradient
from inmateria.transport.in_field import scatter_in_field

GAS = ElectronGas(n_x=24, n_y=16, fermi_mev=9.0, source=Lead(4, 8), drain=Lead(0, 16))


def test_what_mirrors_along() -> None:
    """dT/dV does, and so does a tip's map; PLDOS at B becomes that at -B."""
    potential = RemoteDopants(20.0).sample(GAS, seed=0).potential
    turned = potential[:, ::-1]
    one, two = (transmission_gradient(GAS, v, accuracy=1e-10).gradient for v in (potential, turned))
    # States hold 1e-10 of the largest PLDOS.
    np.testing.assert_allclose(two, one[:, ::-1], atol=1e-7 * np.abs(one).max())
    here = scatter_in_field(GAS, potential, (1.0,), accuracy=1e-8).pldos[0]
    there = scatter_in_field(GAS, turned, (-1.0, 1.0), accuracy=1e-8).pldos
    np.testing.assert_allclose(there[0], here[:, ::-1], atol=1e-6 * here.max())
    assert np.abs(there[1] - here[:, ::-1]).max() > 0.05 * here.max()


def test_a_blurred_map_of_changes_is_as_it_would_be_measured() -> None:
    """Blur, then scaling, is scaling, then blur, then its own rms again."""
    rng = np.random.default_rng(0)
    density, change = rng.gamma(2.0, size=(6, 32, 16)), rng.normal(0.1, 1.0, size=(6, 32, 16))
    images = np.stack([density, change], axis=1)
    scaling = ChannelScaling.of(("amplitude", "signed"), images)
    augmentation = Augmentation(mirror=False, broadening=2.0)
    width = 2.0 * torch.rand(6, generator=torch.Generator().manual_seed(5))
    scaled = torch.as_tensor(scaling(images))
    found, _ = augmentation(
        scaled,
        torch.zeros(6, 3),
        torch.Generator().manual_seed(5),
        rescale=signed_rms(scaling),
    )
    measured = blur(torch.as_tensor(change)[:, None], width)[:, 0].numpy()
    # Single precision.
    np.testing.assert_allclose(found[:, 1], scaling.channels[1](measured), atol=1e-5)
    torch.testing.assert_close(found[:, 0], blur(scaled, width)[:, 0])
    assert blur(scaled, width)[:, 1].std() < 0.7 * found[:, 1].std()
    assert signed_rms(ImageScaling("amplitude")) is None


def test_noise_is_relative_to_the_rms_of_changes() -> None:
    rng = np.random.default_rng(1)
    scaling = ImageScaling.of("signed", rng.normal(size=(400, 16, 16)))
    scaled = torch.as_tensor(scaling(1e-5 * rng.normal(size=(400, 16, 16))))[:, None]
    generator = torch.Generator().manual_seed(0)
    found, _ = Augmentation(mirror=False, noise=0.5)(scaled, torch.zeros(400, 2), generator)
    # Uniform up to 0.5: the mean square is 1/12; of 400 levels to 4.5 % in one deviation.
    assert float((found - scaled).square().mean()) == pytest.approx(1 / 12, rel=0.18)


def test_images_in_a_field_are_not_mirrored(tmp_path: Path) -> None:
    settings = GenerationSettings.model_validate(
        {
            "n_samples": 3,
            "block_size": 1,
            "field_t": (0.0, 0.5),
            "gas": {"n_x": 24, "n_y": 16, "source_rows": "4:12", "fermi_mev": 9.0},
            "disorder": {"spacing_nm": (15.0, 25.0)},
            "keep": {"potential": "float16"},
        }
    )
    generate(settings, tmp_path / "set", workers=1)
    store = open_store(tmp_path / "set")
    with pytest.raises(ParameterError, match=r"-0\.5 T.*mirror = false"):
        fit_preset(store, PRESETS["unet"], image=("pldos", "pldos_in_field"))
    options = {"width": 8, "depth": 2, "shrink": 2}
    plan = replace(PRESETS["unet"].plan, epochs=1, augmentation=Augmentation(mirror=False))
    preset = replace(PRESETS["unet"], options=options, target_pixel=2, plan=plan)
    fit = fit_preset(store, preset, image=("pldos", "pldos_in_field"), split=Split.of(store))
    assert fit.model.about["plan"]["augmentation"]["mirror"] is False


def test_mirror_images_of_another_set_are_refused(tmp_path: Path) -> None:
    def made(name: str, gas: dict[str, object], **changes: object) -> SampleStore:
        chosen = GenerationSettings.model_validate(
            {
                "n_samples": 2,
                "block_size": 2,
                "gas": {"n_x": 24, "n_y": 16, "source_rows": "4:12", "fermi_mev": 9.0, **gas},
                "disorder": {"spacing_nm": [15.0, 25.0]},
                **changes,
            }
        )
        generate(chosen, tmp_path / name)
        return open_store(tmp_path / name)

    with pytest.raises(ParameterError, match="source_rows 3:11 of 16 rows are not symmetric"):
        check_mirror(made("a.zarr", {"source_rows": "3:11"}), "pldos")
    gate = {"tip_width_nm": 15.0, "stride": 2}
    strided = made("b.zarr", {}, scanning_gate=gate)
    with pytest.raises(ParameterError, match="a stride that divides 15"):
        check_mirror(strided, "gate_map")
    check_mirror(strided, "pldos")
    check_mirror(made("c.zarr", {}, scanning_gate=gate | {"stride": 3}), "gate_map")
