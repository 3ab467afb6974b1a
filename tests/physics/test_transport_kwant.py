"""PLDOS, r and t against Kwant's, sample by sample and phase by phase.

Without Kwant these skip and say how to get it (`docs/kwant.md`).
"""

from __future__ import annotations

import numpy as np
import pytest

from inmateria import RemoteDopants
from inmateria.transport.gas import ElectronGas, Lead
from tests.transport.kwant_answers import kwant_phases, kwant_scattering


def agree(gas: ElectronGas, n_samples: int, seed: int, tolerance: float) -> None:
    """Everything of both leads' modes, to a tolerance of the largest value that it may have."""
    potential = RemoteDopants().sample_many(gas, n_samples, seed=seed).potential
    energy = gas.fermi_mev / gas.hopping_mev
    answer = kwant_scattering(gas, potential / gas.hopping_mev, energy)
    phases = kwant_phases(gas, answer, energy)
    for lead, other, side, ending in (
        ("source", "drain", "left", ""),
        ("drain", "source", "right", "_right"),
    ):
        found = gas.scatter(potential, accuracy=tolerance / 10, lead=lead)
        pldos = answer[f"pldos_{side}"][:, 0]
        assert np.abs(found.pldos - pldos).max() < tolerance * pldos.max()
        c, beyond = phases[lead], phases[other]
        r = c[:, None] * found.r * c
        np.testing.assert_allclose(r, answer[f"r{ending}"][:, 0], atol=tolerance)
        t = beyond[:, None] * found.t * c
        np.testing.assert_allclose(t, answer[f"t{ending}"][:, 0], atol=tolerance)
        # The phases are no free fit: without them the matrices differ.
        assert np.abs(found.t - answer[f"t{ending}"][:, 0]).max() > 0.01


@pytest.mark.parametrize("drain", [Lead(0, 48), Lead(9, 30)])
def test_every_phase_agrees_with_kwant(drain: Lead) -> None:
    """Dopants over 300 nm x 240 nm; rounding of either solver is 1e-12 or so."""
    gas = ElectronGas(n_x=60, n_y=48, source=Lead(14, 20), drain=drain)
    agree(gas, n_samples=4, seed=21, tolerance=1e-7)


def test_every_phase_agrees_at_another_energy_from_a_source_as_wide_as_the_sample() -> None:
    gas = ElectronGas(n_x=60, n_y=48, fermi_mev=11.0, source=Lead(0, 48), drain=Lead(30, 18))
    agree(gas, n_samples=2, seed=5, tolerance=1e-7)


@pytest.mark.slow
def test_every_phase_agrees_in_the_geometry_of_the_paper() -> None:
    agree(ElectronGas(), n_samples=1, seed=3, tolerance=1e-7)
