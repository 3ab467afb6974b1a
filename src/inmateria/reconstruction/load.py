"""Models from their files, and the one that comes with the package."""

from __future__ import annotations

from pathlib import Path

from numpy.typing import ArrayLike

from inmateria.errors import ModelFileError, ParameterError
from inmateria.reconstruction.model_file import read_tensors
from inmateria.reconstruction.model_record import answer_of
from inmateria.reconstruction.number_reader import (
    NumberReader,
    number_reader_of,
    save_number_reader,
)
from inmateria.reconstruction.reconstructor import (
    Reconstruction,
    Reconstructor,
    reconstructor_of,
    save_reconstructor,
)

Model = Reconstructor | NumberReader

DEFAULT = "default"
DEFAULT_PATH = Path(__file__).with_name("models") / "default.safetensors"


def model_path(path: str | Path) -> Path:
    """The file of a model, or of the ``"default"`` one.

    Raises
    ------
    ModelFileError
        If the default model is not there.
    """
    if str(path) != DEFAULT:
        return Path(path)
    if not DEFAULT_PATH.is_file():
        raise ModelFileError(
            f"{DEFAULT_PATH} is missing, the default model of this installation; install inmateria "
            "again, or give a model that `inmateria reconstruct train` wrote"
        )
    return DEFAULT_PATH


def load_model(path: str | Path) -> Model:
    """A model from its file, or ``"default"``; no code in it is run.

    Raises
    ------
    ModelFileError
    """
    file = model_path(path)
    tensors, record = read_tensors(file)
    of = number_reader_of if answer_of(record) == "numbers" else reconstructor_of
    return of(file, tensors, record)


def default_model() -> Reconstructor:
    """The model that comes with the package: potentials from a PLDOS, default geometry.

    Raises
    ------
    ModelFileError
    """
    file = model_path(DEFAULT)
    return reconstructor_of(file, *read_tensors(file))


def save_model(path: str | Path, model: Model) -> Path:
    """Write a model to ``path``, a .safetensors file.

    Raises
    ------
    StorageError, ParameterError
    """
    if isinstance(model, NumberReader):
        return save_number_reader(path, model)
    return save_reconstructor(path, model)


def reconstruct(image: ArrayLike, model: str | Path | Reconstructor = DEFAULT) -> Reconstruction:
    """The disorder potential behind images of transport.

    Parameters
    ----------
    image : (..., n_x, n_y) array
        PLDOS in any unit, x from source to drain, on the model's pixels or finer.
    model : str, Path or Reconstructor
        ``"default"``, a model's file, or a model.

    Raises
    ------
    ModelFileError, ShapeError, NotFiniteError, ParameterError
    """
    chosen = load_model(model) if isinstance(model, str | Path) else model
    if isinstance(chosen, NumberReader):
        raise ParameterError(
            f"the model reads {', '.join(chosen.names[:2])}, not potentials; use "
            "inmateria.reconstruction.load.load_model(...).read(image)"
        )
    return chosen.reconstruct(image)
