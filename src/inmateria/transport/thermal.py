"""Averages over energy at finite temperature.

A conductance at temperature T is the zero-temperature one averaged over
-df/dE = 1 / (4 kT cosh^2((E - E_F) / 2kT)) (Landauer and Buettiker). In x = (E - E_F) / kT
this weight is analytic with its nearest poles at +-i pi, so the trapezoid rule with step h
errs by exp(-2 pi^2 / h) for the weight alone: h = 1 is enough where the integrand is flat.
It is not flat on the scale of the sample's level width, so the step is halved, keeping all
values, until the average stops to change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inmateria.errors import ConvergenceError, ParameterError
from inmateria.transport.constants import KELVIN_MEV

FIRST_STEP = 2.0


@dataclass(frozen=True)
class ThermalAverage:
    """An average over -df/dE.

    Attributes
    ----------
    value : array
    energy_mev : (n_energies,) array
        Where the integrand was evaluated.
    error : float
        Last change of the average, relative to its maximum.
    """

    value: NDArray[np.float64]
    energy_mev: NDArray[np.float64]
    error: float


def thermal_average(
    evaluate: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    fermi_mev: float,
    temperature_k: float,
    *,
    accuracy: float = 1e-3,
    most: int = 2000,
) -> ThermalAverage:
    """Average of a function of energy over -df/dE.

    Parameters
    ----------
    evaluate : callable
        Energies (n,) in meV to values (n, ...).
    fermi_mev : float
    temperature_k : float
        Zero evaluates at the Fermi energy alone.
    accuracy : float
        Change at which halving the step stops, relative to the largest average.
    most : int
        Evaluations at most.

    Raises
    ------
    ParameterError
        If the temperature is negative.
    ConvergenceError
        If `most` evaluations are not enough.
    """
    if not (np.isfinite(temperature_k) and temperature_k >= 0):
        raise ParameterError(f"temperature_k = {temperature_k}: give a temperature of at least 0 K")
    if temperature_k == 0:
        energy = np.array([fermi_mev])
        return ThermalAverage(np.asarray(evaluate(energy)[0]), energy, 0.0)
    scale = KELVIN_MEV * temperature_k
    step = FIRST_STEP
    # What lies beyond is exp(-cut) of the whole, a tenth of the accuracy.
    cut = step * np.ceil(max(-np.log(accuracy / 10), 4.0) / step)
    x = np.arange(-cut, cut + step / 2, step)
    energies = [fermi_mev + scale * x]
    total = _weighted(evaluate(energies[0]), x)
    average = step * total
    while True:
        # Midpoints of the nodes so far.
        x = np.arange(-cut + step / 2, cut, step)
        if sum(e.size for e in energies) + x.size > most:
            raise ConvergenceError(
                f"{most} energies do not bring the average at {temperature_k:g} K to {accuracy:g}; "
                "ask for less accuracy or allow more energies"
            )
        energies.append(fermi_mev + scale * x)
        total = total + _weighted(evaluate(energies[-1]), x)
        step /= 2
        before, average = average, step * total
        change = float(np.abs(average - before).max() / max(np.abs(average).max(), 1e-300))
        # The trapezoid rule converges exponentially: the change bounds what is left.
        if change <= accuracy and step <= 1:
            return ThermalAverage(average, np.sort(np.concatenate(energies)), change)


def _weighted(values: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    weight = 0.25 / np.cosh(x / 2) ** 2
    return np.asarray(np.tensordot(weight, values, axes=1))
