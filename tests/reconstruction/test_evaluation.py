"""Models with known errors are judged right; samples that were seen are told from others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inmateria.data.sample_store import SampleStore, open_store
from inmateria.datasets.averaging import block_average
from inmateria.datasets.generate import generate
from inmateria.datasets.settings import GenerationSettings
from inmateria.errors import ParameterError
from inmateria.reconstruction.evaluation import (
    LEVELS,
    NumberEvaluation,
    PotentialEvaluation,
    constant_rms_slope,
    evaluate,
    example,
    ranked,
)
from inmateria.reconstruction.familiarity import Familiarity
from inmateria.reconstruction.networks import build_network
from inmateria.reconstruction.number_reader import DERIVED, PARAMETERS, NumberReader, Reading
from inmateria.reconstruction.reconstructor import Reconstruction, Reconstructor
from inmateria.reconstruction.scaling import ImageScaling
from inmateria.reconstruction.stored import TargetScaling
from inmateria.reconstruction.unseen import check_set, seen_among, unseen_blocks
from inmateria.transport.disorder.remote_dopants import RemoteDopants

FIELDS: dict[str, Any] = {
    "n_samples": 24,
    "block_size": 4,
    "gas": {"n_x": 32, "n_y": 16, "source_rows": "4:12", "fermi_mev": 9.0},
    "disorder": {"spacing_nm": [15.0, 25.0]},
    "keep": {"potential": "float32"},
}


def make(path: Path, blocks: range | None = None, **changes: Any) -> SampleStore:
    settings = GenerationSettings.model_validate(FIELDS | changes)
    generate(settings, path, workers=1, blocks=blocks)
    return open_store(path)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SampleStore:
    return make(tmp_path_factory.mktemp("set") / "set.zarr")


def model(store: SampleStore, **about: Any) -> Reconstructor:
    options = {"width": 4, "depth": 1, "shrink": 2}
    scaling = ImageScaling("amplitude")
    flat = Familiarity((0.0,) * 8, (1e9,) * 8)
    about = {"configuration": dict(store.layout.configuration), "image": "pldos", **about}
    return Reconstructor(
        build_network("unet", seed=0, **options), "unet", options, scaling, (32, 16), 5.0, 10.0,
        2.0, flat, about=about,
    )  # fmt: skip


def reader(store: SampleStore) -> NumberReader:
    options = {"n_outputs": 2, "widths": (4,), "dense": 4, "shape": (32, 16)}
    return NumberReader(
        build_network("dense-reader", seed=0, **options), "dense-reader", options,
        ImageScaling("plain"), TargetScaling((20.0, 1e12), (1.0, 1e11)), PARAMETERS, (32, 16),
        5.0, Familiarity((0.0,) * 8, (1e9,) * 8),
        about={"configuration": dict(store.layout.configuration), "image": "pldos"},
    )  # fmt: skip


HELD = {"training": [0, 1, 2], "validation": [3], "test": [4, 5]}


def test_known_errors(store: SampleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Normal errors of a size that varies, and an uncertainty of just that size."""
    rng = np.random.default_rng(1)
    truths = {
        float(image.sum()): block_average(np.asarray(potential, np.float64), 2)
        for block in (0, 1)
        for image, potential in zip(
            np.asarray(store.values(block, "pldos"), np.float64),
            store.values(block, "potential"),
            strict=True,
        )
    }

    def reconstruct(_: Reconstructor, images: Any) -> Reconstruction:
        true = np.stack([truths[float(image.sum())] for image in images])
        sigma = rng.uniform(0.1, 0.5, true.shape)
        found = true + sigma * rng.normal(size=true.shape)
        return Reconstruction(found, sigma, 10.0, np.array(["odd", *[""] * (len(images) - 1)]))

    monkeypatch.setattr(Reconstructor, "reconstruct", reconstruct)
    told: list[tuple[int, int]] = []
    found = evaluate(model(store), store, [0, 1], progress=lambda a, b: told.append((a, b)))
    assert isinstance(found, PotentialEvaluation)
    assert told == [(1, 2), (2, 2)]
    assert found.n_strange == 2
    np.testing.assert_array_equal(found.samples, np.arange(8))
    # 8 x 128 pixels: shares scatter by 1.6 % at most, times 3.
    np.testing.assert_allclose(found.coverage, LEVELS, atol=0.05)
    summary = found.summary()
    # Mean square of a uniform number in (0.1, 0.5) is 0.1033; 1024 squares scatter by 6 %.
    assert summary["rms_error_mev"] == pytest.approx(np.sqrt(0.10333), rel=0.1)
    assert summary["relative_rms_error"] == pytest.approx(summary["rms_error_mev"] / 2.0)
    assert summary["coverage_90"] == found.coverage[LEVELS.index(0.9)]
    # Pixels one by one: errors in units of their uncertainty are normal.
    assert (found.error_mev / found.sigma_mev).std() == pytest.approx(
        np.sqrt(1 - 2 / np.pi), abs=0.1
    )


def test_no_uncertainty_is_no_coverage(store: SampleStore) -> None:
    one = replace(
        model(store), network=build_network("encoder-decoder", seed=0, widths=(4, 4)),
        kind="encoder-decoder", potential_pixel_nm=5.0,
    )  # fmt: skip
    found = evaluate(one, store, [0])
    assert found.summary()["coverage_90"] is None
    with pytest.raises(ParameterError, match="no blocks"):
        evaluate(one, store, [])


def test_examples_by_rank(store: SampleStore) -> None:
    one = model(store)
    found = evaluate(one, store, range(6))
    assert isinstance(found, PotentialEvaluation)
    worst, best = ranked(found, 0.0, 1.0)
    assert found.r[worst] == found.r.min()
    assert found.r[best] == found.r.max()
    assert ranked(found, 0.0, 0.0) == [worst]
    shown = example(one, store, best)
    # A batch of another size rounds differently in single precision.
    assert shown.r == pytest.approx(found.r[best], abs=1e-5)
    assert shown.true_mev.shape == (16, 8)


def test_numbers_with_known_errors(store: SampleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """s 2 % too large and N_d 3 % too small: what follows is known."""
    rows = [
        np.stack([np.asarray(store.values(block, name)) for name in PARAMETERS], axis=1)
        for block in range(6)
    ]
    calls = iter(rows)
    one = reader(store)

    def read(_: NumberReader, images: Any) -> Reading:
        values = next(calls) * np.array([1.02, 0.97])
        whole = np.concatenate([values, one.derived(values)], axis=1)
        return Reading(whole, PARAMETERS + DERIVED, np.full(len(images), "", dtype="<U1"))

    monkeypatch.setattr(NumberReader, "read", read)
    found = evaluate(one, store, range(6))
    assert isinstance(found, NumberEvaluation)
    summary = found.summary()
    assert summary["relative_error_s"] == pytest.approx(0.02)
    assert summary["relative_error_density"] == pytest.approx(0.03)
    # rms goes with sqrt(N_d), and with s as the closed form has it; the store's is interpolated.
    s, density = rows[0][0]
    ratio = RemoteDopants(1.02 * s, 0.97 * density).rms_mev / RemoteDopants(s, density).rms_mev
    assert found.relative()[0, 2] == pytest.approx(ratio - 1, abs=1e-6)
    np.testing.assert_allclose(found.correlation()[:2], 1)
    slope = constant_rms_slope(one, 20.0)
    along = RemoteDopants(20.2, 1e12 * 1.01**slope).rms_mev
    # Second order in a step of 1 %.
    assert along == pytest.approx(RemoteDopants(20.0, 1e12).rms_mev, rel=1e-4)


def test_a_training_set_gives_its_test_blocks(store: SampleStore) -> None:
    found = unseen_blocks(model(store, blocks=HELD), store)
    assert found.blocks == (4, 5)
    assert "held out" in found.relation
    assert found.warnings == ()
    assert seen_among(model(store, blocks=HELD), store, range(6)) == [0, 1, 2, 3]


def test_the_same_draws_in_other_blocks_are_known(store: SampleStore, tmp_path: Path) -> None:
    """Sample i is the same whatever the size of set and block."""
    other = make(tmp_path / "s.zarr", n_samples=30, block_size=6)
    one = np.asarray(other.values(2, "potential"))[0]
    np.testing.assert_array_equal(one, np.asarray(store.values(3, "potential"))[0])
    # Samples 0 to 15 were used; of blocks of six, the third holds 12 to 17.
    found = unseen_blocks(model(store, blocks=HELD), other)
    assert found.blocks == (3, 4)
    assert "seed of the training set" in found.relation
    with pytest.raises(ParameterError, match="not seen"):
        unseen_blocks(model(store), store)


def test_other_sets(store: SampleStore, tmp_path: Path) -> None:
    other = make(tmp_path / "o.zarr", n_samples=4, seed=9)
    found = unseen_blocks(model(store, blocks=HELD), other)
    assert found.blocks == (0,)
    assert "another set" in found.relation
    rougher = make(
        tmp_path / "r.zarr", n_samples=4, disorder={"spacing_nm": [15.0, 25.0], "periodic": False}
    )
    (warning,) = unseen_blocks(model(store, blocks=HELD), rougher).warnings
    assert "disorder.periodic = true for the model, false in the set" in warning
    warmer = make(tmp_path / "w.zarr", n_samples=4, gas={**FIELDS["gas"], "fermi_mev": 9.5})
    with pytest.raises(ParameterError, match=r"gas\.fermi_mev = 9\.0 for the model"):
        check_set(model(store), warmer)
    with pytest.raises(ParameterError, match="'gate_map'"):
        check_set(model(store, image="gate_map"), store)
    with pytest.raises(ParameterError, match="trained on"):
        check_set(replace(model(store), about={}), store)
