"""What a model's file says of it, and a model from that again.

A model is a dataclass of a network, built as `kind` with `options`, and of what its answers
need. Parts that are dataclasses themselves become plain JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from inmateria.errors import ModelFileError
from inmateria.reconstruction.channels import read_familiarity, read_scaling
from inmateria.reconstruction.model_file import write_tensors
from inmateria.reconstruction.networks import build_network
from inmateria.reconstruction.stored import TargetScaling

Answer = Literal["potential", "numbers"]

_FINDS: dict[Answer, str] = {
    "potential": "finds potentials, not numbers",
    "numbers": "reads numbers, not potentials",
}
_PARTS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "scaling": read_scaling,
    "familiarity": read_familiarity,
    "target_scaling": lambda part: TargetScaling(tuple(part["centre"]), tuple(part["width"])),
    "shape": tuple,
    "names": tuple,
}


def answer_of(record: Mapping[str, Any]) -> Answer:
    """What a model answers; files of earlier versions do not say it, and find potentials."""
    return "numbers" if record.get("answer") == "numbers" else "potential"


def write_model(path: str | Path, model: Any, answer: Answer) -> Path:
    """Write a model to ``path``, a .safetensors file.

    Raises
    ------
    StorageError, ParameterError
    """
    record = {name: value for name, value in vars(model).items() if name != "network"}
    for name in ("scaling", "familiarity", "target_scaling"):
        if name in record:
            record[name] = asdict(record[name])
    return write_tensors(Path(path), model.network.state_dict(), record | {"answer": answer})


def model_fields(
    path: str | Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any], answer: Answer
) -> dict[str, Any]:
    """The network and the other fields of a model that answers so, from what its file holds.

    Raises
    ------
    ModelFileError
        If it is a model of the other kind, or makes none.
    """
    if answer_of(record) != answer:
        raise ModelFileError(f"{path} {_FINDS[answer_of(record)]}; load it with load_model")
    with making(path):
        return {
            **{
                name: _PARTS[name](value) if name in _PARTS else value
                for name, value in record.items()
                if name != "answer"
            },
            "network": _network(tensors, record),
        }


@contextmanager
def making(path: str | Path) -> Iterator[None]:
    """Whatever does not fit together, as one line."""
    try:
        yield
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        first = str(error).splitlines()[0]
        raise ModelFileError(f"{path} does not make a model ({first}); train again") from error


def _network(tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> nn.Module:
    network = build_network(record["kind"], seed=0, **record["options"])
    network.load_state_dict(tensors)
    network.eval()
    return network
