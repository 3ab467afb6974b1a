"""From an image of transport to numbers: parameters of the disorder, or its coefficients.

The dopants' distance s and density N_d also say what the potential's rms and correlation
length are, by the closed forms of `RemoteDopants`. Errors of s and N_d go along the line
of constant rms (`limits`), so that these two are known better than either.
"""

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
from inmateria.reconstruction.model_file import read_tensors
from inmateria.reconstruction.model_record import making, model_fields, write_model
from inmateria.reconstruction.pixels import on_pixels
from inmateria.reconstruction.stored import TargetScaling
from inmateria.reconstruction.training import predict
from inmateria.transport.disorder.remote_dopants import RemoteDopants

Real = NDArray[np.float64]

PARAMETERS = ("dopant_spacing_nm", "density_per_cm2")
DERIVED = ("rms_mev", "correlation_nm")


@dataclass(frozen=True, eq=False)
class Reading:
    """Numbers that go with images.

    Attributes
    ----------
    values : (..., n) array
        In the units that their names end in; coefficients are pure numbers.
    names : (n,) tuple of str
    warning : (...) array of str
        Empty where the image looks like the training set's.
    """

    values: Real
    names: tuple[str, ...]
    warning: NDArray[np.str_]


@dataclass(eq=False)
class NumberReader:
    """A network that reads numbers, with everything that its answers need.

    Parameters
    ----------
    network : Module
        `kind` built with `options`.
    kind : str
    options : mapping
    scaling : ImageScaling or ChannelScaling
    target_scaling : TargetScaling
        What the network's outputs mean.
    names : tuple of str
        Of these outputs: `PARAMETERS`, or the parts of the coefficients (`coefficient_names`).
    shape : (int, int)
        Pixels of the images that it takes.
    image_pixel_nm : float
    familiarity : Familiarity or ChannelFamiliarity
    about : mapping
        Training data, plan and errors, as plain JSON.
    """

    network: nn.Module
    kind: str
    options: Mapping[str, Any]
    scaling: Scaling
    target_scaling: TargetScaling
    names: tuple[str, ...]
    shape: tuple[int, int]
    image_pixel_nm: float
    familiarity: Known
    about: Mapping[str, Any] = field(default_factory=dict)

    def read(self, images: ArrayLike) -> Reading:
        """Numbers of images (..., n_x, n_y); s and N_d are followed by what they give.

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
        seen = for_network(scaled, channels)
        values, names = self.target_scaling.back(predict(self.network, seen)), self.names
        if self.gives_parameters:
            values, names = np.concatenate([values, self.derived(values)], axis=1), names + DERIVED
        return Reading(
            values.reshape(*leading, len(names)),
            names,
            np.array(self.familiarity.warnings(scaled), dtype=np.str_).reshape(leading),
        )

    @property
    def gives_parameters(self) -> bool:
        """Whether it reads s and N_d."""
        return self.names == PARAMETERS

    def derived(self, parameters: ArrayLike) -> Real:
        """rms (meV) and correlation length (nm) of infinite samples of s and N_d, (n, 2).

        NaN where s or N_d is not above zero, which no dopants are.
        """
        rows = np.asarray(parameters, dtype=np.float64)
        found = np.full((len(rows), 2), np.nan)
        same = _host(self.about)
        for i in np.flatnonzero((rows > 0).all(axis=1)):
            dopants = RemoteDopants(float(rows[i, 0]), float(rows[i, 1]), **same)
            found[i] = dopants.rms_mev, dopants.correlation_length_nm
        return found


def coefficient_names(m_x: ArrayLike, m_y: ArrayLike) -> tuple[str, ...]:
    """Names of real and imaginary parts of C(q), as they lie in a row of a store."""
    return tuple(
        f"{part} C({x}, {y})"
        for x, y in zip(np.asarray(m_x).tolist(), np.asarray(m_y).tolist(), strict=True)
        for part in ("Re", "Im")
    )


def save_number_reader(path: str | Path, model: NumberReader) -> Path:
    """Write a model to ``path``, a .safetensors file.

    Raises
    ------
    StorageError, ParameterError
    """
    return write_model(path, model, "numbers")


def load_number_reader(path: str | Path) -> NumberReader:
    """A model from its file; no code in it is run.

    Raises
    ------
    ModelFileError
    """
    return number_reader_of(path, *read_tensors(Path(path)))


def number_reader_of(
    path: str | Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any]
) -> NumberReader:
    """A model from what its file holds.

    Raises
    ------
    ModelFileError
        If it does not make one.
    """
    fields = model_fields(path, tensors, record, "numbers")
    with making(path):
        return NumberReader(**fields)


def _host(about: Mapping[str, Any]) -> dict[str, Any]:
    """Material and series of the set that a model was trained on.

    Raises
    ------
    ParameterError
    """
    try:
        gas, disorder = about["configuration"]["gas"], about["configuration"]["disorder"]
        return {
            **{name: gas[name] for name in ("permittivity", "mass_kg")},
            **{name: disorder[name] for name in ("cutoff", "periodic")},
        }
    except (KeyError, TypeError) as error:
        raise ParameterError(
            f"the model does not say what it was trained on ({error} is missing), which rms and "
            "correlation length depend on; train again"
        ) from error
