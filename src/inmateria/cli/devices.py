"""What `--device` and `--model` name: the embedded device, a surrogate, a brains-py model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from inmateria.errors import ConfigurationError

if TYPE_CHECKING:
    from inmateria.devices.device import Device
    from inmateria.rigs.guard import Guard
    from inmateria.surrogates.surrogate import Surrogate

DEFAULT = "default"
_BRAINSPY = {".pt", ".pth"}


def open_device(source: str, *, device_seed: int | None = None) -> Device:
    """The device that `source` names.

    Parameters
    ----------
    source : str
        ``"default"`` for the embedded dopant network, or the path of a model:
        a surrogate of ours, a run folder that holds one, or brains-py's ``.pt``.
    device_seed : int, optional
        Another dopant network of the default kind.

    Raises
    ------
    ConfigurationError, ModelFileError
    """
    if source == DEFAULT:
        from inmateria.devices.dopant.network import DopantNetwork

        return DopantNetwork() if device_seed is None else DopantNetwork(seed=device_seed)
    if device_seed is not None:
        raise ConfigurationError(
            f"device seed {device_seed} does not go with {source}: a model is one device; "
            "leave the seed out, or use --device default"
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


def open_rig(device: Device, *, seed: int, rate_hz: float = 10_000.0) -> Guard:
    """The device behind the electrical chain of a real one, guarded.

    Raises
    ------
    ParameterError
    """
    from inmateria.rigs.guard import Guard
    from inmateria.rigs.simulated import SimulatedRig

    return Guard(SimulatedRig(device, rate=rate_hz, seed=seed))
