"""What is done to training images: mirrors, noise and a broad tip.

The default geometry is its own mirror image about the axis from source to drain, so the
mirror image of a sample is as good a sample; a scanning-gate map mirrors along with it. In a
magnetic field B the mirror image is that at -B, another image. Measured images are noisy and
smeared out by the tip; a network that has seen both is not misled by them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from inmateria.errors import ParameterError
from inmateria.reconstruction.channels import ChannelScaling, Scaling

Rescale = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Augmentation:
    """How images are changed, anew in every epoch.

    Parameters
    ----------
    mirror : bool
        Half of the samples, image and potential, are mirrored across.
    noise : float
        Largest standard deviation of white noise, in units of the scaled image's; each
        sample has its own, drawn uniformly.
    broadening : float
        Largest standard deviation of a Gaussian blur, pixels; drawn in the same way.

    Raises
    ------
    ParameterError
    """

    mirror: bool = True
    noise: float = 0.0
    broadening: float = 0.0

    def __post_init__(self) -> None:
        for name in ("noise", "broadening"):
            if not 0 <= getattr(self, name) < 100:
                raise ParameterError(f"{name} = {getattr(self, name)}: give a number from 0 on")

    def __call__(
        self,
        images: Tensor,
        targets: Tensor,
        generator: torch.Generator,
        *,
        rescale: Rescale | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Images (n, channels, n_x, n_y) and their targets, changed; maps are mirrored along.

        `rescale` makes them again what scaling would have made of such measured images.
        """
        again = rescale or (lambda unchanged: unchanged)
        n = len(images)
        if self.mirror:
            turned = torch.rand(n, generator=generator) < 0.5
            images = torch.where(turned[:, None, None, None], images.flip(-1), images)
            if targets.ndim == 4:
                targets = torch.where(turned[:, None, None, None], targets.flip(-1), targets)
        if self.broadening:
            width = self.broadening * torch.rand(n, generator=generator)
            images = again(blur(images, width))
        if self.noise:
            level = self.noise * torch.rand(n, 1, 1, 1, generator=generator)
            images = again(images + level * torch.randn(images.shape, generator=generator))
        return images, targets


def signed_rms(scaling: Scaling) -> Rescale | None:
    """Gives maps of changes their rms again, which a broad tip takes; None where there are none.

    A measured map comes blurred and is divided by its own rms then, while the mean of a
    density, which the others are divided by, survives a blur.
    """
    each = scaling.channels if isinstance(scaling, ChannelScaling) else (scaling,)
    if all(one.form != "signed" for one in each):
        return None

    def rescale(images: Tensor) -> Tensor:
        channels = list(images.unbind(1))
        for c, one in enumerate(each):
            if one.form == "signed":
                plain = channels[c] * one.width + one.centre
                rms = plain.square().mean((-2, -1), keepdim=True).sqrt().clamp_min(1e-12)
                channels[c] = (plain / rms - one.centre) / one.width
        return torch.stack(channels, 1)

    return rescale


def blur(images: Tensor, width: Tensor) -> Tensor:
    """Gaussian blur of each image with its own standard deviation, pixels, up to its edges.

    At an edge the mean is over what lies inside.
    """
    for axis in (-2, -1):
        n = images.shape[axis]
        apart = (torch.arange(n)[:, None] - torch.arange(n)).to(images)
        kernel = torch.exp(-(apart**2) / (2 * width.clamp_min(1e-3)[:, None, None] ** 2))
        kernel = kernel / kernel.sum(-1, keepdim=True)
        moved = images.movedim(axis, -2)
        images = (kernel[:, None] @ moved).movedim(-2, axis)
    return images
