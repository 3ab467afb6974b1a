"""What a name stands for: the embedded device, a device file, a model of a device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from inmateria.errors import ConfigurationError

if TYPE_CHECKING:
    from inmateria.devices.device import Device
    from inmateria.surrogates.surrogate import Surrogate

DEFAULT = "default"
_BRAINSPY = {".pt", ".pth"}


def open_device(
    source: str, *, device_seed: int | None = None, engine: str | None = None
) -> Device:
    """The device that `source` names.

    Parameters
    ----------
    source : str
        ``"default"`` for the embedded dopant network, a file of `save_device`,
        or the path of a model: a surrogate of ours, a run folder that holds
        one, or brains-py's ``.pt``.
    device_seed : int, optional
        Another dopant network of the default kind.
    engine : str, optional
        How a dopant network is solved, in place of its own way.

    Raises
    ------
    ConfigurationError, ParameterError, DataFileError, ModelFileError
    """
    if source == DEFAULT:
        from inmateria.devices.dopant.network import DopantNetwork

        chosen: dict[str, Any] = {"seed": device_seed, "engine": engine}
        return DopantNetwork(**{k: value for k, value in chosen.items() if value is not None})
    if device_seed is not None:
        raise ConfigurationError(
            f"device seed {device_seed} does not go with {source}: a file is one device; "
            "leave the seed out, or use --device default"
        )
    if source.endswith(".json"):
        from inmateria.data.device_file import is_device_file, load_device

        if not Path(source).exists():
            raise ConfigurationError(
                f"{source} does not exist; give the file of a device or of a model"
            )
        if is_device_file(source):
            return load_device(source, engine=engine)
    if engine is not None:
        raise ConfigurationError(
            f"engine {engine!r} does not go with {source}: a model is not a dopant network; "
            "leave the engine out"
        )
    return open_model(source)


def open_model(source: str) -> Surrogate:
    """The surrogate at a path: ours (either file, their stem or a run folder) or brains-py's.

    Raises
    ------
    ModelFileError
    """
    path = Path(source)
    if path.suffix in _BRAINSPY:
        from inmateria.surrogates.brainspy import read_brainspy_model

        return read_brainspy_model(path)
    from inmateria.surrogates.surrogate import load_surrogate

    return load_surrogate(path / "model" if path.is_dir() else path)
