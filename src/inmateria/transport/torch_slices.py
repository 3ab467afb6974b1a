"""A gas in slices of transverse modes, as tensors: what no potential changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inmateria.transport.field import check_around, slice_coupling
from inmateria.transport.geometry import GasGeometry, Lead
from inmateria.transport.mode_counts import mode_counts
from inmateria.transport.strip import strip_modes

REAL = {torch.complex64: torch.float32, torch.complex128: torch.float64}
# Modes that a narrow lead excites are kept until they have decayed to this; 1e-3 gains nothing.
# The real solver, which brings back what it drops, needs fewer.
TAIL = 1e-2


@dataclass(frozen=True, eq=False)
class Slices:
    """Everything about a gas at one energy and field that no potential changes.

    Attributes
    ----------
    counts : (n_x,) tuple
        Modes that each slice keeps.
    diagonal : (n_modes,) tensor, real
        E - H of the clean strip; n_modes is the largest of `counts`.
    near, far : (counts, counts) tensors
        Minus the leads' self-energies on the first and on the last slice.
    near_modes, far_modes : (counts, n_open) tensors
        chi sqrt(v) of their open modes.
    coupling : (n_modes, n_modes) tensor, optional
        P; left out where it is the identity.
    cosine : (n_y, 2 n_modes + 1) tensor, real, optional
        cos(pi k j / (n_y + 1)) / (n_y + 1): potential to its cosine series c_k. Left out on a
        cylinder, where V = U^T diag(v) U with U = `to_sites`.
    difference, total : (n_modes, n_modes) integer tensors
        |m - n| and m + n + 2 over (m, n): V_mn = c_(m-n) - c_(m+n).
    to_sites : (n_y, n_modes) tensor, real
    """

    counts: tuple[int, ...]
    diagonal: Tensor
    near: Tensor
    far: Tensor
    near_modes: Tensor
    far_modes: Tensor
    coupling: Tensor | None
    cosine: Tensor | None
    difference: Tensor
    total: Tensor
    to_sites: Tensor

    def sample_bytes(self, n_columns: int) -> int:
        """What a sample takes at most: all S_i, a slice's scratch, the states and copies."""
        n_x = len(self.counts)
        kept = sum(count**2 for count in self.counts) + 6 * len(self.diagonal) ** 2
        states = 4 * n_columns * n_x * len(self.to_sites)
        terms = len(self.to_sites) if self.cosine is None else self.cosine.shape[1]
        return (kept + states + n_x * terms) * self.near.dtype.itemsize

    def series(self, potential_t: Tensor) -> Tensor:
        """What `subtract` needs of a potential (batch, n_x, n_y), over its last axis."""
        return potential_t if self.cosine is None else potential_t @ self.cosine

    def subtract(self, series: Tensor, matrix: Tensor) -> None:
        """A slice's potential among its first modes taken from `matrix`, (batch, n, n) real."""
        n = matrix.shape[-1]
        if self.cosine is None:
            U = self.to_sites[:, :n]
            matrix -= (U.mT * series[:, None]) @ U
        else:
            matrix += series[:, self.total[:n, :n]]
            matrix -= series[:, self.difference[:n, :n]]


def overlap(gas: GasGeometry, lead: Lead) -> NDArray[np.float64]:
    """A lead's modes in the sample's transverse modes, (n_y, n_rows)."""
    return np.asarray(
        gas.transverse_modes(gas.n_y)[lead.rows].T @ gas.transverse_modes(lead.n_rows)
    )


def make_slices(
    gas: GasGeometry,
    *,
    flux: float,
    modes: int | None,
    dtype: torch.dtype,
    device: torch.device,
) -> Slices:
    """The slices of a gas at its Fermi energy, the source near and the drain far.

    Raises
    ------
    ParameterError
        If a lead has no open mode, `modes` is out of range or the flux does not go with a
        cylinder.
    """
    check_around(gas, flux)
    strip = strip_modes(gas.n_y, gas.fermi_mev / gas.hopping_mev, walls=gas.walls)
    counts = mode_counts(gas, strip, modes, tail=TAIL)
    n = int(counts.max())
    k, j = np.arange(2 * n + 1), np.arange(1, gas.n_y + 1)
    angle = np.pi * (np.outer(j, k) % (2 * gas.n_y + 2)) / (gas.n_y + 1)
    m = torch.arange(n, device=device)

    def constant(values: NDArray[np.generic]) -> Tensor:
        wanted = dtype if np.iscomplexobj(values) else REAL[dtype]
        return torch.as_tensor(values).to(device=device, dtype=wanted)

    def lead(which: Lead, kept: int) -> tuple[Tensor, Tensor]:
        found, chi = gas.modes(which), overlap(gas, which)[:kept]
        into = chi[:, found.open] * np.sqrt(found.velocity)
        return constant((chi * found.phase) @ chi.T), constant(into.astype(complex))

    near, near_modes = lead(gas.source, int(counts[0]))
    far, far_modes = lead(gas.drain, int(counts[-1]))
    coupling = slice_coupling(gas.n_y, flux, walls=gas.walls)[:n, :n] if flux else None
    return Slices(
        counts=tuple(int(count) for count in counts),
        diagonal=constant(-strip.two_cos_k[:n]),
        near=near,
        far=far,
        near_modes=near_modes,
        far_modes=far_modes,
        coupling=None if coupling is None else constant(coupling),
        cosine=constant(np.cos(angle) / (gas.n_y + 1)) if gas.walls == "hard" else None,
        difference=(m[:, None] - m).abs(),
        total=m[:, None] + m + 2,
        to_sites=constant(gas.transverse_modes(gas.n_y)[:, :n]),
    )
