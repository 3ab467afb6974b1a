"""Scanning-gate maps in the default geometry against whole solves with the tip."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.transport.disorder.remote_dopants import RemoteDopants
from inmateria.transport.gas import ElectronGas
from inmateria.transport.tip import Tip

GAS = ElectronGas()


@pytest.mark.slow
@pytest.mark.parametrize("part_of_fermi", [1.5, 0.04, -1.0])
def test_six_exact_positions(part_of_fermi: float) -> None:
    potential = RemoteDopants().sample(GAS, seed=0).potential
    tip = Tip(part_of_fermi * GAS.fermi_mev, 25.0)
    accuracy = 1e-3
    found = GAS.sgm(potential, tip, method="exact", accuracy=accuracy, stride=(15, 13))
    rng = np.random.default_rng(7)
    # The first and the last column of positions, and four others.
    columns = np.array([0, found.x_nm.size - 1, *rng.integers(1, found.x_nm.size - 1, 4)])
    rows = rng.integers(0, found.y_nm.size, 6)
    x, y = np.meshgrid(
        GAS.spacing_nm * np.arange(GAS.n_x), GAS.spacing_nm * np.arange(GAS.n_y), indexing="ij"
    )
    shifted = [
        potential + tip.potential(np.hypot(x - found.x_nm[i], y - found.y_nm[j]))
        for i, j in zip(columns, rows, strict=True)
    ]
    whole = GAS.transmission(np.stack(shifted), accuracy=1e-6)
    assert found.x_nm[-1] == GAS.spacing_nm * (GAS.n_x - 1)
    assert np.abs(found.transmission[columns, rows] - whole).max() < accuracy
    assert found.error < accuracy / 2
    if part_of_fermi == 0.04:
        first = GAS.sgm(potential, tip, stride=(15, 13))
        off = np.sqrt(((first.change - found.change) ** 2).mean())
        assert off < 0.15 * np.sqrt((found.change**2).mean())
