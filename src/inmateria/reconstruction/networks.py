"""Networks that read disorder from an image of transport.

Inputs are images (batch, channels, n_x, n_y), scaled by `scaling.ImageScaling`.

`UNet`, the default, gives a potential and its uncertainty. The other three have the tasks
and the training settings of Percebois & Weinmann 2021, Appendix A (`presets`): two
parameters of the disorder, its Fourier coefficients, or the potential by an encoder and a
decoder with 48 maps between them. The paper's layers are convolutions with pooling and
dense layers on top; where it leaves a width open, ours is chosen here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from inmateria.errors import ParameterError, ShapeError

# A standard deviation below exp(-7) of the potential's scale is no better known.
LOWEST_LOG_SIGMA, HIGHEST_LOG_SIGMA = -7.0, 3.0


def _groups(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(min(8, channels), channels)


class Residual(nn.Module):
    """Two 3 x 3 convolutions around an identity."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(n_in, n_out, 3, padding=1)
        self.second = nn.Conv2d(n_out, n_out, 3, padding=1)
        self.norms = nn.ModuleList([_groups(n_out), _groups(n_out)])
        self.straight: nn.Module = nn.Identity() if n_in == n_out else nn.Conv2d(n_in, n_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.silu(self.norms[0](self.first(x)))
        y = self.norms[1](self.second(y))
        return nn.functional.silu(y + self.straight(x))


class UNet(nn.Module):
    """Image to image at several scales, with the position of every pixel as two more channels.

    Parameters
    ----------
    channels : int
        Of the input.
    width : int
        Maps at full resolution; twice as many at each coarser one.
    depth : int
        Times that the resolution is halved; the sides of the input, over `shrink`, are
        multiples of 2^depth.
    shrink : int
        The output is coarser than the input by this factor. Pixels that are joined become
        channels of the input, so that nothing of it is lost.
    """

    def __init__(
        self, channels: int = 1, *, width: int = 32, depth: int = 3, shrink: int = 1
    ) -> None:
        super().__init__()
        if min(channels, width, depth, shrink) < 1:
            raise ParameterError(
                f"channels {channels}, width {width}, depth {depth}, shrink {shrink}: give at "
                "least 1 of each"
            )
        self.shrink, self.depth = shrink, depth
        widths = [width * 2**level for level in range(depth + 1)]
        self.into = Residual(channels * shrink**2 + 2, width)
        self.down = nn.ModuleList(Residual(a, b) for a, b in pairwise(widths))
        self.up = nn.ModuleList(
            Residual(a + b, a) for a, b in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.out = nn.Conv2d(width, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 2, n_x, n_y): the potential and the logarithm of its uncertainty."""
        step = self.shrink * 2**self.depth
        if x.shape[-2] % step or x.shape[-1] % step:
            raise ShapeError(
                f"images of {x.shape[-2]} x {x.shape[-1]} pixels: this network takes multiples "
                f"of {step}"
            )
        if self.shrink > 1:
            x = nn.functional.pixel_unshuffle(x, self.shrink)
        places = torch.meshgrid(
            *(torch.linspace(-1, 1, n, device=x.device, dtype=x.dtype) for n in x.shape[-2:]),
            indexing="ij",
        )
        # Mirror images must look alike: across, the distance from the axis.
        x = torch.cat([x, torch.stack([places[0], places[1].abs()]).expand(len(x), 2, -1, -1)], 1)
        x = self.into(x)
        levels = []
        for block in self.down:
            levels.append(x)
            x = block(nn.functional.avg_pool2d(x, 2))
        for block in self.up:
            x = nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = block(torch.cat([levels.pop(), x], 1))
        value, log_sigma = self.out(x).split(1, 1)
        return torch.cat([value, log_sigma.clamp(LOWEST_LOG_SIGMA, HIGHEST_LOG_SIGMA)], 1)


def _stack(widths: Sequence[int], *, pool: int = 2) -> nn.Sequential:
    """3 x 3 convolutions, each with ReLU and max pooling."""
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.MaxPool2d(pool)]
    return nn.Sequential(*layers)


class DenseReader(nn.Module):
    """Convolutions with pooling and dense layers: numbers from an image.

    Parameters
    ----------
    n_outputs : int
    channels : int
    widths : sequence of int
        Maps after each convolution.
    dense : int
        Neurons of the hidden dense layer.
    shape : (int, int)
        Of the images.
    """

    def __init__(
        self,
        n_outputs: int,
        channels: int = 1,
        *,
        widths: Sequence[int] = (16, 32, 48, 64),
        dense: int = 128,
        shape: tuple[int, int] = (256, 192),
    ) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.convolutions = _stack([channels, *widths])
        pixels = (shape[0] // 2 ** len(widths)) * (shape[1] // 2 ** len(widths))
        if not pixels:
            raise ParameterError(
                f"images of {shape[0]} x {shape[1]} pixels are too small for {len(widths)} poolings"
            )
        self.dense = nn.Sequential(
            nn.Flatten(),
            nn.Linear(widths[-1] * pixels, dense),
            nn.ReLU(),
            nn.Linear(dense, n_outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n_outputs)."""
        if tuple(x.shape[-2:]) != self.shape:
            raise ShapeError(
                f"images of {x.shape[-2]} x {x.shape[-1]} pixels: this network takes "
                f"{self.shape[0]} x {self.shape[1]}"
            )
        found: Tensor = self.dense(self.convolutions(x))
        return found


class EncoderDecoder(nn.Module):
    """Convolutions down to 48 coarse maps, and transposed convolutions back up."""

    def __init__(
        self, channels: int = 1, *, widths: Sequence[int] = (16, 32, 48), shrink: int = 1
    ) -> None:
        super().__init__()
        self.shrink = shrink
        self.encoder = _stack([channels * shrink**2, *widths])
        layers: list[nn.Module] = []
        back = [*widths[::-1], widths[0]]
        for a, b in pairwise(back):
            layers += [nn.ConvTranspose2d(a, b, 4, stride=2, padding=1), nn.ReLU()]
        self.decoder = nn.Sequential(*layers, nn.Conv2d(widths[0], 1, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 1, n_x, n_y)."""
        step = self.shrink * 2 ** (len(self.encoder) // 3)
        if x.shape[-2] % step or x.shape[-1] % step:
            raise ShapeError(
                f"images of {x.shape[-2]} x {x.shape[-1]} pixels: this network takes multiples "
                f"of {step}"
            )
        if self.shrink > 1:
            x = nn.functional.pixel_unshuffle(x, self.shrink)
        found: Tensor = self.decoder(self.encoder(x))
        return found


KINDS: dict[str, Callable[..., nn.Module]] = {
    "unet": UNet,
    "encoder-decoder": EncoderDecoder,
    "dense-reader": DenseReader,
}


def build_network(kind: str, *, seed: int, **options: Any) -> nn.Module:
    """A network with weights drawn from `seed`; PyTorch's global generator is left as it was.

    Raises
    ------
    ParameterError
    """
    if kind not in KINDS:
        raise ParameterError(f"network {kind!r}: give one of {', '.join(KINDS)}")
    with torch.random.fork_rng(devices=[]):
        # Of the processor alone: `torch.manual_seed` would touch those of graphics cards.
        torch.default_generator.manual_seed(seed)
        try:
            return KINDS[kind](**options)
        except TypeError as error:
            given = ", ".join(f"{name} = {value!r}" for name, value in options.items())
            raise ParameterError(f"network {kind} with {given}: {error}") from error
