"""Scattering states of the source: PLDOS, reflection and transmission.

Mode n of the source comes in with unit flux,
psi_n = (exp(i k_n x) chi_n + sum_a r_an exp(-i k_a x) chi_a sqrt(v_n / v_a)) / sqrt(v_n),
x = 0 on the first column of the sample, and goes out into the drain's modes with
amplitudes t_bn, whose x = 0 is the last column. Then

    psi = i G chi_n sqrt(v_n),    r = -1 + i sqrt(v) chi^T G chi sqrt(v),

and without a magnetic field r is symmetric.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from inmateria.transport.gas import ElectronGas, Lead
from inmateria.transport.mode_counts import mode_counts, tails
from inmateria.transport.strip import StripModes, strip_modes, transverse_modes
from inmateria.transport.sweep import scatter_batch

# Bytes that the recursion of the samples in work may take.
WORKSPACE_BYTES = 512 * 1024**2


@dataclass(frozen=True)
class Scattering:
    """Electrons from the source at the Fermi energy.

    Attributes
    ----------
    pldos : (..., n_x, n_y) array
        2 pi sum_n |psi_n|^2, in 1/t per site.
    r : (..., n_source, n_source) complex array
    t : (..., n_drain, n_source) complex array
    """

    pldos: NDArray[np.float64]
    r: NDArray[np.complex128]
    t: NDArray[np.complex128]

    @property
    def transmission(self) -> NDArray[np.float64]:
        """sum |t|^2, (...)."""
        return np.asarray((np.abs(self.t) ** 2).sum(axis=(-2, -1)))

    @property
    def reflection(self) -> NDArray[np.float64]:
        """sum |r|^2, (...)."""
        return np.asarray((np.abs(self.r) ** 2).sum(axis=(-2, -1)))


def scatter(gas: ElectronGas, potential_mev: ArrayLike, *, modes: int | None = None) -> Scattering:
    """Solve for the scattering states of the source.

    Parameters
    ----------
    gas : ElectronGas
    potential_mev : (..., n_x, n_y) array, meV
    modes : int, optional
        Transverse modes kept away from narrow leads; all of them (exact) where left
        out. In the default geometry 64 leave up to 2.4e-3 of the maximum PLDOS, 80 up to 8e-4.

    Raises
    ------
    ShapeError, NotFiniteError, ParameterError
    """
    potential = gas.in_hoppings(potential_mev)
    source, drain = gas.modes(gas.source), gas.modes(gas.drain)
    strip = strip_modes(gas.n_y, gas.fermi_mev / gas.hopping_mev)
    counts = mode_counts(gas, strip, modes)
    basis = transverse_modes(gas.n_y)
    chi_source, chi_drain = _overlap(basis, gas.source), _overlap(basis, gas.drain)
    into, out = chi_source[:, source.open], chi_drain[:, drain.open]
    n_last = int(counts[-1])
    batch = potential.reshape(-1, gas.n_x, gas.n_y)
    cosine = _cosine_table(gas.n_y)
    starts = np.concatenate([[0], np.cumsum(counts**2)[:-1]])
    per_call = max(1, WORKSPACE_BYTES // int(8 * (counts**2).sum()))

    pldos = np.empty(batch.shape)
    r = np.empty((len(batch), source.n_open, source.n_open), dtype=np.complex128)
    t = np.empty((len(batch), drain.n_open, source.n_open), dtype=np.complex128)
    workspace = np.empty((min(per_call, len(batch)), int((counts**2).sum())))
    for first in range(0, len(batch), per_call):
        part = np.ascontiguousarray(batch[first : first + per_call])
        states = np.zeros((*part.shape, source.n_open), dtype=np.complex128)
        # The cores are taken by the samples.
        with threadpool_limits(1):
            scatter_batch(
                part,
                strip.two_cos_k,
                cosine,
                counts,
                tails(strip, counts),
                _real_self_energy(chi_source, source),
                ((chi_drain * drain.phase) @ chi_drain.T)[:n_last, :n_last],
                starts,
                np.ascontiguousarray(into[: counts[0]]),
                workspace,
                states,
            )
        chosen = slice(first, first + len(part))
        psi, r[chosen] = _with_flux(states, into, source)
        t[chosen] = np.sqrt(drain.velocity)[:, None] * (out.T @ psi[:, -1])
        for s, one in enumerate(psi):
            amplitude = basis @ one
            pldos[first + s] = 2 * np.pi * (amplitude.real**2 + amplitude.imag**2).sum(axis=-1)
    leading = potential.shape[:-2]
    return Scattering(
        pldos.reshape(potential.shape),
        r.reshape(*leading, *r.shape[1:]),
        t.reshape(*leading, *t.shape[1:]),
    )


def _with_flux(
    states: NDArray[np.complex128], into: NDArray[np.float64], source: StripModes
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """Unit-flux states and r, from G without the imaginary part of the source's self-energy.

    With A = A0 + (i/2) b v b^T: G b = G0 b (1 + (i/2) v b^T G0 b)^-1.
    """
    v = source.velocity
    bare = into.T @ states[:, 0]
    correction = np.linalg.inv(np.eye(v.size) + 0.5j * v[:, None] * bare)
    root = np.sqrt(v)
    psi = np.asarray(1j * states @ (correction * root)[:, None])
    r = root[:, None] * (into.T @ psi[:, 0]) - np.eye(v.size)
    return psi, np.asarray(r, dtype=np.complex128)


def _overlap(basis: NDArray[np.float64], lead: Lead) -> NDArray[np.float64]:
    """A lead's modes in the sample's transverse modes, (n_y, n_rows)."""
    return np.asarray(basis[lead.rows].T @ transverse_modes(lead.n_rows))


def _real_self_energy(chi: NDArray[np.float64], lead: StripModes) -> NDArray[np.float64]:
    return np.asarray((chi * lead.phase.real) @ chi.T)


def _cosine_table(n_y: int) -> NDArray[np.float64]:
    """cos(pi k j / (n_y + 1)) / (n_y + 1) over (j, k)."""
    period = 2 * (n_y + 1)
    angle = np.pi * (np.outer(np.arange(1, n_y + 1), np.arange(2 * n_y + 2)) % period) / (n_y + 1)
    return np.asarray(np.cos(angle) / (n_y + 1))
