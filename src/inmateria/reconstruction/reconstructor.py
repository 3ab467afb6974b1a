"""From an image of transport to a potential and its uncertainty, by a trained network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from inmateria.errors import ParameterError
from inmateria.reconstruction.channels import (
    Known,
    Scaling,
    for_network,
    n_channels,
)
from inmateria.reconstruction.metrics import coverage
from inmateria.reconstruction.model_file import read_tensors
from inmateria.reconstruction.model_record import making, model_fields, write_model
from inmateria.reconstruction.pixels import on_pixels
from inmateria.reconstruction.training import predict

Real = NDArray[np.float64]
# Of a normal error, 90 % lies within this many standard deviations.
NINETY = 1.6448536269514722


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """Potentials that go with images.

    Attributes
    ----------
    potential_mev : (..., n_x, n_y) array
        On the model's pixels; its mean over the sample does not show in transport at this
        accuracy, and is about zero.
    uncertainty_mev : array of the same shape
        Standard deviation, calibrated on samples held out.
    pixel_nm : float
    warning : (...) array of str
        Empty where the image looks like the training set's.
    """

    potential_mev: Real
    uncertainty_mev: Real
    pixel_nm: float
    warning: NDArray[np.str_]


@dataclass(eq=False)
class Reconstructor:
    """A network with everything that its answers need.

    Parameters
    ----------
    network : Module
        `kind` built with `options`; gives value and log sigma, or the value alone.
    kind : str
    options : mapping
    scaling : ImageScaling or ChannelScaling
    shape : (int, int)
        Pixels of the images that it takes.
    image_pixel_nm : float
        Side of a pixel of these.
    potential_pixel_nm : float
        Side of a pixel of its answers.
    potential_scale_mev : float
        What its outputs are multiplied by.
    familiarity : Familiarity or ChannelFamiliarity
    sigma_factor : float
        What its uncertainties are multiplied by, from `calibrate`.
    mirror : bool
        Whether the answers for an image and its mirror image are averaged.
    about : mapping
        Training data, plan and errors, as plain JSON.
    """

    network: nn.Module
    kind: str
    options: Mapping[str, Any]
    scaling: Scaling
    shape: tuple[int, int]
    image_pixel_nm: float
    potential_pixel_nm: float
    potential_scale_mev: float
    familiarity: Known
    sigma_factor: float = 1.0
    mirror: bool = True
    about: Mapping[str, Any] = field(default_factory=dict)

    def reconstruct(self, images: ArrayLike) -> Reconstruction:
        """Potentials of images (..., n_x, n_y), in any unit.

        A model of several channels takes (..., channels, n_x, n_y), each in a unit of its own.
        Finer images, by a whole number, are averaged over squares first.

        Raises
        ------
        ShapeError
            If they are not of the model's shape or a multiple of it.
        NotFiniteError, ParameterError
        """
        channels = n_channels(self.scaling)
        flat, leading = on_pixels(images, self.shape, self.image_pixel_nm, channels=channels)
        scaled = self.scaling(flat)
        value, sigma = self._answer(scaled)
        shape = (*leading, *value.shape[-2:])
        return Reconstruction(
            (self.potential_scale_mev * value).reshape(shape),
            (self.potential_scale_mev * self.sigma_factor * sigma).reshape(shape),
            self.potential_pixel_nm,
            np.array(self.familiarity.warnings(scaled), dtype=np.str_).reshape(leading),
        )

    def _answer(self, scaled: NDArray[np.float32]) -> tuple[Real, Real]:
        seen = for_network(scaled, n_channels(self.scaling))
        found = predict(self.network, seen).astype(np.float64)
        if self.mirror:
            turned = np.ascontiguousarray(seen[..., ::-1])
            found = (found + predict(self.network, turned)[..., ::-1]) / 2
        if found.shape[1] == 1:
            return found[:, 0], np.full(found[:, 0].shape, np.nan)
        return found[:, 0], np.exp(found[:, 1])

    def calibrate(self, images: ArrayLike, potentials_mev: ArrayLike) -> float:
        """Scale the uncertainties so that 90 % of the pixels lie in their 90 % interval.

        Parameters
        ----------
        images, potentials_mev : (n, ...) arrays
            Held out, the potentials on the model's pixels.

        Returns
        -------
        float
            The share that lay there before.

        Raises
        ------
        ParameterError
            If the network gives no uncertainty.
        """
        found = self.reconstruct(images)
        if np.isnan(found.uncertainty_mev).any():
            raise ParameterError(f"a network of kind {self.kind} gives no uncertainty")
        true = np.asarray(potentials_mev, dtype=np.float64)
        before = coverage(found.potential_mev, found.uncertainty_mev, true, NINETY)
        ratio = np.abs(found.potential_mev - true) / found.uncertainty_mev
        self.sigma_factor *= float(np.quantile(ratio, 0.9)) / NINETY
        return before


def save_reconstructor(path: str | Path, model: Reconstructor) -> Path:
    """Write a model to ``path``, a .safetensors file.

    Raises
    ------
    StorageError, ParameterError
    """
    return write_model(path, model, "potential")


def load_reconstructor(path: str | Path) -> Reconstructor:
    """A model from its file; no code in it is run.

    Raises
    ------
    ModelFileError
    """
    return reconstructor_of(path, *read_tensors(Path(path)))


def reconstructor_of(
    path: str | Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any]
) -> Reconstructor:
    """A model from what its file holds.

    Raises
    ------
    ModelFileError
        If it does not make one.
    """
    fields = model_fields(path, tensors, record, "potential")
    with making(path):
        return Reconstructor(**fields)
