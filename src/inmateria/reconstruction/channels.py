"""Several images of one sample, as channels of one network.

An image may be a tuple of a store's variables, such as ("pldos", "pldos_in_field"); a
variable with a further dimension, the field, gives one channel for each of its entries.
Images are (..., channels, n_x, n_y) then, and (..., n_x, n_y) where there is one channel.
Channels come in units of their own, so each is scaled, and known again, by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.errors import ShapeError
from inmateria.reconstruction.familiarity import Familiarity
from inmateria.reconstruction.scaling import Image, ImageScaling, checked_images

Form = Literal["amplitude", "signed", "plain"]


@dataclass(frozen=True)
class ChannelScaling:
    """One scaling for each channel.

    Parameters
    ----------
    channels : tuple of ImageScaling
    """

    channels: tuple[ImageScaling, ...]

    @classmethod
    def of(cls, forms: Sequence[Form], images: ArrayLike) -> ChannelScaling:
        """The scalings that standardise these images, (n, channels, n_x, n_y)."""
        given = _by_channel(images, len(forms))
        pairs = zip(forms, given, strict=True)
        return cls(tuple(ImageScaling.of(form, one) for form, one in pairs))

    @property
    def form(self) -> str:
        """Forms of the channels, in words."""
        return ", ".join(one.form for one in self.channels)

    def __call__(self, images: ArrayLike) -> Image:
        """Scaled images, of the same shape (..., channels, n_x, n_y).

        Raises
        ------
        NotFiniteError, ParameterError, ShapeError
        """
        given = _by_channel(images, len(self.channels))
        scaled = [scale(one) for scale, one in zip(self.channels, given, strict=True)]
        return np.stack(scaled, axis=-3)


@dataclass(frozen=True)
class ChannelFamiliarity:
    """What the training set's images are like, channel by channel.

    Parameters
    ----------
    channels : tuple of Familiarity
    """

    channels: tuple[Familiarity, ...]

    def warnings(self, images: NDArray[np.float32]) -> list[str]:
        """One sentence, or an empty string, for each of the images (n, channels, n_x, n_y)."""
        found = [""] * len(images)
        for c, one in enumerate(self.channels):
            for i, text in enumerate(one.warnings(images[:, c])):
                found[i] = found[i] or (text and f"channel {c}: {text}")
        return found


Scaling = ImageScaling | ChannelScaling
Known = Familiarity | ChannelFamiliarity


def scaling_of(images: NDArray[np.float64], forms: Sequence[Form]) -> Scaling:
    """The scaling that standardises images (n, n_x, n_y) or (n, channels, n_x, n_y)."""
    if images.ndim == 3:
        return ImageScaling.of(forms[0], images)
    return ChannelScaling.of(forms, images)


def familiarity_of(scaled: NDArray[np.float32]) -> Known:
    """What scaled images (n, n_x, n_y) or (n, channels, n_x, n_y) are like."""
    if scaled.ndim == 3:
        return Familiarity.of(scaled)
    each = np.moveaxis(scaled, 1, 0)
    return ChannelFamiliarity(tuple(Familiarity.of(np.ascontiguousarray(one)) for one in each))


def n_channels(scaling: Scaling) -> int:
    """Images that a network sees of a sample."""
    return 1 if isinstance(scaling, ImageScaling) else len(scaling.channels)


def for_network(scaled: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """(n, channels, n_x, n_y) of scaled images; one channel has no dimension of its own."""
    return scaled[:, None] if channels == 1 else scaled


def read_scaling(record: Mapping[str, Any]) -> Scaling:
    """A scaling from what a model's file holds."""
    if "channels" in record:
        return ChannelScaling(tuple(ImageScaling(**one) for one in record["channels"]))
    return ImageScaling(**record)


def read_familiarity(record: Mapping[str, Any]) -> Known:
    """What images are like, from what a model's file holds."""
    if "channels" in record:
        return ChannelFamiliarity(tuple(map(_familiarity, record["channels"])))
    return _familiarity(record)


def _familiarity(record: Mapping[str, Any]) -> Familiarity:
    return Familiarity(tuple(record["mean"]), tuple(record["deviation"]))


def _by_channel(images: ArrayLike, channels: int) -> NDArray[np.float64]:
    given = checked_images(images)
    if given.ndim < 3 or given.shape[-3] != channels:
        raise ShapeError(f"images of shape {given.shape}: give (..., {channels}, n_x, n_y)")
    return np.moveaxis(given, -3, 0)
