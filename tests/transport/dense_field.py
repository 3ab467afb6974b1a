"""Scattering states from (E - H - Sigma)^-1 of the whole lattice, in a field, on a cylinder."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from inmateria.transport.gas import ElectronGas
from inmateria.transport.strip import strip_modes


class Dense(NamedTuple):
    """psi (n_x, n_y, n_in), r and t of one lead's modes."""

    psi: np.ndarray
    r: np.ndarray
    t: np.ndarray


def dense_states(
    gas: ElectronGas,
    potential_t: np.ndarray,
    energy_t: float,
    flux: float,
    *,
    gauge: str = "x",
    origin_row: float | None = None,
) -> dict[str, Dense]:
    """States of both leads, by name.

    In gauge "x" bonds along x have phases, H[(i + 1, j), (i, j)] = -exp(-i flux (j - j_0)). In
    gauge "y" bonds along y do, H[(i, j + 1), (i, j)] = -exp(i flux i); the drain's bonds then
    carry the phases exp(i flux (n_x - 1) (j - j_0)) by which its modes go over into the other
    gauge's, and psi is brought back into gauge "x". Periodic walls go with gauge "x".
    """
    n = gas.n_x * gas.n_y
    site = np.arange(n).reshape(gas.shape)
    rows = np.arange(gas.n_y) - ((gas.n_y - 1) / 2 if origin_row is None else origin_row)
    columns = np.arange(gas.n_x)
    back = np.exp(-1j * flux * np.outer(columns, rows)) if gauge == "y" else np.ones(gas.shape)
    along_x = np.exp(-1j * flux * rows) if gauge == "x" else np.ones(gas.n_y)
    along_y = np.exp(1j * flux * columns) if gauge == "y" else np.ones(gas.n_x)
    hamiltonian = np.diag(4 + potential_t.ravel()).astype(complex)
    hamiltonian[site[1:], site[:-1]] = -along_x
    hamiltonian[site[:-1], site[1:]] = -along_x.conj()
    hamiltonian[site[:, 1:], site[:, :-1]] = -along_y[:, None]
    hamiltonian[site[:, :-1], site[:, 1:]] = -along_y[:, None].conj()
    if gas.walls == "periodic":
        hamiltonian[site[:, 0], site[:, -1]] = hamiltonian[site[:, -1], site[:, 0]] = -1
    matrix = energy_t * np.eye(n) - hamiltonian
    chis = {}
    for name, column, lead in (("source", 0, gas.source), ("drain", gas.n_x - 1, gas.drain)):
        modes = strip_modes(lead.n_rows, energy_t, walls=gas.walls_of(lead.n_rows))
        chi = np.zeros((n, lead.n_rows), dtype=complex)
        chi[site[column, lead.rows]] = gas.transverse_modes(lead.n_rows)
        chi *= back.conj().reshape(n, 1)
        matrix += (chi * modes.phase) @ chi.conj().T
        chis[name] = chi[:, modes.open] * np.sqrt(modes.velocity)
    found = {}
    for name, other in (("source", "drain"), ("drain", "source")):
        psi = 1j * np.linalg.solve(matrix, chis[name])
        found[name] = Dense(
            (back.reshape(n, 1) * psi).reshape(*gas.shape, -1),
            chis[name].conj().T @ psi - np.eye(psi.shape[1]),
            chis[other].conj().T @ psi,
        )
    return found
