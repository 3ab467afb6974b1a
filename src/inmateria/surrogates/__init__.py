"""Neural networks in place of devices: fit them, keep them, read those of other projects."""

from inmateria.surrogates.brainspy import read_brainspy_data, read_brainspy_model
from inmateria.surrogates.fit import Fit, FitError, fit_surrogate
from inmateria.surrogates.network import ScaledNetwork
from inmateria.surrogates.refit import Refit, refit_surrogate
from inmateria.surrogates.surrogate import Surrogate, load_surrogate

__all__ = [
    "Fit",
    "FitError",
    "Refit",
    "ScaledNetwork",
    "Surrogate",
    "fit_surrogate",
    "load_surrogate",
    "read_brainspy_data",
    "read_brainspy_model",
    "refit_surrogate",
]
