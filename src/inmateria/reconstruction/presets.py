"""What there is to train: our default, and the three networks of Percebois & Weinmann 2021.

Their Appendix A names the learning rates, batch sizes and epochs used here, and the
scaling of the data; the widths of layers are ours (`networks`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from inmateria.errors import ParameterError
from inmateria.reconstruction.augment import Augmentation
from inmateria.reconstruction.training import TrainingPlan

Target = Literal["potential", "coefficients", "parameters"]


@dataclass(frozen=True)
class Preset:
    """A network, what it is to find, and how it is trained.

    Parameters
    ----------
    kind : str
        Of network.
    options : mapping
        For `build_network`, without what follows from the data.
    target : ``"potential"``, ``"coefficients"`` or ``"parameters"``
        The last are s and N_d.
    form : str
        Of the images, `ImageScaling.form`.
    target_pixel : int
        Pixels of the image that are averaged into one of the potential.
    plan : TrainingPlan
    paper : str
        Where it is from; empty for ours.
    """

    kind: str
    options: Mapping[str, Any]
    target: Target
    form: Literal["amplitude", "signed", "plain"]
    target_pixel: int
    plan: TrainingPlan
    paper: str = ""


def _as_published(**settings: Any) -> TrainingPlan:
    return TrainingPlan(
        schedule="constant",
        weight_decay=0.0,
        loss="squared",
        augmentation=Augmentation(mirror=False),
        **settings,
    )


PRESETS: dict[str, Preset] = {
    "unet": Preset(
        "unet",
        {"width": 40, "depth": 2, "shrink": 4},
        "potential",
        "amplitude",
        4,
        TrainingPlan(
            epochs=6,
            batch=16,
            learning_rate=4e-3,
            augmentation=Augmentation(mirror=True, noise=0.1, broadening=1.0),
        ),
    ),
    "encoder-decoder": Preset(
        "encoder-decoder",
        {"widths": (16, 32, 48)},
        "potential",
        "plain",
        1,
        _as_published(epochs=24, batch=8, learning_rate=1e-3),
        "encoder-decoder, 48 maps at the bottleneck",
    ),
    "coefficients": Preset(
        "dense-reader",
        {"widths": (16, 32, 48, 64), "dense": 512},
        "coefficients",
        "plain",
        1,
        _as_published(epochs=10, batch=128, learning_rate=1e-5),
        "Fourier-coefficient network",
    ),
    "two-parameters": Preset(
        "dense-reader",
        {"widths": (16, 32, 48, 64), "dense": 128},
        "parameters",
        "plain",
        1,
        _as_published(epochs=5, batch=32, learning_rate=1e-3),
        "two-parameter network",
    ),
}


def find_preset(name: str) -> Preset:
    """A preset by its name.

    Raises
    ------
    ParameterError
    """
    if name not in PRESETS:
        raise ParameterError(f"network {name!r}: give one of {', '.join(PRESETS)}")
    return PRESETS[name]
