"""`inmateria reconstruct infer`: what it finds, keeps and says, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from inmateria.cli import reconstruct_steps
from inmateria.cli.reconstruct_image import read_picture
from inmateria.data.reconstruction_file import open_reconstruction
from inmateria.datasets.averaging import block_average
from inmateria.datasets.disorder import dopants
from inmateria.datasets.settings import GenerationSettings
from inmateria.reconstruction.familiarity import Familiarity
from inmateria.reconstruction.load import save_model
from inmateria.reconstruction.metrics import pearson
from inmateria.reconstruction.networks import build_network
from inmateria.reconstruction.number_reader import PARAMETERS, NumberReader
from inmateria.reconstruction.reconstructor import Reconstruction, Reconstructor
from inmateria.reconstruction.scaling import ImageScaling
from inmateria.reconstruction.stored import TargetScaling
from inmateria.report import reconstruction_sections

from .conftest import Outcome, assert_one_line

Run = Callable[..., Outcome]

# Pixels of two sites, 64 x 48 sites in all; potentials on pixels of four.
SETTINGS = GenerationSettings.model_validate(
    {"gas": {"n_x": 64, "n_y": 48}, "keep": {"resolution": 2}}
)
GAS = SETTINGS.gas.gas()
DOPANTS = dopants(SETTINGS, 50.0, 1e12)
TRUE = DOPANTS.sample_many(GAS, 12, seed=3).potential
PLDOS = np.asarray(GAS.pldos(TRUE, accuracy=1e-8))
SEEN = block_average(PLDOS, 2)
OPTIONS = {"width": 4, "depth": 1, "shrink": 2}


def potentials(**about: Any) -> Reconstructor:
    """A network that was never trained, with all that belongs to one that was."""
    scaling = ImageScaling.of("amplitude", SEEN)
    return Reconstructor(
        network=build_network("unet", seed=1, **OPTIONS), kind="unet", options=OPTIONS,
        scaling=scaling, shape=(32, 24), image_pixel_nm=10.0, potential_pixel_nm=20.0,
        potential_scale_mev=1.4, familiarity=Familiarity.of(scaling(SEEN)),
        about={"configuration": SETTINGS.configuration(), "image": "pldos", **about},
    )  # fmt: skip


def numbers() -> NumberReader:
    scaling = ImageScaling.of("plain", SEEN)
    options = {"n_outputs": 2, "widths": (4,), "dense": 4, "shape": (32, 24)}
    return NumberReader(
        network=build_network("dense-reader", seed=1, **options), kind="dense-reader",
        options=options, scaling=scaling, target_scaling=TargetScaling((50.0, 1e12), (5.0, 2e11)),
        names=PARAMETERS, shape=(32, 24), image_pixel_nm=10.0,
        familiarity=Familiarity.of(scaling(SEEN)),
        about={"configuration": SETTINGS.configuration(), "image": "pldos"},
    )  # fmt: skip


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_model(tmp_path / "model.safetensors", potentials())


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without maps: what they look like is tested elsewhere."""
    monkeypatch.setattr(reconstruction_sections, "MOST_SHOWN", 0)


@pytest.fixture
def nearly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that is nearly right about the first samples."""
    other = DOPANTS.sample_many(GAS, 12, seed=4).potential
    mixed = np.sqrt(1 - 0.1**2) * TRUE + 0.1 * other

    def reconstruct(_: Reconstructor, images: Any) -> Reconstruction:
        found = block_average(mixed[: len(images)], 4)
        return Reconstruction(
            found, np.full(found.shape, 0.1), 20.0, np.full(len(images), "", dtype="<U9")
        )

    monkeypatch.setattr(Reconstructor, "reconstruct", reconstruct)


def only_run(out: Path) -> Path:
    (folder,) = out.iterdir()
    return folder


def data_of(out: Path) -> xr.Dataset:
    return open_reconstruction(only_run(out) / "data" / "reconstruction.nc")


def save(path: Path, values: Any) -> Path:
    np.save(path, values)
    return path


def test_it_is_what_the_library_finds(inmateria: Run, model: Path, tmp_path: Path) -> None:
    file, out = save(tmp_path / "i.npy", SEEN[0]), tmp_path / "out"
    outcome = inmateria("reconstruct", "infer", file, "--model", model, "--out", out)
    assert outcome.status == 0, outcome.err
    line, report = outcome.out.splitlines()
    assert Path(report) == only_run(out) / "report.html"
    assert line.startswith("a potential of")
    found, wanted = data_of(out), potentials().reconstruct(SEEN[0])
    np.testing.assert_array_equal(found["potential_mev"][0], wanted.potential_mev)
    np.testing.assert_array_equal(found["uncertainty_mev"][0], wanted.uncertainty_mev)
    np.testing.assert_array_equal(found["image"][0], SEEN[0])
    html = Path(report).read_text()
    assert html.count("<svg") == 4
    assert "Computed from the network&#x27;s potential" in html


def test_the_file_opens_in_plain_xarray_with_units_and_places(
    inmateria: Run, model: Path, tmp_path: Path
) -> None:
    file, out = save(tmp_path / "i.npy", SEEN[0]), tmp_path / "out"
    inmateria("reconstruct", "infer", file, "--model", model, "--out", out)
    path = only_run(out) / "data" / "reconstruction.nc"
    with xr.open_dataset(path, engine="h5netcdf") as found:
        assert found["potential_mev"].attrs["units"] == "meV"
        assert found["potential_mev"].dims == ("sample", "potential_x", "potential_y")
        # The first site is at zero: a pixel of two of them is centred at 2.5 nm.
        np.testing.assert_array_equal(found["x"], 2.5 + 10.0 * np.arange(32))
        np.testing.assert_array_equal(found["potential_y"], 7.5 + 20.0 * np.arange(12))
        assert found.attrs["image_units"] == "unknown"
        assert json.loads(found.attrs["parents"])[0]["path"].endswith("i.npy")
    whole = path.read_bytes()
    start = whole.index(np.ascontiguousarray(SEEN[0], "<f8").tobytes())
    path.write_bytes(whole[: start + 9] + bytes([whole[start + 9] ^ 1]) + whole[start + 10 :])
    with pytest.raises(OSError, match="image fails its SHA-256"):
        open_reconstruction(path)


@pytest.mark.usefixtures("no_figures")
def test_every_kind_of_file_gives_the_same(inmateria: Run, model: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "i.npz", pldos=SEEN[:2], other=np.zeros(3))
    places = {"x": ("x", 10.0 * np.arange(32), {"units": "nm"})}
    turned = np.moveaxis(SEEN[:2], 0, -1).swapaxes(0, 1)
    dataset = xr.Dataset({"pldos": (("y", "x", "n"), turned, {"units": "1/t"})}, places)
    dataset.to_netcdf(tmp_path / "i.nc", engine="h5netcdf")
    save(tmp_path / "fine.npy", PLDOS[:2])
    # Finer than sites: averaged down.
    save(tmp_path / "finer.npy", PLDOS[:2].repeat(3, axis=1).repeat(3, axis=2))
    save(tmp_path / "i.npy", SEEN[:2])
    found = {}
    for name in ("i.npy", "i.npz", "i.nc", "fine.npy", "finer.npy"):
        out = tmp_path / f"out-{name}"
        outcome = inmateria("reconstruct", "infer", tmp_path / name, "--model", model, "--out", out)
        assert outcome.status == 0, outcome.err
        assert outcome.out.startswith("image  rms (meV)")
        found[name] = data_of(out)
    # Sums of single precision come in another order.
    for name in found:
        np.testing.assert_allclose(
            found[name]["potential_mev"], found["i.npy"]["potential_mev"], atol=1e-5
        )
        np.testing.assert_allclose(found[name]["misfit"], found["i.npy"]["misfit"], rtol=0.1)
    # In the unit that it is computed in, the scale is not free.
    assert (found["i.nc"]["computed_scale"] == 1).all()
    assert (found["i.npy"]["computed_scale"] != 1).all()
    assert found["finer.npy"]["image"].shape == (2, 32, 24)


@pytest.mark.usefixtures("no_figures")
def test_a_transport_sample_is_taken(inmateria: Run, model: Path, tmp_path: Path) -> None:
    inmateria("transport", "sample", "--n-x", "64", "--n-y", "48", "--sgm", "none",
              "--accuracy", "1e-8", "--seed", "3", "--out", tmp_path / "sample")  # fmt: skip
    file = only_run(tmp_path / "sample") / "data" / "transport.nc"
    out = tmp_path / "out"
    outcome = inmateria("reconstruct", "infer", file, "--model", model, "--out", out)
    assert outcome.status == 0, outcome.err
    found = data_of(out)
    assert found.attrs["image_units"] == "1/t"
    pldos = np.asarray(GAS.pldos(DOPANTS.sample(GAS, seed=3).potential, accuracy=1e-8))
    np.testing.assert_allclose(found["image"][0], pldos, atol=1e-6 * pldos.max())
    # What is not a PLDOS is asked for by name, and is refused for what it is.
    assert_one_line(
        inmateria("reconstruct", "infer", file, "--model", model, "--variable", "potential"),
        "negative",
    )
    whole = bytearray(file.read_bytes())
    at = bytes(whole).index(np.ascontiguousarray(found["image"][0]).tobytes()[:64])
    whole[at] ^= 1
    file.write_bytes(bytes(whole))
    assert_one_line(
        inmateria("reconstruct", "infer", file, "--model", model), "pldos fails its SHA-256"
    )


@pytest.mark.parametrize("bits", [8, 16])
def test_pictures_stand_as_maps_are_drawn(tmp_path: Path, bits: int) -> None:
    image = np.zeros((32, 24))
    image[30, 1] = 1.0  # near the drain, near y = 0: right and low in a picture
    top = 2**bits - 1
    levels = np.round(top * image).astype(np.uint8 if bits == 8 else np.uint16)
    picture = np.zeros((24, 32), levels.dtype)
    picture[22, 30] = top
    Image.fromarray(picture).save(tmp_path / "i.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "i.png").values, levels)


@pytest.mark.usefixtures("no_figures")
def test_a_picture_gives_nearly_what_its_numbers_give(
    inmateria: Run, model: Path, tmp_path: Path
) -> None:
    levels = np.round(65535 * SEEN[0] / SEEN[0].max()).astype(np.uint16)
    Image.fromarray(np.ascontiguousarray(levels.T[::-1])).save(tmp_path / "i.png")
    Image.fromarray(SEEN[0].T[::-1].astype(np.float32)).save(tmp_path / "i.tiff")
    for name in ("i.png", "i.tiff"):
        out = tmp_path / f"out-{name}"
        outcome = inmateria("reconstruct", "infer", tmp_path / name, "--model", model,
                            "--pixel-nm", "10", "--out", out)  # fmt: skip
        assert outcome.status == 0, outcome.err
        wanted = potentials().reconstruct(SEEN[0]).potential_mev
        # A level is 1.5e-5 of the maximum; the amplitude of a dark pixel is off by its root.
        np.testing.assert_allclose(data_of(out)["potential_mev"][0], wanted, atol=0.02)


@pytest.mark.usefixtures("nearly")
def test_refinement_finds_the_truth_and_says_so(
    inmateria: Run, model: Path, tmp_path: Path
) -> None:
    file, out = save(tmp_path / "i.npy", 3e-9 * SEEN[0]), tmp_path / "out"
    outcome = inmateria("reconstruct", "infer", file, "--model", model, "--refine", "--out", out)
    assert outcome.status == 0, outcome.err
    found = data_of(out)
    assert pearson(found["refined_mev"][0], TRUE[0]) > 0.9995
    assert float(found["refined_scale"][0]) == pytest.approx(3e-9, rel=0.01)
    assert float(found["refined_misfit"][0]) < 0.05 * float(found["misfit"][0])
    np.testing.assert_allclose(found["refined_misfit_before"], found["misfit"], rtol=0.01)
    np.testing.assert_array_equal(found["site_x"], 5.0 * np.arange(64))
    assert "after refinement" in outcome.out
    # Dopants of 50 nm and 1e12: a small sample tells little, and says so.
    for name, true in (("dopant_spacing_nm", 50.0), ("density_per_cm2", 1e12)):
        sd = float(found[name.replace("_nm", "_sd_nm").replace("_per", "_sd_per")][0])
        assert 0.05 * true < sd < 2 * true
        assert abs(float(found[name][0]) - true) < 3 * sd
    assert "as of dopants" in outcome.out
    assert "nm away" in outcome.out
    assert (only_run(out) / "report.html").read_text().count("<svg") == 6


@pytest.mark.usefixtures("nearly", "no_figures")
def test_a_stopped_refinement_goes_on_with_what_is_missing(
    inmateria: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inmateria.reconstruction import refinement

    file, out = save(tmp_path / "i.npy", SEEN[:3]), tmp_path / "out"
    begun, refine = [], refinement.refine

    def interrupted(gas: Any, start: Any, measured: Any, **options: Any) -> Any:
        begun.append(int(np.argmin([np.abs(measured - one).max() for one in SEEN])))
        if len(begun) == 2:
            raise KeyboardInterrupt
        return refine(gas, start, measured, **options)

    monkeypatch.setattr(refinement, "refine", interrupted)
    command = ("reconstruct", "infer", file, "--model", model, "--refine", "--iterations", "3",
               "--out", out)  # fmt: skip
    stopped = inmateria(*command)
    assert stopped.status == 2
    assert "run the same command again to go on" in stopped.err.splitlines()[-1]
    first = data_of(out)
    assert np.isfinite(first["refined_misfit"]).values.tolist() == [True, False, False]
    assert np.isfinite(first["potential_mev"]).all()
    assert inmateria(*command).status == 0
    assert begun == [0, 1, 1, 2]
    last = data_of(out)
    assert np.isfinite(last["refined_mev"]).all()
    np.testing.assert_array_equal(last["refined_mev"][0], first["refined_mev"][0])


def test_numbers(inmateria: Run, tmp_path: Path) -> None:
    path = save_model(tmp_path / "n.safetensors", numbers())
    file, out = save(tmp_path / "i.npy", SEEN[:2]), tmp_path / "out"
    outcome = inmateria("reconstruct", "infer", file, "--model", path, "--out", out)
    assert outcome.status == 0, outcome.err
    wanted = numbers().read(SEEN[:2])
    found = data_of(out)
    for k, name in enumerate(wanted.names):
        np.testing.assert_array_equal(found[name], wanted.values[:, k])
    assert "s (nm)" in outcome.out
    assert f"{wanted.values[0, 0]:.3g}" in outcome.out
    assert_one_line(
        inmateria("reconstruct", "infer", file, "--model", path, "--refine"), "reads numbers"
    )


def test_a_strange_image_is_flagged_everywhere(inmateria: Run, model: Path, tmp_path: Path) -> None:
    smooth = 1 + 0.01 * np.sin(np.arange(24) / 4) * np.ones((32, 24))
    file, out = save(tmp_path / "i.npy", smooth), tmp_path / "out"
    outcome = inmateria("reconstruct", "infer", file, "--model", model, "--out", out)
    assert outcome.status == 0
    assert "warning: image 0 is unlike the training set" in outcome.err
    assert "not to be trusted" in outcome.out
    assert "do not trust" in (only_run(out) / "report.html").read_text()


def with_pixel(value: float) -> Any:
    image = SEEN[0].copy()
    image[3, 4] = value
    return image


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (SEEN[0].T, ("24 x 32", "32 x 24 of 10 nm", "transpose")),
        (SEEN[0][:30], ("30 x 24", "32 x 24 of 10 nm", "crop or interpolate")),
        (SEEN[0].repeat(3, axis=0), ("96 x 24", "crop or interpolate")),
        (SEEN[0][:4, :4], ("4 x 4", "crop or interpolate")),
        (SEEN[0].ravel(), ("(768,)", "(n_x, n_y)")),
        (SEEN[None, :2], ("(1, 2, 32, 24)", "(n, n_x, n_y)")),
        (SEEN[:0], ("(0, 32, 24)", "(n, n_x, n_y)")),
        (np.float64(3.0), ("shape ()",)),
        (with_pixel(np.nan), ("1 pixels are NaN", "(3, 4)", "fill")),
        (with_pixel(np.inf), ("infinite", "(3, 4)")),
        (with_pixel(-1e-3), ("1 pixels are negative", "-0.001", "offset")),
        (0 * SEEN[0], ("all pixels are zero",)),
        (0 * SEEN[0] + 2, ("all pixels are 2", "nothing to see")),
        (1e300 * SEEN[0], ("too large", "divide")),
        (SEEN[0] + 0j, ("complex128", "float64")),
        (SEEN[0].astype("U8"), ("<U8", "not real numbers")),
        (np.stack([SEEN[0], 0 * SEEN[0]]), ("image 1", "zero")),
    ],
)
def test_bad_images_end_in_one_line_and_nothing_is_written(
    inmateria: Run, model: Path, tmp_path: Path, values: Any, words: tuple[str, ...]
) -> None:
    file, out = save(tmp_path / "bad.npy", values), tmp_path / "out"
    outcome = inmateria("reconstruct", "infer", file, "--model", model, "--out", out)
    assert_one_line(outcome, "bad.npy", *words)
    assert not out.exists()


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int64", "float16", "bool"])
def test_small_integers_do_not_overflow(
    inmateria: Run, model: Path, tmp_path: Path, dtype: str
) -> None:
    most = {"bool": 1, "int8": 127, "uint8": 255}.get(dtype, 30_000)
    levels = np.round(most * SEEN[0] / SEEN[0].max()).astype(dtype)
    file, out = save(tmp_path / "i.npy", levels), tmp_path / "out"
    outcome = inmateria("reconstruct", "infer", file, "--model", model, "--out", out)
    assert outcome.status == 0, outcome.err
    wanted = potentials().reconstruct(levels.astype(float)).potential_mev
    np.testing.assert_array_equal(data_of(out)["potential_mev"][0], wanted)


def test_bad_files(inmateria: Run, model: Path, tmp_path: Path) -> None:
    def refused(name: str, *words: str, flags: tuple[str, ...] = ()) -> None:
        out = tmp_path / "out"
        outcome = inmateria(
            "reconstruct", "infer", tmp_path / name, "--model", model, *flags, "--out", out
        )
        assert_one_line(outcome, name, *words)
        assert not out.exists()

    np.save(tmp_path / "pickle.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    refused("pickle.npy", "pickle", "never loaded")
    refused("none.npy", "does not exist")
    (tmp_path / "folder.npy").mkdir()
    refused("folder.npy", "is a folder")
    (tmp_path / "image.txt").write_text("1 2 3")
    refused("image.txt", ".npy", ".png")
    (tmp_path / "half.png").write_bytes(b"\x89PNG\r\n\x1a\n rest")
    refused("half.png", "picture", "save it again")
    colour = np.zeros((24, 32, 3), np.uint8)
    Image.fromarray(colour).save(tmp_path / "colour.png")
    refused("colour.png", "in colour", "grey levels", ".npy")
    Image.fromarray(colour[..., 0]).save(
        tmp_path / "many.tiff", save_all=True, append_images=[Image.fromarray(colour[..., 0])]
    )
    refused("many.tiff", "2 pictures", "(n, n_x, n_y)")
    np.savez(tmp_path / "two.npz", a=SEEN[0], b=SEEN[0])
    refused("two.npz", "a, b", "'pldos'")
    refused("two.npz", "a, b", "'c'", flags=("--variable", "c"))
    save(tmp_path / "good.npy", SEEN[0])
    refused("good.npy", "20 nm", "640 nm x 480 nm", "320 nm x 240 nm", "10 nm",
            flags=("--pixel-nm", "20"))  # fmt: skip
    refused("good.npy", "--variable", flags=("--variable", "pldos"))
    places = {"x": ("x", 4.0 * np.arange(32), {"units": "nm"})}
    dataset = xr.Dataset({"pldos": (("x", "y"), SEEN[0])}, places)
    dataset.to_netcdf(tmp_path / "scale.nc", engine="h5netcdf")
    refused("scale.nc", "4 nm", "128 nm x 96 nm")


def test_bad_models_and_flags(inmateria: Run, model: Path, tmp_path: Path) -> None:
    file, out = save(tmp_path / "i.npy", SEEN[0]), tmp_path / "out"

    def refused(*arguments: Any, words: tuple[str, ...]) -> None:
        assert_one_line(inmateria("reconstruct", "infer", file, *arguments, "--out", out), *words)
        assert not out.exists()

    refused("--model", tmp_path / "none.safetensors", words=("none.safetensors", "does not exist"))
    refused("--model", file, words=("i.npy", "damaged"))
    refused("--model", model, "--pixel-nm", "0", words=("pixel_nm", "nanometres"))
    refused("--model", model, "--pixel-nm", "nan", words=("pixel_nm",))
    refused("--model", model, "--iterations", "0", words=("iterations",))
    other = save_model(tmp_path / "m.safetensors", potentials(configuration={}))
    refused("--model", other, "--refine", words=("--refine", "electron gas"))
    gate = save_model(tmp_path / "g.safetensors", potentials(image="gate_map"))
    refused("--model", gate, "--refine", words=("--refine", "gate_map"))


@pytest.mark.usefixtures("no_figures")
def test_without_a_gas_the_answer_comes_without_its_image(inmateria: Run, tmp_path: Path) -> None:
    path = save_model(tmp_path / "m.safetensors", potentials(configuration={}))
    file, out = save(tmp_path / "i.npy", SEEN[0]), tmp_path / "out"
    assert inmateria("reconstruct", "infer", file, "--model", path, "--out", out).status == 0
    found = data_of(out)
    assert "misfit" not in found
    np.testing.assert_array_equal(found["x"], 10.0 * np.arange(32))


def test_steps_name_no_gas_for_a_warm_set() -> None:
    warm = GenerationSettings.model_validate({"temperature_k": 1.0}).configuration()
    assert reconstruct_steps._physics(potentials(configuration=warm)) == (None, None)


@pytest.mark.usefixtures("no_figures")
def test_show_prints_models_and_results(inmateria: Run, model: Path, tmp_path: Path) -> None:
    file, out = save(tmp_path / "i.npy", SEEN[0]), tmp_path / "out"
    inmateria("reconstruct", "infer", file, "--model", model, "--out", out)
    shown = inmateria("show", only_run(out) / "data" / "reconstruction.nc")
    assert shown.status == 0, shown.err
    for words in ("inmateria.reconstruction-result 1", "potential_mev", "1 x 16 x 12", "i.npy"):
        assert words in shown.out
    shown = inmateria("show", model)
    assert shown.status == 0, shown.err
    for words in ("32 x 24 pixels of 10 nm", "potentials on pixels of 20 nm", "n_x: 64"):
        assert words in shown.out
    reads = inmateria("show", save_model(tmp_path / "n.safetensors", numbers()))
    assert "2 numbers: dopant_spacing_nm, density_per_cm2" in reads.out
    whole = bytearray(model.read_bytes())
    whole[-1] ^= 1
    model.write_bytes(bytes(whole))
    assert_one_line(inmateria("show", model), "damaged")
