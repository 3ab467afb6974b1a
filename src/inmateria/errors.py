"""Everything that can go wrong, named.

One root, `InMateriaError`; each leaf is also the builtin error that it is, so
that `except ValueError` works as a user expects. A message gives the value,
the unit, the limit and the fix, in one line.
"""


class InMateriaError(Exception):
    """Root of all errors that inmateria raises on purpose."""


class ParameterError(InMateriaError, ValueError):
    """A physical or numerical parameter has no meaning (negative radius, zero kelvin)."""


class ShapeError(InMateriaError, ValueError):
    """An array has the wrong shape."""


class NotFiniteError(InMateriaError, ValueError):
    """An array holds NaN or infinity where a number is needed."""


class TerminalError(InMateriaError, LookupError):
    """A terminal or output does not exist on this device."""


class VoltageLimitError(InMateriaError, ValueError):
    """A voltage lies outside what the terminal may see."""


class SlewLimitError(InMateriaError, ValueError):
    """A waveform moves a terminal faster than allowed."""


class FrequencyPlanError(InMateriaError, ValueError):
    """Tones that cannot be played or told apart; `nearest` is a plan that could be, or None."""

    def __init__(self, message: str, *, nearest: object = None) -> None:
        super().__init__(message)
        self.nearest = nearest


class UndefinedGradientError(InMateriaError, ArithmeticError):
    """An output was clipped, dead or drifting: there is no gradient to be had from it."""


class CalibrationError(InMateriaError, ArithmeticError):
    """A chain's response could not be measured well enough to correct for it."""


class ConvergenceError(InMateriaError, ArithmeticError):
    """A solve did not reach its tolerance; its result is never returned as an answer."""


class DeviceMemoryError(InMateriaError, MemoryError):
    """One sample alone does not fit in the memory of a graphics card or processor."""


class ConfigurationError(InMateriaError, ValueError):
    """A configuration file or flag is wrong."""


class TaskError(InMateriaError, ValueError):
    """A task cannot be set on this device."""


class TrainingError(InMateriaError, RuntimeError):
    """A fit or a search failed (diverged, no data left, method unknown)."""


class DataFileError(InMateriaError, OSError):
    """A data file is missing, truncated or not what it claims to be."""


class DataIntegrityError(DataFileError):
    """An array in a file does not match its checksum."""


class SchemaVersionError(DataFileError):
    """A file was written by a newer inmateria."""


class ModelFileError(InMateriaError, OSError):
    """A model file is missing, damaged or would run code when loaded."""


class StorageError(InMateriaError, OSError):
    """Writing failed (disk full, no permission); what was written before stays valid."""


class StoppedError(InMateriaError, RuntimeError):
    """The user or the system asked to stop (Ctrl-C, TERM, HUP); the rig is at 0 V."""


class MissingExtraError(InMateriaError, ImportError):
    """An optional dependency is not installed; the message names the extra."""


class WorkerError(InMateriaError, RuntimeError):
    """A process that computed a part died; what was finished is kept."""


class ParkingError(InMateriaError, RuntimeError):
    """A rig could not be taken to 0 V; its terminals may still carry voltage."""


class InstrumentError(InMateriaError, OSError):
    """An instrument cannot be reached, or does not do what it was asked for."""


class BenchInUseError(InstrumentError):
    """Another process drives these terminals."""


class ComplianceError(InMateriaError, RuntimeError):
    """A current exceeded what the device is allowed to carry; the terminals were parked."""


def missing_extra(package: str, extra: str) -> MissingExtraError:
    """The error that says which extra brings a package."""
    return MissingExtraError(f"{package} is not installed; pip install 'inmateria[{extra}]'")
