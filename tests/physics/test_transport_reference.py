"""The solver against thirty samples that Kwant computed in the paper's geometry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inmateria.transport.gas import ElectronGas


@pytest.mark.parametrize("sample", [0, 3, 20, 21])
def test_all_modes_agree_with_kwant(reference: Path, sample: int) -> None:
    with np.load(reference / "transport_pldos.npz") as file:
        # The potential is stored in units of the reference's t, which has fewer digits.
        gas = ElectronGas().with_fermi(float(file["ef_t"]) * ElectronGas().hopping_mev)
        found = gas.scatter(file["potential_t"][sample] * gas.hopping_mev, accuracy=1e-9)
        pldos = file["pldos"][sample].astype(float)
        r, t = file["r_matrix"][sample], file["t_matrix"][sample]
        transmission = file["transmission"][sample]
    # The reference keeps PLDOS in single precision: half a unit in the last place is 6e-8.
    assert np.abs(found.pldos - pldos).max() < 1e-7 * pldos.max()
    assert abs(found.transmission - transmission) < 1e-7
    # Kwant's mode functions have phases of their own: r -> D r D and t -> D' t D.
    assert np.abs(np.abs(found.r) - np.abs(r)).max() < 1e-7
    assert np.abs(np.abs(found.t) - np.abs(t)).max() < 1e-7
    ours = found.r[0, 1] ** 2 / (found.r[0, 0] * found.r[1, 1])
    assert abs(ours - r[0, 1] ** 2 / (r[0, 0] * r[1, 1])) < 1e-6
    product = found.t.conj().T @ found.t
    assert np.abs(np.abs(product) - np.abs(t.conj().T @ t)).max() < 1e-7


@pytest.mark.parametrize("accuracy", [1e-3, 1e-4, 1e-6])
def test_the_asked_accuracy_is_kept(reference: Path, accuracy: float) -> None:
    """For every third of the samples, by their own estimates."""
    with np.load(reference / "transport_pldos.npz") as file:
        gas = ElectronGas().with_fermi(float(file["ef_t"]) * ElectronGas().hopping_mev)
        found = gas.scatter(file["potential_t"][::3] * gas.hopping_mev, accuracy=accuracy)
        pldos = file["pldos"][::3].astype(float)
    error = np.abs(found.pldos - pldos).max(axis=(1, 2)) / pldos.max(axis=(1, 2))
    assert (found.error <= accuracy).all()
    # The reference's own rounding comes on top.
    assert (error < found.error + 6e-8).all()
