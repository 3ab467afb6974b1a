"""The gradient that a device knows of itself: the judge of all estimators.

A simulated device differentiates its own equations, a surrogate its network.
Neither plays a sample, so it costs no device time and has no noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import Device, DifferentiableDevice, FloatArray, check_voltage
from inmateria.errors import ParameterError
from inmateria.gradients.gradient import FINE, Gradient
from inmateria.gradients.operating_points import control_index

_ROUNDING = 1e-6  # share of a range by which a voltage may leave it


class Exact:
    """Gradients from a device's own equations.

    Parameters
    ----------
    device : DifferentiableDevice
        Anything with `gradient`, such as a dopant network or a surrogate.
    controls : sequence of str
        Terminals with respect to which it differentiates.

    Raises
    ------
    ParameterError
        If the device does not know its gradient, or a control is named twice.
    TerminalError
        If a control is not a terminal of the device.
    """

    def __init__(self, device: Device, controls: Sequence[str]) -> None:
        if not isinstance(device, DifferentiableDevice):
            raise ParameterError(
                f"{type(device).__name__} does not know its gradient; measure it on a rig with "
                "Homodyne or FiniteDifference, or fit a surrogate"
            )
        self._device = device
        self._index = control_index(device.terminals, controls)
        self._controls = tuple(device.terminals[i].name for i in self._index)

    @property
    def controls(self) -> tuple[str, ...]:
        """Terminals with respect to which it differentiates."""
        return self._controls

    @property
    def reach_v(self) -> FloatArray:
        """Nothing is moved, (n_controls,) V."""
        return np.zeros(len(self._controls))

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"kind": "exact", "controls": list(self._controls)}

    def extract(self, voltage: ArrayLike) -> Gradient:
        """Gradients at operating points.

        Parameters
        ----------
        voltage : (..., n_terminals) array, V

        Returns
        -------
        Gradient
            With a standard error of zero.

        Raises
        ------
        ShapeError, NotFiniteError, VoltageLimitError
            And whatever the device raises (`ConvergenceError`).
        """
        points = check_voltage(self._device.terminals, voltage, tolerance=_ROUNDING)
        current = np.asarray(self._device.current(points))
        value = np.asarray(self._device.gradient(points))[..., self._index]
        return Gradient(
            value=value,
            standard_error=np.zeros_like(value),
            current=current,
            controls=self._controls,
            problem=np.full(current.shape, FINE),
            linearity=None,
            measurements=0,
            device_s=0.0,
        )
