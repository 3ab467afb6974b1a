"""Several fields in one call, with as many modes as the accuracy needs."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.errors import ParameterError
from inmateria.transport.gas import ElectronGas, Lead
from inmateria.transport.in_field import scatter_in_field

GAS = ElectronGas(n_x=24, n_y=48, fermi_mev=7.0, source=Lead(15, 16), drain=Lead(0, 48))


def potential() -> np.ndarray:
    x, y = np.meshgrid(np.arange(GAS.n_x), np.arange(GAS.n_y), indexing="ij")
    return 1.2 * np.sin(x / 5 + 0.3) * np.cos(y / 7)


def test_without_a_field_it_is_the_real_solver() -> None:
    batch = np.stack([potential(), -potential()])
    found = scatter_in_field(GAS, batch, 0.0, modes=GAS.n_y)
    plain = GAS.scatter(batch, accuracy=1e-11)
    assert found.pldos.shape == (1, 2, *GAS.shape)
    np.testing.assert_allclose(found.pldos[0], plain.pldos, atol=1e-10 * plain.pldos.max())
    np.testing.assert_allclose(found.t[0], plain.t, atol=1e-10)
    assert found.error[0] == 0


def test_onsager_and_accuracy() -> None:
    found = scatter_in_field(GAS, potential(), [-2.0, 0.0, 2.0], accuracy=1e-3)
    exact = scatter_in_field(GAS, potential(), [-2.0, 0.0, 2.0], modes=GAS.n_y)
    # Two terminals: T(B) = T(-B), with the states themselves quite different.
    assert found.transmission[0] == pytest.approx(found.transmission[2], abs=1e-9)
    assert np.abs(exact.pldos[0] - exact.pldos[2]).max() > 0.1 * exact.pldos.max()
    change = np.abs(found.pldos - exact.pldos).max(axis=(1, 2)) / exact.pldos.max(axis=(1, 2))
    assert (found.error <= 1e-3).all()
    assert (change <= 1e-3).all()
    assert (found.modes < GAS.n_y).all()


def test_a_given_number_of_modes_has_its_error() -> None:
    few = scatter_in_field(GAS, potential(), 1.0, modes=20)
    assert few.modes[0] == 20
    assert few.error[0] > 1e-4


def test_bad_input() -> None:
    with pytest.raises(ParameterError, match="flux quanta"):
        scatter_in_field(GAS, potential(), 1e4)
    with pytest.raises(ParameterError, match="accuracy = 2"):
        scatter_in_field(GAS, potential(), 1.0, accuracy=2)
    with pytest.raises(ParameterError, match="a field or a list"):
        scatter_in_field(GAS, potential(), [])
    with pytest.raises(ParameterError, match="cannot be used"):
        scatter_in_field(GAS, potential(), 1.0, device="nonsense")
