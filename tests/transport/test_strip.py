"""Strip modes against an independent diagonalisation and the self-energy's own equation."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.errors import ParameterError
from inmateria.transport.strip import strip_modes, thresholds, transverse_modes


def test_modes_diagonalise_the_strip() -> None:
    n = 7
    hamiltonian = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    chi = transverse_modes(n)
    # Rounding of a 7 x 7 product of numbers of order one.
    np.testing.assert_allclose(chi.T @ chi, np.eye(n), atol=1e-14)
    np.testing.assert_allclose(chi.T @ hamiltonian @ chi, np.diag(thresholds(n)), atol=1e-14)


@pytest.mark.parametrize("n", [3, 7, 8])
def test_modes_diagonalise_the_ring(n: int) -> None:
    """Lowest first, by an independent diagonalisation."""
    hop = np.roll(np.eye(n), 1, axis=0)
    hamiltonian = 2 * np.eye(n) - hop - hop.T
    chi, opens = transverse_modes(n, walls="periodic"), thresholds(n, walls="periodic")
    np.testing.assert_allclose(chi.T @ chi, np.eye(n), atol=2e-14)
    np.testing.assert_allclose(chi.T @ hamiltonian @ chi, np.diag(opens), atol=2e-14)
    np.testing.assert_allclose(opens, np.linalg.eigvalsh(hamiltonian), atol=2e-14)
    # Two of an energy are the cosine and the sine of one momentum, exactly equal.
    assert (opens[1 : n - 1 : 2] == opens[2:n:2]).all()


@pytest.mark.parametrize("energy", [0.23, 1.7, 5.0, 7.9])
def test_self_energy_reproduces_itself(energy: float) -> None:
    """Adding one more slice to a half-infinite lead changes nothing: s = 1 / (E - e - s)."""
    modes = strip_modes(9, energy)
    sigma = -modes.phase
    np.testing.assert_allclose(sigma, 1 / (-modes.two_cos_k - sigma), rtol=1e-12)
    # Retarded: open modes carry probability away.
    assert (sigma.imag[modes.open] < 0).all()
    assert (np.abs(sigma[~modes.open]) < 1).all()
    np.testing.assert_allclose(modes.velocity, -2 * sigma.imag[modes.open], rtol=1e-12)


def test_an_energy_on_a_threshold_is_refused() -> None:
    with pytest.raises(ParameterError, match="threshold of mode 2"):
        strip_modes(20, float(thresholds(20)[1]))
