"""What scattering states carry: local currents and the local density of states.

With hopping -1 (in t) a state's probability current from column i to column i + 1 on
row j is, in units of t / hbar,

    J_x(i + 1/2, j) = 2 Im(conj(psi(i, j)) psi(i + 1, j)),

and the same along y. A plane wave exp(i k x) / sqrt(v) with v = 2 sin k carries 1, so
states of unit flux need no further factor, and the current of all modes of a lead through
any column is its transmission.

The density of states comes from both leads. With Gamma the leads' open parts,
i (G - G^dagger) = G Gamma G^dagger = sum over all incoming modes of psi psi^dagger, so

    LDOS = -Im G(r, r) / pi = sum |psi(r)|^2 / (2 pi) = (PLDOS_source + PLDOS_drain) / (4 pi^2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.transport.geometry import GasGeometry
from inmateria.transport.real_engine import Sample, States
from inmateria.transport.samples import LeadName, Progress, each_sample
from inmateria.transport.scattering import DEFAULT_ACCURACY, scatter


@dataclass(frozen=True)
class CurrentDensity:
    """Currents on the lattice's bonds, of all modes of a lead at the Fermi energy.

    In units of the flux that a mode brings in: times 2 e^2 / h and a small bias V at the
    lead, it is the current on a bond that the bias adds (2 e^2 / h = 77.48 nA per mV).
    Positive along +x and +y, so currents from the drain are mostly negative along x.

    Attributes
    ----------
    x : (..., n_x - 1, n_y) array
        From column i to column i + 1.
    y : (..., n_x, n_y - 1) array
        From row j to row j + 1.
    transmission : (...) array
        sum |t|^2. The sum of `x` over any column is this, with a minus sign from the drain.
    error : (...) array
        Estimated largest error of the PLDOS, relative to its maximum.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    transmission: NDArray[np.float64]
    error: NDArray[np.float64]

    @property
    def through_columns(self) -> NDArray[np.float64]:
        """Current from each column to the next, (..., n_x - 1)."""
        return np.asarray(self.x.sum(axis=-1))

    @property
    def from_leads(self) -> NDArray[np.float64]:
        """What leaves each site for its neighbours, hence what leads bring, (..., n_x, n_y).

        Zero, to the accuracy of the states, on all sites that no lead joins.
        """
        found = np.zeros((*self.y.shape[:-1], self.x.shape[-1]))
        found[..., :-1, :] += self.x
        found[..., 1:, :] -= self.x
        found[..., :-1] += self.y
        found[..., 1:] -= self.y
        return found

    @property
    def at_sites(self) -> NDArray[np.float64]:
        """Along x and y, the mean of the two bonds of every site, (..., n_x, n_y, 2).

        The bonds that leads join on the first and last column count, by continuity; those
        into walls carry nothing.
        """
        given = self.from_leads
        before, after = np.zeros(given.shape), np.zeros(given.shape)
        before[..., 0, :], before[..., 1:, :] = given[..., 0, :], self.x
        after[..., :-1, :], after[..., -1, :] = self.x, -given[..., -1, :]
        along_y = np.zeros(given.shape)
        along_y[..., :-1] += self.y / 2
        along_y[..., 1:] += self.y / 2
        return np.stack([(before + after) / 2, along_y], axis=-1)


def current_density(
    gas: GasGeometry,
    potential_mev: ArrayLike,
    *,
    lead: LeadName = "source",
    accuracy: float = DEFAULT_ACCURACY,
    progress: Progress | None = None,
) -> CurrentDensity:
    """Bond currents of a lead's scattering states, summed over its modes.

    Parameters
    ----------
    gas : GasGeometry
    potential_mev : (..., n_x, n_y) array, meV
    lead : ``"source"`` or ``"drain"``
        Where the electrons come from.
    accuracy : float
        Of the states, as in `scatter`.
    progress : callable, optional
        Told how many samples are done, and how many there are.

    Raises
    ------
    ShapeError, NotFiniteError, ParameterError, ConvergenceError
    """
    potential = gas.in_hoppings(potential_mev)
    batch = potential.reshape(-1, gas.n_x, gas.n_y)
    x = np.empty((len(batch), gas.n_x - 1, gas.n_y))
    y = np.empty((len(batch), gas.n_x, gas.n_y - 1))
    transmission = np.empty(len(batch))

    def take(s: int, _: Sample, states: States) -> None:
        n = len(states.r)
        real, imag = states.psi[:, :n], states.psi[:, n:]
        x[s] = 2 * (real[:-1] * imag[1:] - imag[:-1] * real[1:]).sum(axis=1)
        y[s] = 2 * (real[..., :-1] * imag[..., 1:] - imag[..., :-1] * real[..., 1:]).sum(axis=1)
        transmission[s] = (np.abs(states.t) ** 2).sum()

    effort = each_sample(gas, batch, take, accuracy=accuracy, lead=lead, progress=progress)
    leading = potential.shape[:-2]
    return CurrentDensity(
        x.reshape(*leading, *x.shape[1:]),
        y.reshape(*leading, *y.shape[1:]),
        transmission.reshape(leading),
        effort.error.reshape(leading),
    )


def ldos(
    gas: GasGeometry,
    potential_mev: ArrayLike,
    *,
    accuracy: float = DEFAULT_ACCURACY,
    progress: Progress | None = None,
) -> NDArray[np.float64]:
    """Local density of states per spin, -Im G(r, r) / pi.

    States that no lead reaches do not show.

    Parameters
    ----------
    gas : GasGeometry
    potential_mev : (..., n_x, n_y) array, meV
    accuracy : float
        Largest error relative to the maximum.
    progress : callable, optional
        Told how many samples are done, and how many there are; each counts twice, once for
        either lead.

    Returns
    -------
    (..., n_x, n_y) array
        In 1/t per site; divided by ``gas.hopping_mev * gas.spacing_nm**2`` in 1/(meV nm^2),
        where a free gas has m / (2 pi hbar^2) or, in 1/t per site, 1 / (4 pi).

    Raises
    ------
    ShapeError, NotFiniteError, ParameterError, ConvergenceError
    """
    total = np.zeros(gas.in_hoppings(potential_mev).shape)
    leads: tuple[LeadName, LeadName] = ("source", "drain")
    for i, lead in enumerate(leads):

        def say(done: int, of: int, i: int = i) -> None:
            if progress is not None:
                progress(i * of + done, 2 * of)

        # Half the accuracy each: their maxima may lie apart.
        total += scatter(gas, potential_mev, accuracy=accuracy / 2, lead=lead, progress=say).pldos
    return np.asarray(total / (4 * np.pi**2))
