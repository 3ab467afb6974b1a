"""Machine learning on nanoelectronic devices."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from inmateria.errors import InMateriaError
from inmateria.version import __version__

if TYPE_CHECKING:
    from inmateria.data.designs import Plateaus, Sinusoids, Triangles
    from inmateria.data.device_file import load_device, save_device
    from inmateria.data.measurement import open_measurement
    from inmateria.data.sampling import sample
    from inmateria.devices.device import Device, Terminal
    from inmateria.devices.dopant.network import DopantNetwork
    from inmateria.devices.dopant.parameters import DopantParameters
    from inmateria.devices.layered import Connection, Layered
    from inmateria.gradients.calibration import calibrate
    from inmateria.gradients.homodyne import Homodyne
    from inmateria.gradients.plan_tones import plan_tones
    from inmateria.reconstruction.load import reconstruct
    from inmateria.rigs.guard import Guard
    from inmateria.rigs.simulated import SimulatedRig
    from inmateria.surrogates.brainspy import read_brainspy_model
    from inmateria.surrogates.fit import fit_surrogate
    from inmateria.surrogates.surrogate import load_surrogate
    from inmateria.survey.device_survey import survey_device
    from inmateria.tasks.gates import Gate, gates
    from inmateria.tasks.ring import Ring
    from inmateria.tasks.sphere import Sphere
    from inmateria.training.solution import load_solution
    from inmateria.training.train import train, train_all
    from inmateria.training.verify import verify
    from inmateria.transport.disorder.remote_dopants import RemoteDopants
    from inmateria.transport.gas import ElectronGas, Lead

# Where each public name lives: imported when first asked for, so that
# `import inmateria` costs milliseconds and not torch.
_HOMES = {
    "Device": "inmateria.devices.device",
    "Terminal": "inmateria.devices.device",
    "DopantNetwork": "inmateria.devices.dopant.network",
    "DopantParameters": "inmateria.devices.dopant.parameters",
    "Connection": "inmateria.devices.layered",
    "Layered": "inmateria.devices.layered",
    "load_device": "inmateria.data.device_file",
    "save_device": "inmateria.data.device_file",
    "survey_device": "inmateria.survey.device_survey",
    "Homodyne": "inmateria.gradients.homodyne",
    "calibrate": "inmateria.gradients.calibration",
    "plan_tones": "inmateria.gradients.plan_tones",
    "SimulatedRig": "inmateria.rigs.simulated",
    "Guard": "inmateria.rigs.guard",
    "Sinusoids": "inmateria.data.designs",
    "Triangles": "inmateria.data.designs",
    "Plateaus": "inmateria.data.designs",
    "sample": "inmateria.data.sampling",
    "open_measurement": "inmateria.data.measurement",
    "fit_surrogate": "inmateria.surrogates.fit",
    "load_surrogate": "inmateria.surrogates.surrogate",
    "read_brainspy_model": "inmateria.surrogates.brainspy",
    "Gate": "inmateria.tasks.gates",
    "gates": "inmateria.tasks.gates",
    "Ring": "inmateria.tasks.ring",
    "Sphere": "inmateria.tasks.sphere",
    "train": "inmateria.training.train",
    "train_all": "inmateria.training.train",
    "verify": "inmateria.training.verify",
    "load_solution": "inmateria.training.solution",
    "ElectronGas": "inmateria.transport.gas",
    "Lead": "inmateria.transport.gas",
    "RemoteDopants": "inmateria.transport.disorder.remote_dopants",
    "reconstruct": "inmateria.reconstruction.load",
}

__all__ = [
    "Connection",
    "Device",
    "DopantNetwork",
    "DopantParameters",
    "ElectronGas",
    "Gate",
    "Guard",
    "Homodyne",
    "InMateriaError",
    "Layered",
    "Lead",
    "Plateaus",
    "RemoteDopants",
    "Ring",
    "SimulatedRig",
    "Sinusoids",
    "Sphere",
    "Terminal",
    "Triangles",
    "__version__",
    "calibrate",
    "fit_surrogate",
    "gates",
    "load_device",
    "load_solution",
    "load_surrogate",
    "open_measurement",
    "plan_tones",
    "read_brainspy_model",
    "reconstruct",
    "sample",
    "save_device",
    "survey_device",
    "train",
    "train_all",
    "verify",
]


def __getattr__(name: str) -> Any:
    """A public name, imported on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'inmateria' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
