"""Averages over energy at finite temperature.

A conductance at temperature T is the zero-temperature one averaged over
-df/dE = 1 / (4 kT cosh^2((E - E_F) / 2kT)) (Landauer and Buettiker). In x = (E - E_F) / kT
this weight is analytic with its nearest poles at +-i pi, so the trapezoid rule with step h
errs by exp(-2 pi^2 / h) for the weight alone: h = 1 is enough where the integrand is flat.
It is not flat on the scale of the sample's level width, so the step is halved, keeping all
values, until the average stops to change.

With a fixed number n of energies it is the same rule over |x| <= 1 + ln n, so that the
weight left out, 2 exp(-1) / n, falls with the step; weights are brought to a sum of one.
Gauss's rule for this weight would be better where T(E) is smooth. In a disordered sample at
1 K it is not: with 33 energies in the default geometry the trapezoid rule misses the PLDOS
by 0.5 % of its maximum and Gauss's, whose nodes are where there is hardly any weight, by
24 %. And half of the trapezoid's nodes are a rule, too, which tells the error.
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
    energies: int | None = None,
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
    energies : int, optional
        So many evaluations, an odd number, whatever the accuracy.

    Raises
    ------
    ParameterError
        If the temperature is negative, or the number of energies even.
    ConvergenceError
        If `most` evaluations are not enough.
    """
    if not (np.isfinite(temperature_k) and temperature_k >= 0):
        raise ParameterError(f"temperature_k = {temperature_k}: give a temperature of at least 0 K")
    if temperature_k == 0:
        energy = np.array([fermi_mev])
        return ThermalAverage(np.asarray(evaluate(energy)[0]), energy, 0.0)
    scale = KELVIN_MEV * temperature_k
    if energies is not None:
        return _fixed(evaluate, fermi_mev, scale, energies)
    step = FIRST_STEP
    # What lies beyond is exp(-cut) of the whole, a tenth of the accuracy.
    cut = step * np.ceil(max(-np.log(accuracy / 10), 4.0) / step)
    x = np.arange(-cut, cut + step / 2, step)
    taken = [fermi_mev + scale * x]
    total = _weighted(evaluate(taken[0]), x)
    average = step * total
    while True:
        # Midpoints of the nodes so far.
        x = np.arange(-cut + step / 2, cut, step)
        if sum(e.size for e in taken) + x.size > most:
            raise ConvergenceError(
                f"{most} energies do not bring the average at {temperature_k:g} K to {accuracy:g}; "
                "ask for less accuracy or allow more energies"
            )
        taken.append(fermi_mev + scale * x)
        total = total + _weighted(evaluate(taken[-1]), x)
        step /= 2
        before, average = average, step * total
        change = _change(before, average)
        # The trapezoid rule converges exponentially: the change bounds what is left.
        if change <= accuracy and step <= 1:
            return ThermalAverage(average, np.sort(np.concatenate(taken)), change)


def _fixed(
    evaluate: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    fermi_mev: float,
    scale: float,
    n: int,
) -> ThermalAverage:
    """The rule of n energies; its error is its difference from that of every other one."""
    if n < 3 or n % 2 == 0:
        raise ParameterError(f"energies = {n}: give an odd number from 3 on")
    cut = 1 + np.log(n)
    x = np.linspace(-cut, cut, n)
    values = evaluate(fermi_mev + scale * x)
    average, coarse = (
        _weighted(values[::every], x[::every]) / _weighted(np.ones(x[::every].size), x[::every])
        for every in (1, 2)
    )
    return ThermalAverage(average, fermi_mev + scale * x, _change(coarse, average))


def _change(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    return float(np.abs(after - before).max() / max(np.abs(after).max(), 1e-300))


def _weighted(values: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    weight = 0.25 / np.cosh(x / 2) ** 2
    return np.asarray(np.tensordot(weight, values, axes=1))
