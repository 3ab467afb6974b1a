"""Operating points of the default device as their Taylor series: gradient and curvature.

A window of 1,000 samples at 1,000 points is a million solves of the network, and
as many again for every tone alone. Around a point the current is its series to
second order, I + g . v + v . H v / 2, with g exact and H from finite differences
of it: that is what the figures play, and the network itself is played at a few
points beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inmateria.devices.device import FloatArray
from inmateria.devices.dopant.network import DopantNetwork
from inmateria.signals.tones import TonePlan

STEP_V = 1e-3
REACH_V = 0.9  # of the 1 V that the electrodes may have: room for the tones


@dataclass(frozen=True, eq=False)
class CurvedPoints:
    """Uniformly drawn operating points.

    Parameters
    ----------
    voltage, gradient : (n_points, n_controls) arrays, V and nA/V
    curvature : (n_points, n_controls, n_controls) array, nA/V^2
    """

    voltage: FloatArray
    gradient: FloatArray
    curvature: FloatArray

    def current(self, excitation: FloatArray, point: int) -> FloatArray:
        """Windows around a point, (..., n_controls, n_samples) V to (..., n_samples) nA."""
        curved = np.einsum("kn,...nt->...kt", self.curvature[point], excitation)
        second = 0.5 * np.einsum("...kt,...kt->...t", excitation, curved)
        return np.asarray(self.gradient[point] @ excitation + second)


def in_window(plan: TonePlan) -> FloatArray:
    """Tones within the window, (n_groups, n_controls, n_samples) V."""
    return plan.excitation[..., plan.n_wait : plan.n_wait + plan.n_samples]


def draw_points(n_points: int, *, seed: int = 0) -> CurvedPoints:
    """Points of the default device, controls within 0.9 V."""
    device = DopantNetwork()
    n = len(device.terminals)
    voltage = np.random.default_rng(seed).uniform(-REACH_V, REACH_V, (n_points, n))
    curvature = np.empty((n_points, n, n))
    for k, step in enumerate(STEP_V * np.eye(n)):
        change = device.gradient(voltage + step) - device.gradient(voltage - step)
        curvature[:, k] = change[:, 0] / (2 * STEP_V)
    curvature = (curvature + curvature.transpose(0, 2, 1)) / 2
    return CurvedPoints(voltage, device.gradient(voltage)[:, 0], curvature)


@dataclass(frozen=True)
class Agreement:
    """A straight line through the origin, y = slope x, and what it leaves.

    Parameters
    ----------
    slope, residual : float
        The residual is rms(y - slope x) / rms(x).
    """

    slope: float
    residual: float


def agreement(x: FloatArray, y: FloatArray) -> Agreement:
    """Least squares of y on x over everything."""
    slope = float(np.sum(x * y) / np.sum(x * x))
    return Agreement(slope, float(np.sqrt(np.sum((y - slope * x) ** 2) / np.sum(x * x))))
