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
from inmateria.reconstruction.augment import signed_rms
from inmateria.reconstruction.channels import (
    Form,
    Scaling,
    familiarity_of,
    n_channels,
    scaling_of,
)
from inmateria.reconstruction.evaluation import Evaluation, evaluate, pixel_nm
from inmateria.reconstruction.mirror import check_mirror
from inmateria.reconstruction.networks import build_network
from inmateria.reconstruction.number_reader import PARAMETERS, NumberReader, coefficient_names
from inmateria.reconstruction.presets import Preset
from inmateria.reconstruction.reconstructor import Reconstructor
from inmateria.reconstruction.stored import (
    Stored,
    TargetScaling,
    channel_variables,
    over_blocks,
    read_images,
    read_targets,
    variables_of,
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
    model : Reconstructor or NumberReader
        What is saved and gives answers.
    split : Split
    evaluation : PotentialEvaluation or NumberEvaluation
        What `errors` sums up.
    """

    network: nn.Module
    preset: Preset
    image_scaling: Scaling
    target_scaling: TargetScaling
    history: History
    errors: dict[str, Any]
    model: Reconstructor | NumberReader
    split: Split
    evaluation: Evaluation


def fit_preset(
    store: SampleStore,
    preset: Preset,
    *,
    image: str | tuple[str, ...] = "pldos",
    most: int | None = None,
    split: Split | None = None,
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
    image : str, or tuple of them
        Several are channels of one network, as are the fields of a variable in a field.
    most : int, optional
        Samples to train on at most.
    split : Split, optional
        By default that of the blocks that are done by now.
    checkpoint : Path, optional
        As in `train_network`.

    Raises
    ------
    ParameterError, TrainingError, DataFileError
    """
    channels = channel_variables(store, image)
    if preset.plan.augmentation.mirror:
        check_mirror(store, image)
    split = Split.of(store, most=most) if split is None else split

    def images(block: int) -> Real:
        return read_images(store, block, image)

    def targets(block: int) -> Real:
        return read_targets(store, block, preset.target, preset.target_pixel)

    some = over_blocks(split.training, images, TO_SCALE)
    image_scaling = scaling_of(some, channel_forms(channels, preset.form))
    found = over_blocks(split.training, targets, TO_SCALE)
    target_scaling = TargetScaling.of(found, maps=preset.target == "potential")
    options = dict(preset.options)
    if preset.kind == "dense-reader":
        options |= {"n_outputs": found.shape[1], "shape": some.shape[-2:]}
    if len(channels) > 1:
        options["channels"] = len(channels)
    network = build_network(preset.kind, seed=preset.plan.seed, **options)

    def part(blocks: tuple[int, ...]) -> Stored:
        return Stored(
            store,
            blocks,
            image if isinstance(image, str) else tuple(image),
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
        rescale=signed_rms(image_scaling),
    )
    network.to("cpu")
    spacing = pixel_nm(store)
    common: dict[str, Any] = {
        "network": network,
        "kind": preset.kind,
        "options": options,
        "scaling": image_scaling,
        "shape": (some.shape[-2], some.shape[-1]),
        "image_pixel_nm": spacing,
        "familiarity": familiarity_of(image_scaling(some)),
        "about": {
            "configuration": dict(store.layout.configuration),
            "image": image if isinstance(image, str) else list(variables_of(image)),
            "training_samples": len(part(split.training)),
            "blocks": {name: list(blocks) for name, blocks in asdict(split).items()},
            "plan": asdict(preset.plan),
            # Without seconds: the same training makes the same file.
            "history": {k: v for k, v in asdict(history).items() if k != "seconds"},
        },
    }
    model: Reconstructor | NumberReader
    if preset.target == "potential":
        model = Reconstructor(
            potential_pixel_nm=spacing * preset.target_pixel,
            potential_scale_mev=target_scaling.width[0],
            mirror=preset.plan.augmentation.mirror,
            **common,
        )
        if network_gives_uncertainty(network, model):
            held = [(images(block), targets(block)) for block in split.validation]
            model.calibrate(*(np.concatenate(parts) for parts in zip(*held, strict=True)))
    else:
        names = PARAMETERS if preset.target == "parameters" else _coefficients(store)
        model = NumberReader(target_scaling=target_scaling, names=names, **common)
    judged = evaluate(model, store, split.test, image=image)
    errors = judged.summary()
    model = replace(model, about={**model.about, "test": errors})
    return Fit(
        network, preset, image_scaling, target_scaling, history, errors, model, split, judged
    )


def network_gives_uncertainty(network: nn.Module, model: Reconstructor) -> bool:
    """Whether it has a second output."""
    empty = np.zeros((1, n_channels(model.scaling), *model.shape), np.float32)
    return bool(predict(network, empty).shape[1] == 2)


def channel_forms(channels: tuple[str, ...], form: Form) -> tuple[Form, ...]:
    """How each channel is scaled: one as its preset says, several by what they are.

    Densities have a root to take, changes have both signs; ``"plain"`` is for all.
    """
    if len(channels) == 1 or form == "plain":
        return (form,) * len(channels)
    return tuple("amplitude" if name.startswith("pldos") else "signed" for name in channels)


def _coefficients(store: SampleStore) -> tuple[str, ...]:
    places = {place.name: place.values for place in store.layout.coordinates}
    return coefficient_names(places["m_x"], places["m_y"])
