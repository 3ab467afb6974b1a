"""What every gradient estimator gives, and what an estimator is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.devices.device import FloatArray
from inmateria.errors import UndefinedGradientError

FINE = ""
CLIPPED = "clipped"
DEAD = "dead"
DRIFTING = "drifting"


@dataclass(frozen=True, eq=False)
class Gradient:
    """dI/dV at a batch of operating points.

    Parameters
    ----------
    value : (..., n_outputs, n_controls) array, nA/V
        NaN where it is undefined.
    standard_error : same shape, nA/V
        NaN where it is not known.
    current : (..., n_outputs) array, nA
        Mean current at the operating points, as measured along the way.
    controls : tuple of str
        Terminals of the last axis.
    problem : (..., n_outputs) array of str
        ``""`` where all is well, else ``"clipped"``, ``"dead"`` or ``"drifting"``:
        `value` is NaN there.
    linearity : (..., n_outputs, n_controls) array, optional
        Size of the second harmonic relative to the first, where it was measured:
        how far the tone reaches into the curvature.
    measurements : int
        Plateaus or windows that were measured.
    device_s : float
        Time the rig played, s.
    """

    value: FloatArray
    standard_error: FloatArray
    current: FloatArray
    controls: tuple[str, ...]
    problem: NDArray[np.str_]
    linearity: FloatArray | None
    measurements: int
    device_s: float

    @property
    def defined(self) -> NDArray[np.bool_]:
        """Where there is a gradient, (..., n_outputs)."""
        return np.asarray(self.problem == FINE)

    def require_defined(self) -> Gradient:
        """This gradient, if it is defined everywhere.

        Raises
        ------
        UndefinedGradientError
            Naming the first operating point and output where it is not.
        """
        if self.defined.all():
            return self
        raise UndefinedGradientError(undefined(self.problem))


def undefined(problem: NDArray[np.str_]) -> str:
    """What is wrong first, and what to do, for problems (..., n_outputs)."""
    where = tuple(np.argwhere(problem != FINE)[0])
    count = int((problem != FINE).sum())
    return (
        f"output {where[-1]} is {problem[where]} at operating point "
        f"{', '.join(map(str, where[:-1])) or 0} ({count} of {problem.size} readings): "
        f"no gradient; {_FIX[str(problem[where])]}"
    )


_FIX = {
    CLIPPED: "use a converter with a larger range or stay at smaller currents",
    DEAD: "check that the output is connected and the amplifier on",
    DRIFTING: "let the device settle, or measure for a shorter time",
}


@runtime_checkable
class GradientEstimator(Protocol):
    """Gradients at operating points, by whatever means."""

    @property
    def controls(self) -> tuple[str, ...]:
        """Terminals with respect to which it differentiates."""

    def extract(self, voltage: ArrayLike) -> Gradient:
        """Operating points (..., n_terminals) V to their gradients."""

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
