"""Scattering states of many samples at once on a processor or a graphics card, in a field.

Conventions are those of `scattering`: mode n of a lead comes in with unit flux, x = 0 on
the column that the lead joins, and

    psi = i G chi_n sqrt(v_n),    r = -1 + i sqrt(v) chi^T G chi sqrt(v),
    t = i sqrt(v') chi'^T G chi sqrt(v),

v', chi' being the other lead's. With a magnetic field r(-B) = r(B)^T and the two leads'
t obey t_drain(-B) = t_source(B)^T (Onsager). `torch_recursion` holds the recursion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from inmateria.errors import ConvergenceError, NotFiniteError, ParameterError, ShapeError
from inmateria.transport.geometry import GasGeometry
from inmateria.transport.torch_chunks import chunk_size, in_chunks
from inmateria.transport.torch_recursion import eliminate, from_far, from_near
from inmateria.transport.torch_slices import REAL, make_slices


@dataclass(frozen=True, eq=False)
class States:
    """Scattering states of one lead's modes, on the device where they were found.

    Attributes
    ----------
    psi : (..., n_x, n_y, n_in) complex tensor
        Amplitudes on the sites, unit incoming flux (t a / hbar = 1).
    r : (..., n_in, n_in) complex tensor
    t : (..., n_out, n_in) complex tensor
        Into the modes of the other lead.
    """

    psi: Tensor
    r: Tensor
    t: Tensor

    @property
    def pldos(self) -> Tensor:
        """2 pi sum_n |psi_n|^2, (..., n_x, n_y) in 1/t per site."""
        return 2 * torch.pi * torch.view_as_real(self.psi).square().sum(dim=(-2, -1))

    @property
    def transmission(self) -> Tensor:
        """sum |t|^2, (...)."""
        return torch.view_as_real(self.t).square().sum(dim=(-3, -2, -1))

    @property
    def reflection(self) -> Tensor:
        """sum |r|^2, (...)."""
        return torch.view_as_real(self.r).square().sum(dim=(-3, -2, -1))


@torch.no_grad()
def sweep_states(
    gas: GasGeometry,
    potential_t: ArrayLike | Tensor,
    *,
    energy_t: float,
    flux: float = 0.0,
    modes: int | None = None,
    lead: str = "source",
    dtype: torch.dtype = torch.complex128,
    device: str | torch.device = "cpu",
    chunk: int | None = None,
) -> States:
    """Scattering states of the source or of the drain, in a magnetic field.

    No gradient flows through it.

    Parameters
    ----------
    gas : GasGeometry
        Its Fermi energy is not used.
    potential_t : (..., n_x, n_y) array or tensor, in units of the hopping t
    energy_t : float
        In units of t, above the bottom of the lattice's band.
    flux : float
        Phase per plaquette, -pi to pi; `field.flux_per_plaquette` finds it from a field.
    modes : int, optional
        Transverse modes kept away from narrow leads; all of them (exact) where left out. In
        the default geometry 80 left up to 5e-4 of the maximum PLDOS of the source without a
        field, 7e-4 at 0.5 T and 1.9e-3 at 1 T (eight samples); 96 up to 5.4e-4 at 1 T.
    lead : "source" or "drain"
        Where the electrons come from.
    dtype : torch.complex128 or torch.complex64
        Single precision left up to 2e-5 of the maximum PLDOS without a field, 2e-4 at 0.5 T
        and 2e-3 at 1 T. |T + R - N| is as large as such errors mostly are; that of too few
        modes does not show in it.
    device : str or torch.device
        Where to solve; the states stay there.
    chunk : int, optional
        Samples solved together; by free memory where left out. Halved where it does not fit.

    Raises
    ------
    ShapeError, NotFiniteError, ParameterError
    DeviceMemoryError
        If a single sample does not fit in the device's memory.
    ConvergenceError
        If a slice is singular to the precision of `dtype`.
    """
    _check(lead, dtype, flux, chunk)
    device = _usable(device)
    potential = _checked(gas, potential_t, energy_t, REAL[dtype], device)
    gas = gas.with_fermi(energy_t * gas.hopping_mev)
    # Swept from the lead with more open modes; where that is the source, left is right.
    mirrored = gas.modes(gas.source).n_open > gas.modes(gas.drain).n_open
    if mirrored:
        gas = replace(gas, source=gas.drain, drain=gas.source)
        flux, potential = -flux, potential.flip(-2)
    at_far = (lead == "drain") != mirrored
    slices = make_slices(gas, flux=flux, modes=modes, dtype=dtype, device=device)
    near, far = (slices.near_modes, 0), (slices.far_modes, -1)
    (into, first), (out, last) = (far, near) if at_far else (near, far)
    n_in, n_out = into.shape[1], out.shape[1]

    batch = potential.reshape(-1, *gas.shape)
    psi = torch.empty((*batch.shape, n_in), dtype=dtype, device=device)
    r = torch.empty((len(batch), n_in, n_in), dtype=dtype, device=device)
    t = torch.empty((len(batch), n_out, n_in), dtype=dtype, device=device)
    one = torch.eye(n_in, dtype=dtype, device=device)

    def solve(part: slice) -> None:
        S = eliminate(slices, batch[part])
        found = (from_far if at_far else from_near)(slices, S, 1j * into)
        r[part] = into.mT @ found[:, first, : len(into)] - one
        t[part] = out.mT @ found[:, last, : len(out)]
        # A real matrix times complex columns, as one times pairs of real columns.
        pairs = slices.to_sites @ torch.view_as_real(found).flatten(-2)
        psi[part] = torch.view_as_complex(pairs.reshape(*psi[part].shape, 2))

    in_chunks(len(batch), chunk or chunk_size(slices.sample_bytes(n_in), device), solve)
    if not (torch.isfinite(torch.view_as_real(r)).all() and torch.isfinite(psi.real).all()):
        raise ConvergenceError(
            f"a slice is singular to the precision of {dtype}: the energy of {energy_t:.12g} t "
            "meets a state that no lead reaches; move it or use complex128"
        )
    if mirrored:
        psi = psi.flip(-3)
    leading = potential.shape[:-2]
    return States(
        psi.reshape(*potential.shape, n_in),
        r.reshape(*leading, n_in, n_in),
        t.reshape(*leading, n_out, n_in),
    )


def _check(lead: str, dtype: torch.dtype, flux: float, chunk: int | None) -> None:
    if lead not in ("source", "drain"):
        raise ParameterError(f"lead = {lead!r}: give 'source' or 'drain'")
    if dtype not in REAL:
        raise ParameterError(f"dtype = {dtype}: give torch.complex64 or torch.complex128")
    if not abs(flux) <= math.pi:
        raise ParameterError(f"flux = {flux}: give a phase per plaquette between -pi and pi")
    if chunk is not None and chunk < 1:
        raise ParameterError(f"chunk = {chunk}: give at least 1 sample")


def _usable(device: str | torch.device) -> torch.device:
    """The device, seen to exist."""
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise ParameterError(f"device {str(device)!r} cannot be used: {first}") from error


def _checked(
    gas: GasGeometry,
    potential_t: ArrayLike | Tensor,
    energy_t: float,
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    """The potential on the device, of the right shape and within the lattice's band."""
    given = potential_t if isinstance(potential_t, Tensor) else np.asarray(potential_t)
    if given.ndim < 2 or tuple(given.shape[-2:]) != gas.shape:
        raise ShapeError(
            f"a potential of shape {tuple(given.shape)}: give (..., {gas.n_x}, {gas.n_y}), in t "
            "on every site"
        )
    potential = torch.as_tensor(given).detach().to(device=device, dtype=dtype)
    if not potential.numel():
        return potential
    low, high = (float(bound) for bound in torch.aminmax(potential))
    if not (math.isfinite(low) and math.isfinite(high)):
        raise NotFiniteError("the potential is NaN or infinite on some site; fill it")
    if not (energy_t - 8 < low < energy_t):
        raise ParameterError(
            f"a potential of at least {low:.4g} t leaves no site within the lattice's band at "
            f"{energy_t:g} t; give it in units of t, with a minimum between {energy_t - 8:.4g} and "
            f"{energy_t:.4g}"
        )
    return potential
