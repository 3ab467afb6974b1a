"""Reading a PyTorch ``.pt`` file without running anything that it contains.

A ``.pt`` file is a pickle, and a pickle is a program. First every import that
the program asks for is read from its opcodes, none of which are executed, and
anything but tensors, NumPy arrays and plain containers is refused by name;
then PyTorch's own restricted unpickler builds the values.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inmateria.errors import ModelFileError

ALLOWED_IMPORTS = frozenset(
    {
        "collections.OrderedDict",
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_parameter",
        "torch.Tensor",
        "torch.Size",
        "torch.device",
        "torch.nn.parameter.Parameter",
        "torch.serialization._get_layout",
        "numpy.ndarray",
        "numpy.dtype",
        "_codecs.encode",
        *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core")
          for name in ("_reconstruct", "scalar")),
        *(f"torch.{kind}Storage" for kind in
          ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")),
        *(f"torch.{kind}" for kind in
          ("float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64",
           "uint8", "bool", "strided")),
    }
)  # fmt: skip
# a damaged pickle can fail anywhere inside the unpickler
DAMAGE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    struct.error,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
    OSError,
)


def read_torch_file(path: str | Path) -> Any:
    """The tensors, arrays and plain containers of a ``.pt`` file, on the CPU.

    Both formats are read: the zip archive and the bare pickle from before
    PyTorch 1.6.

    Raises
    ------
    ModelFileError
        If the file is missing or damaged, or asks for an import that is not
        data; the message names it and nothing has been run.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ModelFileError(f"cannot read {path}: {error.strerror}; check the path") from error
    names: set[str] = set()
    damage = None
    try:
        for name in _imports(data):
            names.add(name)
    except DAMAGE as error:
        damage = error
    wanted = sorted(names - ALLOWED_IMPORTS)
    if wanted:
        raise ModelFileError(
            f"{path} asks to import {', '.join(wanted)}, which is code and not data; nothing was "
            "run. Save the model's state_dict() and info instead of the whole object"
        )
    if damage is not None:
        raise _damaged(path, damage) from damage
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_numpy_types()):
            warnings.simplefilter("ignore")  # remarks on odd files; what matters is raised
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except DAMAGE as error:
        raise _damaged(path, error) from error


def _damaged(path: str | Path, error: BaseException) -> ModelFileError:
    first = (str(error).splitlines() or [type(error).__name__])[0][:120]
    return ModelFileError(f"{path} is not a readable .pt file ({first}); copy it again")


def _imports(data: bytes) -> Iterator[str]:
    """Names that the pickles of a ``.pt`` file would import."""
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            pickles = [name for name in archive.namelist() if name.endswith(".pkl")]
            if not pickles:
                raise ValueError("a zip archive without data.pkl")
            for name in pickles:
                yield from _pickle_imports(io.BytesIO(archive.read(name)))
        return
    stream = io.BytesIO(data)
    # the old format: magic number, protocol, system, object, storage keys; then raw numbers
    for _ in range(5):
        yield from _pickle_imports(stream)


def _pickle_imports(stream: io.BytesIO) -> Iterator[str]:
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".", 1)
        elif opcode.name in ("STACK_GLOBAL", "EXT1", "EXT2", "EXT4"):
            # never written by torch.save, and the name is only known when run
            yield f"something unnamed ({opcode.name})"


def _numpy_types() -> list[Any]:
    """NumPy's constructors, under the names that NumPy 1 and 2 pickle them by."""
    functions = [
        (instance.__reduce__()[0], f"numpy.{package}.multiarray.{name}")
        for package in ("core", "_core")
        for name, instance in (("_reconstruct", np.zeros(1)), ("scalar", np.float64(0)))
    ]
    kinds = {type(np.dtype(kind)) for kind in "?bhilqBHILQefdOSU"}
    return [*functions, np.ndarray, np.dtype, *kinds]
