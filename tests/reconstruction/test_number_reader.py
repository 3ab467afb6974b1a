"""Numbers from images: what they mean, their file, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inmateria.datasets.settings import GenerationSettings
from inmateria.errors import ModelFileError, NotFiniteError, ParameterError, ShapeError
from inmateria.reconstruction import load
from inmateria.reconstruction.familiarity import Familiarity
from inmateria.reconstruction.load import default_model, load_model, reconstruct, save_model
from inmateria.reconstruction.model_file import read_tensors, write_tensors
from inmateria.reconstruction.networks import build_network
from inmateria.reconstruction.number_reader import (
    PARAMETERS,
    NumberReader,
    coefficient_names,
    load_number_reader,
)
from inmateria.reconstruction.reconstructor import (
    Reconstructor,
    load_reconstructor,
    save_reconstructor,
)
from inmateria.reconstruction.scaling import ImageScaling
from inmateria.reconstruction.stored import TargetScaling
from inmateria.transport.disorder.remote_dopants import RemoteDopants

OPTIONS = {"n_outputs": 2, "widths": (4, 8), "dense": 8, "shape": (32, 16)}
CONFIGURATION = GenerationSettings().configuration()


def images(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2.0, size=(n, 32, 16))


def reader(**changes: object) -> NumberReader:
    scaling = ImageScaling.of("plain", images(50))
    return NumberReader(
        **{
            "network": build_network("dense-reader", seed=1, **OPTIONS),
            "kind": "dense-reader",
            "options": OPTIONS,
            "scaling": scaling,
            "target_scaling": TargetScaling((50.0, 1e12), (5.0, 2e11)),
            "names": PARAMETERS,
            "shape": (32, 16),
            "image_pixel_nm": 10.0,
            "familiarity": Familiarity.of(scaling(images(50))),
            "about": {"configuration": CONFIGURATION},
            **changes,
        }  # type: ignore[arg-type]
    )


def potentials() -> Reconstructor:
    scaling, options = ImageScaling.of("amplitude", images(50)), {"width": 8, "depth": 2}
    return Reconstructor(
        build_network("unet", seed=1, **options), "unet", options, scaling, (32, 16), 10.0, 10.0,
        1.4, Familiarity.of(scaling(images(50))),
    )  # fmt: skip


def test_rms_and_correlation_length_follow_from_s_and_density() -> None:
    found = reader().read(images(3))
    assert found.names == (*PARAMETERS, "rms_mev", "correlation_nm")
    assert found.values.shape == (3, 4)
    # Away from the network's mean answer, so that its weights matter.
    assert np.ptp(found.values[:, 0]) > 0
    for s, density, rms, length in found.values:
        dopants = RemoteDopants(spacing_nm=s, density_per_cm2=density)
        assert rms == pytest.approx(dopants.rms_mev, rel=1e-12)
        assert length == pytest.approx(dopants.correlation_length_nm, rel=1e-12)


def test_impossible_dopants_give_no_rms() -> None:
    found = reader(target_scaling=TargetScaling((-50.0, 1e12), (5.0, 2e11))).read(images(1))
    assert (found.values[:, 0] < 0).all()
    assert np.isnan(found.values[:, 2:]).all()
    with pytest.raises(ParameterError, match="trained on"):
        reader(about={}).read(images(1))


def test_shapes_units_of_pixels_and_strange_images() -> None:
    one = reader()
    assert one.read(images(6).reshape(2, 3, 32, 16)).values.shape == (2, 3, 4)
    assert one.read(images(1)[0]).values.shape == (4,)
    finer = images(2).repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(one.read(finer).values, one.read(images(2)).values, rtol=1e-5)
    assert (one.read(images(9, seed=2)).warning == "").all()
    assert "unlike" in str(one.read(100 * images(1)[0]).warning)
    with pytest.raises(ShapeError, match=r"32 x 16 of 10 nm.*transpose"):
        one.read(np.ones((16, 32)))
    with pytest.raises(ShapeError, match="crop or interpolate"):
        one.read(np.ones((33, 16)))
    holed = images(1)
    holed[0, 2, 3] = np.nan
    with pytest.raises(NotFiniteError, match=r"\(0, 2, 3\)"):
        one.read(holed)


def test_every_kind_of_model_comes_back_from_its_file(tmp_path: Path) -> None:
    parts = coefficient_names([0, 1], [1, 0])
    assert parts == ("Re C(0, 1)", "Im C(0, 1)", "Re C(1, 0)", "Im C(1, 0)")
    four = {**OPTIONS, "n_outputs": 4}
    coefficients = reader(
        network=build_network("dense-reader", seed=2, **four), options=four, names=parts,
        target_scaling=TargetScaling((0.0,) * 4, (1.0,) * 4),
    )  # fmt: skip
    for one in (reader(), coefficients):
        again = load_model(save_model(tmp_path / "m.safetensors", one))
        assert isinstance(again, NumberReader)
        assert again.names == one.names
        assert again.about == one.about
        np.testing.assert_array_equal(again.read(images(2)).values, one.read(images(2)).values)
    path = save_model(tmp_path / "v.safetensors", potentials())
    assert isinstance(load_model(path), Reconstructor)
    assert reconstruct(images(1)[0], path).potential_mev.shape == (32, 16)


def test_a_file_without_the_new_key_holds_potentials(tmp_path: Path) -> None:
    tensors, record = read_tensors(save_reconstructor(tmp_path / "a.safetensors", potentials()))
    assert record.pop("answer") == "potential"
    path = write_tensors(tmp_path / "old.safetensors", tensors, record)
    assert isinstance(load_model(path), Reconstructor)
    with pytest.raises(ModelFileError, match="not numbers"):
        load_number_reader(path)


def test_what_is_asked_of_the_wrong_model(tmp_path: Path) -> None:
    path = save_model(tmp_path / "m.safetensors", reader())
    with pytest.raises(ParameterError, match="not potentials"):
        reconstruct(images(1)[0], path)
    with pytest.raises(ModelFileError, match="not potentials"):
        load_reconstructor(path)
    whole = bytearray(path.read_bytes())
    whole[-1] ^= 1
    path.write_bytes(bytes(whole))
    with pytest.raises(ModelFileError, match="damaged"):
        load_model(path)


def test_a_record_that_makes_no_model(tmp_path: Path) -> None:
    tensors, record = read_tensors(save_model(tmp_path / "m.safetensors", reader()))
    path = write_tensors(tmp_path / "bad.safetensors", tensors, record | {"names": None})
    with pytest.raises(ModelFileError, match="does not make a model"):
        load_model(path)


def test_the_default_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "DEFAULT_PATH", tmp_path / "models" / "default.safetensors")
    with pytest.raises(ModelFileError, match="reconstruct train"):
        default_model()
    one = replace(potentials(), about={"image": "pldos"})
    save_model(tmp_path / "models" / "default.safetensors", one)
    assert isinstance(load_model("default"), Reconstructor)
    np.testing.assert_array_equal(
        reconstruct(images(1)[0]).potential_mev, one.reconstruct(images(1)[0]).potential_mev
    )
