"""Scattering in a perpendicular magnetic field, one field or several in a call.

The recursion is complex then (`torch_sweep`), and dropped modes are not brought back:
their number is raised until 16 more change nothing that is asked for, on a share of the
samples at every field. Flux conservation would not see truncation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from inmateria.errors import ParameterError
from inmateria.transport.field import flux_per_plaquette
from inmateria.transport.geometry import GasGeometry
from inmateria.transport.mode_counts import STEP, choose_modes, whole_pairs
from inmateria.transport.samples import LeadName
from inmateria.transport.torch_sweep import States, sweep_states

# Every so many samples are solved with more modes as well.
SHARE = 16
MORE = 2 * STEP
# Fields up to which single precision leaves less than 3e-4 of the maximum PLDOS.
SINGLE_T = 0.5


@dataclass(frozen=True)
class FieldScattering:
    """Electrons from one lead at several magnetic fields; n_f of them, along the first axis.

    Attributes
    ----------
    field_t : (n_f,) array
    pldos : (n_f, ..., n_x, n_y) array
        2 pi sum_n |psi_n|^2, in 1/t per site.
    r : (n_f, ..., n_lead, n_lead) complex array
    t : (n_f, ..., n_other, n_lead) complex array
    error : (n_f,) array
        Change of the PLDOS, relative to its maximum, by the last 16 modes, or by 16 more where
        their number was given: the largest of the samples that were checked. 0 with all modes.
    modes : (n_f,) integer array
        Transverse modes kept.
    """

    field_t: NDArray[np.float64]
    pldos: NDArray[np.float64]
    r: NDArray[np.complex128]
    t: NDArray[np.complex128]
    error: NDArray[np.float64]
    modes: NDArray[np.int64]

    @property
    def transmission(self) -> NDArray[np.float64]:
        """sum |t|^2, (n_f, ...)."""
        return np.asarray((np.abs(self.t) ** 2).sum(axis=(-2, -1)))


def scatter_in_field(
    gas: GasGeometry,
    potential_mev: ArrayLike,
    field_t: ArrayLike,
    *,
    accuracy: float = 1e-3,
    modes: int | None = None,
    lead: LeadName = "source",
    device: str = "cpu",
) -> FieldScattering:
    """Scattering states of a lead with a field in the sample; the leads are free of it.

    Parameters
    ----------
    gas : GasGeometry
    potential_mev : (..., n_x, n_y) array, meV
    field_t : (n_f,) array or float, tesla
        Along +z: positive bends electrons from the source towards larger rows.
    accuracy : float
        Largest change of the PLDOS relative to its maximum that 16 more modes may make.
    modes : int, optional
        To keep, in place of a number that goes with `accuracy`; `gas.n_y` for all.
    lead : ``"source"`` or ``"drain"``
    device : str
        Of PyTorch. Single precision is used on a graphics card up to 0.5 T at an accuracy
        of 1e-3 or less, double precision otherwise.

    Raises
    ------
    ShapeError, NotFiniteError, ParameterError, DeviceMemoryError, ConvergenceError
    """
    if not 1e-13 <= accuracy <= 0.1:
        raise ParameterError(f"accuracy = {accuracy}: give a number between 1e-13 and 0.1")
    fields = np.atleast_1d(np.asarray(field_t, dtype=np.float64))
    if fields.ndim != 1 or not fields.size:
        raise ParameterError(f"field_t of shape {fields.shape}: give a field or a list of them, T")
    potential = gas.in_hoppings(potential_mev)
    batch = potential.reshape(-1, *gas.shape)
    energy = gas.fermi_mev / gas.hopping_mev
    lowest = float(batch.min()) if batch.size else 0.0

    def solve(samples: NDArray[np.float64], field: float, n: int) -> States:
        single = device != "cpu" and accuracy >= 1e-3 and abs(field) <= SINGLE_T
        return sweep_states(
            gas,
            samples,
            energy_t=energy,
            flux=flux_per_plaquette(gas, field),
            modes=n,
            lead=lead,
            dtype=torch.complex64 if single else torch.complex128,
            device=device,
        )

    found, errors, numbers = [], np.zeros(fields.size), np.zeros(fields.size, dtype=np.int64)
    share = batch[::SHARE]
    for i, field in enumerate(fields):
        wanted = choose_modes(gas.n_y, energy, lowest, accuracy) if modes is None else modes
        number = whole_pairs(gas, wanted)
        before = None if modes is not None else solve(share, field, number).pldos
        while before is not None and number < gas.n_y:
            number = min(number + MORE, gas.n_y)
            now = solve(share, field, number).pldos
            change = (now - before).abs().amax((-2, -1)) / now.amax((-2, -1))
            errors[i], before = float(change.max()), now
            if errors[i] <= accuracy:
                break
        if number == gas.n_y:
            errors[i] = 0.0
        elif modes is not None:
            more = solve(share, field, min(number + MORE, gas.n_y)).pldos
            same = solve(share, field, number).pldos
            errors[i] = float(((more - same).abs().amax((-2, -1)) / more.amax((-2, -1))).max())
        numbers[i] = number
        found.append(solve(batch, field, number))
    leading = (fields.size, *potential.shape[:-2])

    def stack(name: str) -> NDArray[np.complex128]:
        parts = np.stack([getattr(states, name).cpu().numpy() for states in found])
        return parts.reshape(*leading, *parts.shape[2:])

    return FieldScattering(
        fields, stack("pldos").astype(np.float64), stack("r"), stack("t"), errors, numbers
    )
