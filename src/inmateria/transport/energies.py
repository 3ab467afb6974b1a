"""Transmission and PLDOS as functions of energy, and at finite temperature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.errors import ParameterError
from inmateria.transport.geometry import GasGeometry
from inmateria.transport.samples import LeadName, Progress
from inmateria.transport.scattering import DEFAULT_ACCURACY, scatter
from inmateria.transport.strip import THRESHOLD_T
from inmateria.transport.thermal import thermal_average


@dataclass(frozen=True)
class EnergySweep:
    """A sample at several energies.

    Attributes
    ----------
    energy_mev : (n_energies,) array
    transmission : (..., n_energies) array
    open : (n_energies,) integer array
        Open modes of the lead that the electrons come from.
    """

    energy_mev: NDArray[np.float64]
    transmission: NDArray[np.float64]
    open: NDArray[np.int64]


@dataclass(frozen=True)
class Thermal:
    """A sample at finite temperature.

    Attributes
    ----------
    transmission : (...) array
        Averaged over -df/dE: the linear conductance in 2 e^2 / h.
    pldos : (..., n_x, n_y) array
        The same average, in 1/t per site.
    energy_mev : (n_energies,) array
        Energies that were computed.
    error : float
        Last change of the averages, relative to the largest.
    """

    transmission: NDArray[np.float64]
    pldos: NDArray[np.float64]
    energy_mev: NDArray[np.float64]
    error: float


def energy_sweep(
    gas: GasGeometry,
    potential_mev: ArrayLike,
    energy_mev: ArrayLike,
    *,
    accuracy: float = DEFAULT_ACCURACY,
    lead: LeadName = "source",
    progress: Progress | None = None,
) -> EnergySweep:
    """Transmission at several energies; 0 where no mode is open.

    Parameters
    ----------
    gas : GasGeometry
        Its own Fermi energy does not matter.
    potential_mev : (..., n_x, n_y) array, meV
    energy_mev : (n_energies,) array
    progress : callable, optional
        Told how many energies are done, and how many there are.

    Raises
    ------
    ShapeError, NotFiniteError, ParameterError
        One of the energies may lie on a mode's threshold.
    """
    energies = np.atleast_1d(np.asarray(energy_mev, dtype=np.float64))
    if energies.ndim != 1 or not np.isfinite(energies).all() or (energies <= 0).any():
        raise ParameterError("give energies as a list of positive numbers, meV")
    found, n_open = [], np.zeros(energies.size, dtype=np.int64)
    leading = gas.in_hoppings(potential_mev).shape[:-2]
    for i, energy in enumerate(energies):
        at = gas.with_fermi(float(energy))
        n_open[i] = at.count_open(lead)
        if n_open[i] and at.count_open("drain" if lead == "source" else "source"):
            result = scatter(at, potential_mev, accuracy=accuracy, lead=lead)
            found.append(result.transmission)
        else:
            found.append(np.zeros(leading))
        if progress is not None:
            progress(i + 1, energies.size)
    return EnergySweep(energies, np.stack(found, axis=-1), n_open)


def at_temperature(
    gas: GasGeometry,
    potential_mev: ArrayLike,
    temperature_k: float,
    *,
    accuracy: float = 1e-3,
    energies: int | None = None,
    lead: LeadName = "source",
    progress: Progress | None = None,
) -> Thermal:
    """Transmission and PLDOS averaged over -df/dE around the Fermi energy.

    Parameters
    ----------
    gas : GasGeometry
    potential_mev : (..., n_x, n_y) array, meV
    temperature_k : float
    accuracy : float
        Of both averages, relative to their largest value; single energies are solved
        three times better.
    energies : int, optional
        Take so many, an odd number, in place of as many as `accuracy` needs; `error` says how
        far the average of every other one is from that of all.
    progress : callable, optional
        Told how many energies are done and how many are planned so far: halving the step
        plans more.

    Raises
    ------
    ShapeError, NotFiniteError, ParameterError, ConvergenceError
    """
    shape = gas.in_hoppings(potential_mev).shape
    n_sites = gas.n_x * gas.n_y
    done = 0

    def evaluate(some: NDArray[np.float64]) -> NDArray[np.float64]:
        nonlocal done
        both = np.zeros((some.size, *shape[:-2], n_sites + 1))
        planned = done + some.size
        for row, energy in zip(both, some, strict=True):
            if progress is not None:
                progress(done, planned)
            done += 1
            at = gas.with_fermi(off_threshold(gas, float(energy)))
            if at.count_open(lead) == 0 or at.fermi_mev <= 0:
                continue
            found = scatter(at, potential_mev, accuracy=accuracy / 3, lead=lead)
            row[..., :n_sites] = found.pldos.reshape(*shape[:-2], n_sites)
            # Far more exact than the PLDOS, and judged together with it.
            row[..., n_sites] = found.transmission
        if progress is not None:
            progress(done, planned)
        return both

    average = thermal_average(
        evaluate, gas.fermi_mev, temperature_k, accuracy=accuracy, energies=energies
    )
    return Thermal(
        np.asarray(average.value[..., n_sites]),
        average.value[..., :n_sites].reshape(shape),
        average.energy_mev,
        average.error,
    )


def off_threshold(gas: GasGeometry, energy_mev: float) -> float:
    """An energy moved away from the thresholds of leads and sample where it lies on one."""
    margin = 3 * THRESHOLD_T * gas.hopping_mev
    lowest = 1e-6 * gas.hopping_mev
    energy = max(energy_mev, lowest)
    for n_rows in {gas.source.n_rows, gas.drain.n_rows, gas.n_y}:
        distance = energy - gas.thresholds_mev_of(n_rows)
        nearest = distance[np.argmin(np.abs(distance))]
        if abs(nearest) < margin:
            energy += 2 * margin
    return energy
