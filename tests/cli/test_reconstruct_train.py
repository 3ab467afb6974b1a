"""`inmateria reconstruct train` and `evaluate`: the same model after a stop, fair samples."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from inmateria.cli.reconstruct_image import read_images
from inmateria.data.sample_store import open_store
from inmateria.datasets.generate import generate
from inmateria.datasets.settings import GenerationSettings
from inmateria.reconstruction import evaluation, training
from inmateria.reconstruction.evaluation import evaluate, ranked
from inmateria.reconstruction.load import load_model, save_model
from inmateria.report import reconstruction_judged

from .conftest import Outcome, assert_one_line

Run = Callable[..., Outcome]

FIELDS: dict[str, Any] = {
    "n_samples": 48,
    "block_size": 4,
    "gas": {"n_x": 32, "n_y": 16, "source_rows": "4:12", "fermi_mev": 9.0},
    "disorder": {"spacing_nm": [15.0, 25.0]},
    "keep": {"potential": "float16"},
    "scanning_gate": {},
}
SMALL = """
target_pixel = 2
[options]
width = 4
depth = 1
shrink = 2
[plan]
epochs = 3
batch = 8
"""


def make_set(path: Path, **changes: Any) -> Path:
    generate(GenerationSettings.model_validate(FIELDS | changes), path, workers=1)
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("set") / "set.zarr")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    file = tmp_path / "small.toml"
    file.write_text(SMALL)
    return file


@pytest.fixture(scope="module")
def trained(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of a training that nothing disturbed."""
    from inmateria.cli.exits import run

    folder = tmp_path_factory.mktemp("trained")
    (folder / "small.toml").write_text(SMALL)
    # Of three samples, the median alone is drawn: a map takes a quarter of a second.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "ranked", lambda found, *shares: ranked(found, shares[0]))
        status = run(["reconstruct", "train", str(store), "--config", str(folder / "small.toml"),
                      "--out", str(folder / "runs")])  # fmt: skip
    assert status == 0
    return only_run(folder / "runs")


@pytest.fixture
def no_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without maps: what they look like is tested elsewhere."""
    monkeypatch.setattr(reconstruction_judged, "_examples", lambda *_: [])


def only_run(out: Path) -> Path:
    (folder,) = out.iterdir()
    return folder


def errors_of(run: Path) -> Any:
    return json.loads((run / "errors.json").read_text())


def test_a_run_holds_all_that_was_made(trained: Path, store: Path) -> None:
    config = (trained / "config.toml").read_text()
    # Flags, file and the preset's own numbers, all spelt out.
    for words in ('network = "unet"', "epochs = 3", "batch = 8", "learning_rate = 0.004",
                  "noise = 0.1", 'form = "amplitude"', "width = 4"):  # fmt: skip
        assert words in config
    model = load_model(trained / "model" / "model.safetensors")
    found = evaluate(model, open_store(store), model.about["blocks"]["test"])
    assert errors_of(trained) == pytest.approx(found.summary())
    assert errors_of(trained) == model.about["test"]
    history = json.loads((trained / "training.json").read_text())
    assert len(history["validation_loss"]) == len(history["seconds"]) == 3
    assert (trained / "model" / "checkpoint.safetensors").is_file()
    html = (trained / "report.html").read_text()
    # Losses, histogram, two of calibration, and five maps of the median sample.
    assert html.count("<svg") == 4 + 5
    for heading in ("Learning", "Errors", "Calibration", "Correlation with the truth"):
        assert heading in html


@pytest.mark.usefixtures("no_examples")
def test_a_stopped_training_ends_in_the_same_bytes(
    inmateria: Run, store: Path, small: Path, trained: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    out, batches = tmp_path / "out", []
    command = ("reconstruct", "train", store, "--config", small, "--out", out)
    loss = training._loss

    def interrupted(*arguments: Any) -> Any:
        batches.append(1)
        # In the middle of the second epoch, of 5 batches.
        if len(batches) == 9:
            raise KeyboardInterrupt
        return loss(*arguments)

    monkeypatch.setattr(training, "_loss", interrupted)
    stopped = inmateria(*command)
    assert stopped.status == 2
    assert stopped.err.splitlines()[-1].startswith("stopped: Ctrl-C; finished epochs are kept in")
    folder = only_run(out)
    assert not (folder / "model" / "model.safetensors").exists()
    outcome = inmateria(*command)
    assert outcome.status == 0, outcome.err
    assert only_run(out) == folder
    line, model, report = outcome.out.splitlines()
    assert line.startswith("r = ")
    assert (Path(model), Path(report)) == (
        folder / "model" / "model.safetensors", folder / "report.html",
    )  # fmt: skip
    assert Path(model).read_bytes() == (trained / "model" / "model.safetensors").read_bytes()
    # Two epochs were left, and the first was not done again.
    per_epoch = 5
    assert len(batches) == 9 + 2 * per_epoch


@pytest.mark.usefixtures("no_examples")
def test_another_set_under_the_same_path_is_refused(
    inmateria: Run, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = make_set(tmp_path / "set.zarr"), tmp_path / "out"
    command = ("reconstruct", "train", path, "--config", small, "--out", out)
    save = training._save

    def interrupted(*arguments: Any) -> None:
        save(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "_save", interrupted)
    assert inmateria(*command).status == 2
    monkeypatch.setattr(training, "_save", save)
    shutil.rmtree(path)
    make_set(path, seed=7)
    assert_one_line(
        inmateria(*command), "another set", "seed = 0 there, 7 here", str(only_run(out))
    )


@pytest.mark.usefixtures("no_examples")
@pytest.mark.parametrize("name", ["two-parameters", "coefficients"])
def test_networks_that_read_numbers(inmateria: Run, store: Path, tmp_path: Path, name: str) -> None:
    file, out = tmp_path / "n.toml", tmp_path / "out"
    file.write_text("[options]\nwidths = [4, 8]\ndense = 8\n")
    outcome = inmateria("reconstruct", "train", store, "--network", name, "--epochs", "2",
                        "--config", file, "--out", out)  # fmt: skip
    assert outcome.status == 0, outcome.err
    html = (only_run(out) / "report.html").read_text()
    assert html.count("<svg") == (3 if name == "two-parameters" else 2)
    model = only_run(out) / "model" / "model.safetensors"
    again = inmateria("reconstruct", "evaluate", model, store, "--out", tmp_path / "judged")
    assert again.status == 0, again.err
    assert errors_of(only_run(tmp_path / "judged"))["errors"] == errors_of(only_run(out))
    if name == "two-parameters":
        assert "constant rms" in html
        assert "error of N_d" in again.out


@pytest.mark.usefixtures("no_examples")
def test_several_images_are_channels_of_one_network(
    inmateria: Run, store: Path, small: Path, tmp_path: Path
) -> None:
    out = ("--out", str(tmp_path / "runs"))
    done = inmateria("reconstruct", "train", str(store), "--config", str(small),
                     "--image", "pldos,gate_map", "--epochs", "1", *out)  # fmt: skip
    assert done.status == 0, done.err
    file = only_run(tmp_path / "runs") / "model" / "model.safetensors"
    model = load_model(file)
    assert model.about["image"] == ["pldos", "gate_map"]
    assert model.scaling.form == "amplitude, signed"
    judged = inmateria("reconstruct", "evaluate", str(file), str(store), *out)
    assert judged.status == 0, judged.err
    # The same two samples as one array, and by the names of their variables.
    opened = open_store(store)
    block = opened.done_blocks()[-1]
    maps = [np.asarray(opened.values(block, name), float)[:2] for name in ("pldos", "gate_map")]
    np.save(tmp_path / "maps.npy", np.stack(maps, axis=1))
    np.savez(tmp_path / "maps.npz", pldos=maps[0], gate_map=maps[1])
    expected = model.reconstruct(np.stack(maps, axis=1)).potential_mev
    given = read_images(tmp_path / "maps.npy", model)
    np.testing.assert_array_equal(given.values, np.stack(maps, axis=1))
    found = inmateria(
        "reconstruct", "infer", str(tmp_path / "maps.npz"), "--model", str(file), *out
    )
    assert found.status == 0, found.err
    folder = Path(found.out.splitlines()[-1]).parent
    with xr.open_dataset(folder / "data" / "reconstruction.nc") as result:
        np.testing.assert_allclose(result["potential_mev"], expected, rtol=1e-6)
        np.testing.assert_allclose(result["image"], maps[0])
    np.save(tmp_path / "one.npy", np.asarray(opened.values(block, "pldos"), float)[:3])
    refused = inmateria(
        "reconstruct", "infer", str(tmp_path / "one.npy"), "--model", str(file), *out
    )
    assert_one_line(refused, "give (2, n_x, n_y), or (n, 2, n_x, n_y)")
    np.savez(tmp_path / "half.npz", pldos=maps[0])
    refused = inmateria(
        "reconstruct", "infer", str(tmp_path / "half.npz"), "--model", str(file), *out
    )
    assert_one_line(refused, "does not hold 'gate_map'", "pldos, gate_map")


@pytest.mark.usefixtures("no_examples")
def test_a_gate_map_is_read_with_its_signs(inmateria: Run, store: Path, tmp_path: Path) -> None:
    file, out = tmp_path / "g.toml", tmp_path / "out"
    file.write_text(SMALL)
    outcome = inmateria("reconstruct", "train", store, "--config", file, "--image", "gate_map",
                        "--most", "8", "--epochs", "1", "--out", out)  # fmt: skip
    assert outcome.status == 0, outcome.err
    config = (only_run(out) / "config.toml").read_text()
    assert 'form = "signed"' in config
    model = load_model(only_run(out) / "model" / "model.safetensors")
    assert model.about["training_samples"] == 8
    assert model.about["image"] == "gate_map"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--network", "vnet"), ("vnet", "unet")),
        (("--image", "gate"), ("'gate'", "pldos")),
        (("--image", "transmission"), ("transmission", "maps of one size")),
        (("--epochs", "0"), ("epochs",)),
        (("--learning-rate", "-1"), ("learning_rate",)),
        (("--device", "tpu"), ("device", "cpu")),
        (("--most", "0"), ("most",)),
        (("--seed", "-1"), ("seed",)),
    ],
)
def test_mistakes_end_in_one_line_and_no_folder(
    inmateria: Run, store: Path, small: Path, tmp_path: Path, arguments: tuple[str, ...],
    words: tuple[str, ...],
) -> None:  # fmt: skip
    out = tmp_path / "out"
    outcome = inmateria("reconstruct", "train", store, "--config", small, *arguments, "--out", out)
    assert_one_line(outcome, *words)
    assert not out.exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epoch = 3\n", ("'epoch'",)),
        ("[plan]\nepoch = 3\n", ("'epoch'", "did you mean 'epochs'")),
        ("[plan.augmentation]\nnoise = -1\n", ("noise",)),
        ("[options]\nwidht = 3\n", ("widht",)),
        ("[options]\nwidth = 0\n", ("width 0",)),
        ('[options]\nwidth = "wide"\n', ("width", "unet")),
        ("[options]\nshrink = 5\n", ("32 x 16", "multiples of 20")),
        ("target_pixel = 4\n[options]\nshrink = 2\ndepth = 1\n", ("16 x 8", "8 x 4", "shrink")),
        ('[plan]\nloss = "squared"\n', ("squared", "likelihood")),
        ('network = "coefficients"\n[options]\nwidths = []\n', ("widths",)),
    ],
)
def test_mistakes_in_a_file(
    inmateria: Run, store: Path, tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    file, out = tmp_path / "bad.toml", tmp_path / "out"
    file.write_text(text)
    outcome = inmateria("reconstruct", "train", store, "--config", file, "--out", out)
    assert_one_line(outcome, *words)
    assert not out.exists()


def test_sets_that_cannot_be_trained_on(inmateria: Run, small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    common = ("--config", small, "--out", out)
    assert_one_line(inmateria("reconstruct", "train", tmp_path / "none.zarr", *common), "none.zarr")
    few = make_set(tmp_path / "few.zarr", n_samples=8)
    assert_one_line(inmateria("reconstruct", "train", few, *common), "2 finished blocks", "3")
    bare = make_set(tmp_path / "bare.zarr", keep={"potential": "no"})
    assert_one_line(inmateria("reconstruct", "train", bare, *common), "'potential'", "pldos")
    assert not out.exists()


@pytest.mark.usefixtures("no_examples")
def test_the_training_set_is_judged_on_what_was_held_out(
    inmateria: Run, store: Path, trained: Path, tmp_path: Path
) -> None:
    model, out = trained / "model" / "model.safetensors", tmp_path / "out"
    outcome = inmateria("reconstruct", "evaluate", model, store, "--out", out)
    assert outcome.status == 0, outcome.err
    relation, header, *rows, report = outcome.out.splitlines()
    assert "held out" in relation
    assert "value" in header
    assert len(rows) == 6
    assert Path(report) == only_run(out) / "report.html"
    assert errors_of(only_run(out))["errors"] == errors_of(trained)


@pytest.mark.usefixtures("no_examples")
def test_chosen_blocks_and_other_sets(
    inmateria: Run, store: Path, trained: Path, tmp_path: Path
) -> None:
    model = trained / "model" / "model.safetensors"
    seen = inmateria("reconstruct", "evaluate", model, store, "--blocks", "0:2",
                     "--out", tmp_path / "seen")  # fmt: skip
    assert seen.status == 0
    assert "warning: 2 of 2 blocks hold samples that the model was trained on" in seen.err
    assert errors_of(only_run(tmp_path / "seen"))["errors"]["samples"] == 8
    other = make_set(
        tmp_path / "other.zarr", seed=9, n_samples=6, disorder={"spacing_nm": [20.0, 20.0]}
    )
    outcome = inmateria("reconstruct", "evaluate", model, other, "--out", tmp_path / "other")
    assert outcome.status == 0, outcome.err
    assert "another set" in outcome.out
    assert "warning: another disorder" in outcome.err
    assert "[15.0,25.0] for the model, [20.0,20.0] in the set" in outcome.err
    assert errors_of(only_run(tmp_path / "other"))["errors"]["samples"] == 6
    assert "another disorder" in (only_run(tmp_path / "other") / "report.html").read_text()


def test_what_a_model_cannot_be_judged_on(
    inmateria: Run, store: Path, trained: Path, tmp_path: Path
) -> None:
    model, out = trained / "model" / "model.safetensors", tmp_path / "out"

    def refused(*arguments: Any, words: tuple[str, ...]) -> None:
        outcome = inmateria("reconstruct", "evaluate", *arguments, "--out", out)
        assert outcome.status == 2
        assert_one_line(Outcome(outcome.status, outcome.out, outcome.err.splitlines()[-1]), *words)
        assert not out.exists()

    warmer = make_set(tmp_path / "gas.zarr", n_samples=4, gas={**FIELDS["gas"], "fermi_mev": 9.5})
    refused(model, warmer, words=("gas.fermi_mev = 9.0 for the model, 9.5 in the set",))
    coarse = make_set(
        tmp_path / "coarse.zarr", n_samples=4, keep={"potential": "float16", "resolution": 2}
    )
    refused(model, coarse, words=("keep.resolution = 1 for the model, 2 in the set",))
    refused(model, store, "--blocks", "5", words=("--blocks '5'", "0:100"))
    refused(model, store, "--blocks", "5:50", words=("12 blocks",))
    refused(model, tmp_path / "none.zarr", words=("none.zarr",))
    refused(tmp_path / "none.safetensors", store, words=("none.safetensors", "does not exist"))
    # The same samples under another size of set are samples that it has seen.
    prefix = make_set(tmp_path / "prefix.zarr", n_samples=8)
    refused(model, prefix, words=("no samples that the model has not seen",))
    copy = tmp_path / "copy.zarr"
    shutil.copytree(store, copy)
    damaged = copy / "pldos" / "c.11.0.0"
    whole = bytearray(damaged.read_bytes())
    whole[len(whole) // 2] ^= 1
    damaged.write_bytes(bytes(whole))
    refused(model, copy, words=("block 11 of pldos is damaged",))
    (copy / "done" / "c.3.0.0").unlink()
    refused(model, copy, "--blocks", "2:5", words=("block 3", "not computed"))


def test_a_model_without_a_past_is_not_judged(
    inmateria: Run, store: Path, trained: Path, tmp_path: Path
) -> None:
    model = load_model(trained / "model" / "model.safetensors")
    model.about = {"image": "pldos"}
    path = save_model(tmp_path / "m.safetensors", model)
    assert_one_line(inmateria("reconstruct", "evaluate", path, store), "trained on")


def test_help_of_the_group(inmateria: Run) -> None:
    shown = inmateria("reconstruct", "--help")
    for name in ("train", "evaluate", "infer"):
        assert f"  {name} " in shown.out
        assert inmateria("reconstruct", name, "--help").out.startswith("Usage: inmateria")
    assert_one_line(inmateria("reconstruct", "tarin"), "tarin")


@pytest.mark.usefixtures("no_examples")
def test_seeds_give_different_models(trained: Path, store: Path, tmp_path: Path) -> None:
    """Bytes can differ: the test of equal ones is not empty."""
    from inmateria.cli.exits import run

    (tmp_path / "s.toml").write_text(SMALL)
    assert run(["reconstruct", "train", str(store), "--config", str(tmp_path / "s.toml"),
                "--seed", "1", "--epochs", "1", "--out", str(tmp_path / "out")]) == 0  # fmt: skip
    one = load_model(trained / "model" / "model.safetensors")
    two = load_model(only_run(tmp_path / "out") / "model" / "model.safetensors")
    weights = [next(iter(m.network.state_dict().values())).numpy() for m in (one, two)]
    assert not np.array_equal(*weights)
