"""Train a preset on a store: split, scale, train, calibrate, judge on what was held out."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from inmateria.data.sample_store import SampleStore
from inmateria.errors import ParameterError
from inmateria.reconstruction.familiarity import Familiarity
from inmateria.reconstruction.metrics import coverage, pearson, rms_error
from inmateria.reconstruction.networks import build_network
from inmateria.reconstruction.presets import Preset
from inmateria.reconstruction.reconstructor import NINETY, Reconstructor
from inmateria.reconstruction.scaling import ImageScaling
from inmateria.reconstruction.stored import (
    Stored,
    TargetScaling,
    over_blocks,
    read_images,
    read_targets,
)
from inmateria.reconstruction.training import History, Progress, predict, train_network

# Samples that scalings are taken from.
TO_SCALE = 2000

Real = NDArray[np.float64]


@dataclass(frozen=True)
class Split:
    """Blocks to train on, to stop and calibrate by, and to judge by."""

    training: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]

    @classmethod
    def of(cls, store: SampleStore, *, most: int | None = None) -> Split:
        """A tenth of the blocks that are done, from the end, for either of the latter.

        Parameters
        ----------
        most : int, optional
            Samples to train on at most; what is held out stays the same.

        Raises
        ------
        ParameterError
            If there are fewer than three blocks.
        """
        done = store.done_blocks()
        if len(done) < 3:
            raise ParameterError(
                f"{store.path} has {len(done)} finished blocks; at least 3 are needed, to "
                "train, to validate and to test: generate more samples or use smaller blocks"
            )
        held = max(1, len(done) // 10)
        training = done[: -2 * held]
        if most is not None:
            training = training[: max(1, most // store.layout.block_size)]
        return cls(tuple(training), tuple(done[-2 * held : -held]), tuple(done[-held:]))


@dataclass(frozen=True, eq=False)
class Fit:
    """A trained network.

    Attributes
    ----------
    network : Module
    preset : Preset
    image_scaling, target_scaling
    history : History
    errors : mapping
        On the test blocks, by name.
    reconstructor : Reconstructor, optional
        Where potentials are found.
    """

    network: nn.Module
    preset: Preset
    image_scaling: ImageScaling
    target_scaling: TargetScaling
    history: History
    errors: dict[str, Any]
    reconstructor: Reconstructor | None


def fit_preset(
    store: SampleStore,
    preset: Preset,
    *,
    image: str = "pldos",
    most: int | None = None,
    checkpoint: Path | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Fit:
    """Train a preset.

    Parameters
    ----------
    store : SampleStore
        With the variable `image` and what the preset is to find.
    preset : Preset
    most : int, optional
        Samples to train on at most.
    checkpoint : Path, optional
        As in `train_network`.

    Raises
    ------
    ParameterError, TrainingError, DataFileError
    """
    split = Split.of(store, most=most)

    def images(block: int) -> Real:
        return read_images(store, block, image)

    def targets(block: int) -> Real:
        return read_targets(store, block, preset.target, preset.target_pixel)

    some = over_blocks(split.training, images, TO_SCALE)
    image_scaling = ImageScaling.of(preset.form, some)
    found = over_blocks(split.training, targets, TO_SCALE)
    target_scaling = TargetScaling.of(found, maps=preset.target == "potential")
    options = dict(preset.options)
    if preset.kind == "dense-reader":
        options |= {"n_outputs": found.shape[1], "shape": some.shape[1:]}
    network = build_network(preset.kind, seed=preset.plan.seed, **options)

    def part(blocks: tuple[int, ...]) -> Stored:
        return Stored(
            store,
            blocks,
            image,
            image_scaling,
            preset.target,
            target_scaling,
            preset.target_pixel,
        )

    history = train_network(
        network,
        part(split.training),
        part(split.validation),
        preset.plan,
        checkpoint=checkpoint,
        device=device,
        progress=progress,
    )
    network.to("cpu")
    model = None
    if preset.target == "potential":
        spacing = _pixel_nm(store)
        model = Reconstructor(
            network=network,
            kind=preset.kind,
            options=options,
            scaling=image_scaling,
            shape=(some.shape[1], some.shape[2]),
            image_pixel_nm=spacing,
            potential_pixel_nm=spacing * preset.target_pixel,
            potential_scale_mev=target_scaling.width[0],
            familiarity=Familiarity.of(image_scaling(some)),
            mirror=preset.plan.augmentation.mirror,
            about={
                "configuration": dict(store.layout.configuration),
                "image": image,
                "training_samples": len(part(split.training)),
                "plan": asdict(preset.plan),
                "history": asdict(history),
            },
        )
        if network_gives_uncertainty(network, model):
            held = [(images(block), targets(block)) for block in split.validation]
            model.calibrate(*(np.concatenate(parts) for parts in zip(*held, strict=True)))
        errors = judge_potentials(model, store, split.test, image, preset)
        model = replace(model, about={**model.about, "test": errors})
    else:
        errors = judge_numbers(network, part(split.test), target_scaling)
    return Fit(network, preset, image_scaling, target_scaling, history, errors, model)


def network_gives_uncertainty(network: nn.Module, model: Reconstructor) -> bool:
    """Whether it has a second output."""
    return bool(predict(network, np.zeros((1, 1, *model.shape), np.float32)).shape[1] == 2)


def judge_potentials(
    model: Reconstructor, store: SampleStore, blocks: tuple[int, ...], image: str, preset: Preset
) -> dict[str, Any]:
    """Correlation, errors and coverage over test blocks."""
    r, rms, shares = [], [], []
    for block in blocks:
        found = model.reconstruct(read_images(store, block, image))
        true = read_targets(store, block, preset.target, preset.target_pixel)
        r.append(pearson(found.potential_mev, true))
        rms.append(rms_error(found.potential_mev, true))
        shares.append(coverage(found.potential_mev, found.uncertainty_mev, true, NINETY))
    correlation, error = np.concatenate(r), np.concatenate(rms)
    return {
        "samples": len(correlation),
        "r_median": float(np.median(correlation)),
        "r_lowest": float(correlation.min()),
        "rms_error_mev": float(np.sqrt((error**2).mean())),
        "relative_rms_error": float(np.sqrt((error**2).mean()) / model.potential_scale_mev),
        "coverage_90": float(np.mean(shares)) if np.isfinite(shares).all() else None,
    }


def judge_numbers(network: nn.Module, samples: Stored, scaling: TargetScaling) -> dict[str, Any]:
    """Relative errors and correlation of each number over test samples."""
    images, targets = samples.read(np.arange(len(samples)))
    found, true = scaling.back(predict(network, images)), scaling.back(targets)
    away = found - true
    spread = true.std(axis=0)
    correlation = [
        float(np.corrcoef(found[:, k], true[:, k])[0, 1]) if spread[k] > 0 else float("nan")
        for k in range(true.shape[1])
    ]
    errors: dict[str, Any] = {"samples": len(images), "r_median": float(np.nanmedian(correlation))}
    if samples.target == "parameters":
        relative = away / true
        errors["relative_error_s"], errors["relative_error_density"] = (
            float(e) for e in np.sqrt((relative**2).mean(axis=0))
        )
        errors["correlation_of_errors"] = float(np.corrcoef(relative[:, 0], relative[:, 1])[0, 1])
    return errors


def _pixel_nm(store: SampleStore) -> float:
    configuration = store.layout.configuration
    return float(configuration["gas"]["spacing_nm"]) * int(configuration["keep"]["resolution"])
