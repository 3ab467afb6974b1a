"""Scanning-gate maps: transmission with a charged tip at each position above the gas.

Two ways. To first order in the tip's potential one solve gives all positions
(`tip_first_order`): right to some 10 % for a tip of 0.04 E_F and useless above 0.2 E_F, where
even the sign can be wrong. Exactly, each position costs the slices under the tip
(`tip_exact`), for tips of any strength and sign, depleting ones too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.errors import ParameterError
from inmateria.transport.disorder.parameters import whole
from inmateria.transport.energies import off_threshold
from inmateria.transport.geometry import GasGeometry
from inmateria.transport.samples import Progress
from inmateria.transport.thermal import thermal_average
from inmateria.transport.tip import Tip
from inmateria.transport.tip_exact import exact
from inmateria.transport.tip_first_order import first_order
from inmateria.transport.tip_lattice import Sites, TipLattice

Method = Literal["first-order", "exact"]
Real = NDArray[np.float64]
# Transmission (n_samples,), its change (n_samples, n_tip_x, n_tip_y), and the error of both.
Answer = tuple[Real, Real, Real]

FINEST = 1e-9


@dataclass(frozen=True)
class ScanningGateMap:
    """Transmission by the position of a tip.

    Attributes
    ----------
    x_nm : (n_tip_x,) array
        Positions of the tip along the sample, above sites: site (i, j) is at x = i a, y = j a.
    y_nm : (n_tip_y,) array
        Across it.
    transmission : (..., n_tip_x, n_tip_y) array
        With the tip there.
    unperturbed : (...) array
        Without a tip.
    error : (...) array
        Estimated absolute error of the transmission with the tip. Exact: the largest difference
        from whole solves at eight positions and from sixteen modes more at 64; others may be
        some times worse. First order: the largest size, at eight positions, of the
        second-order terms left out. At a finite temperature, the largest of all energies
        plus what the average may lack.
    """

    x_nm: Real
    y_nm: Real
    transmission: Real
    unperturbed: Real
    error: Real

    @property
    def change(self) -> Real:
        """What the tip changes, (..., n_tip_x, n_tip_y)."""
        return np.asarray(self.transmission - self.unperturbed[..., None, None])


def scanning_gate_map(
    gas: GasGeometry,
    potential_mev: ArrayLike,
    tip: Tip,
    *,
    method: Method = "first-order",
    accuracy: float = 1e-3,
    stride: int | tuple[int, int] = 1,
    temperature_k: float = 0.0,
    progress: Progress | None = None,
) -> ScanningGateMap:
    """Transmission from source to drain for positions of a tip above the sample's sites.

    Parameters
    ----------
    gas : GasGeometry
    potential_mev : (..., n_x, n_y) array, meV
    tip : Tip
        Its potential counts on the sample's sites, not in the leads.
    method : ``"first-order"`` or ``"exact"``
        First order is for tips of a few hundredths of the Fermi energy, and wrong above a fifth.
    accuracy : float
        Exact: of the transmission, absolute. First order: of the states, relative to the
        largest PLDOS; the linearisation's own error is in the result.
    stride : int, or two along x and y
        Take every so manyth site, from the first on.
    temperature_k : float
        Above zero, averaged over -df/dE, as in `energies.at_temperature`.
    progress : callable, optional
        Told how many samples are done and how many there are, with ``"exact"`` positions of
        all samples; starts again at each energy.

    Raises
    ------
    ShapeError, NotFiniteError, ParameterError, ConvergenceError
        A tip narrower than half the lattice spacing is a ParameterError.
    """
    if method not in ("first-order", "exact"):
        raise ParameterError(f"method = {method!r}: give 'first-order' or 'exact'")
    if not FINEST <= accuracy <= 0.1:
        raise ParameterError(f"accuracy = {accuracy}: give a number between {FINEST:g} and 0.1")
    potential = gas.in_hoppings(potential_mev)
    batch = potential.reshape(-1, gas.n_x, gas.n_y)
    on_lattice = TipLattice(gas, tip)
    gas.in_hoppings((batch + on_lattice.lowest) * gas.hopping_mev)
    sites = tip_sites(gas, stride)
    modes = np.zeros(len(batch), dtype=np.int64)

    def solve(at: GasGeometry) -> Answer:
        weak = first_order(
            at,
            batch,
            on_lattice,
            sites,
            accuracy=accuracy if method == "first-order" else accuracy / 10,
            progress=progress if method == "first-order" else None,
        )
        if method == "first-order":
            return weak.unperturbed, weak.change, weak.error
        change, error = exact(
            at, batch, on_lattice, sites, weak, accuracy=accuracy, modes=modes, progress=progress
        )
        return weak.unperturbed, change, error

    if temperature_k == 0:
        unperturbed, change, error = solve(gas)
    else:
        shape = len(batch), sites[0].size, sites[1].size
        unperturbed, change, error = averaged(
            gas, solve, shape, temperature_k, accuracy, relative=method == "first-order"
        )
    leading = potential.shape[:-2]
    return ScanningGateMap(
        np.asarray(gas.spacing_nm * sites[0]),
        np.asarray(gas.spacing_nm * sites[1]),
        (unperturbed[:, None, None] + change).reshape(*leading, *change.shape[1:]),
        unperturbed.reshape(leading),
        error.reshape(leading),
    )


def tip_sites(gas: GasGeometry, stride: int | tuple[int, int]) -> Sites:
    """Columns and rows of sites above which the tip stands.

    Raises
    ------
    ParameterError
    """
    pair = stride if isinstance(stride, (tuple, list)) else (stride, stride)
    if len(pair) != 2:
        raise ParameterError(f"stride = {stride!r}: give one whole number, or two for x and y")
    along, across = (whole("stride", step, 1) for step in pair)
    return np.arange(0, gas.n_x, along), np.arange(0, gas.n_y, across)


def averaged(
    gas: GasGeometry,
    solve: Callable[[GasGeometry], Answer],
    shape: tuple[int, int, int],
    temperature_k: float,
    accuracy: float,
    *,
    relative: bool,
) -> Answer:
    """What `solve` gives at single energies, averaged over -df/dE.

    Parameters
    ----------
    gas : GasGeometry
    solve : callable
        Transmission, its change and the error at a gas's Fermi energy.
    shape : (n_samples, n_tip_x, n_tip_y)
    temperature_k : float
    accuracy : float
        Of the average.
    relative : bool
        To the largest change, which may be far smaller than the transmission.

    Raises
    ------
    ParameterError, ConvergenceError
    """
    error, unit = np.zeros(shape[0]), 0.0

    def evaluate(energies: Real) -> Real:
        nonlocal unit
        values = np.zeros((energies.size, shape[0], shape[1] * shape[2] + 1))
        for row, energy in zip(values, energies, strict=True):
            at = gas.with_fermi(off_threshold(gas, float(energy)))
            if at.count_open("source") and at.count_open("drain"):
                row[:, -1], change, at_energy = solve(at)
                row[:, :-1] = change.reshape(shape[0], -1)
                np.maximum(error, at_energy, out=error)
        # An average is judged by the largest of its values.
        if not unit:
            both = np.abs(values[..., :-1]).max(initial=0), values[..., -1].max(initial=0)
            unit = float(both[0] / both[1]) if relative and min(both) > 0 else 1.0
        values[..., -1] *= unit
        return values

    n_open = max(1, gas.count_open("source"))
    found = thermal_average(evaluate, gas.fermi_mev, temperature_k, accuracy=accuracy / n_open)
    change, unperturbed = found.value[:, :-1].reshape(shape), found.value[:, -1] / unit
    left = found.error * np.abs(found.value).max(initial=0) / unit
    return unperturbed, change, error + left
