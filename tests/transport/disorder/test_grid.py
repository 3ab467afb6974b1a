"""The lattice, and what passes for a potential on it."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.errors import NotFiniteError, ParameterError, ShapeError
from inmateria.transport.disorder.grid import Grid, Lattice, check_potential
from inmateria.transport.gas import ElectronGas


def test_default_is_the_papers_sample() -> None:
    assert (Grid().n_x, Grid().n_y, Grid().spacing_nm) == (256, 192, 5.0)
    assert isinstance(Grid(), Lattice)
    assert isinstance(ElectronGas(), Lattice)


def test_a_good_potential_passes_unchanged() -> None:
    grid = Grid(6, 4)
    values = np.arange(48, dtype=np.int32).reshape(2, 6, 4)
    found = check_potential(values, grid)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, values)


def test_a_wrong_potential_is_refused() -> None:
    grid = Grid(6, 4)
    with pytest.raises(ShapeError, match=r"shape \(4, 6\).*transpose it"):
        check_potential(np.zeros((4, 6)), grid)
    with pytest.raises(ShapeError, match=r"shape \(5, 4\).*interpolate"):
        check_potential(np.zeros((5, 4)), grid)
    with pytest.raises(ShapeError, match=r"shape \(24,\)"):
        check_potential(np.zeros(24), grid)
    with pytest.raises(ShapeError, match="ragged"):
        check_potential([[1.0, 2.0], [3.0]], grid)
    holed = np.zeros((3, 6, 4))
    holed[1, 2, 3] = np.inf
    holed[2, 0, 0] = np.nan
    with pytest.raises(NotFiniteError, match=r"at \(1, 2, 3\) is inf meV \(2 such of 72\)"):
        check_potential(holed, grid)
    with pytest.raises(NotFiniteError, match="complex128"):
        check_potential(np.zeros((6, 4), dtype=complex), grid)
    with pytest.raises(NotFiniteError, match="<U"):
        check_potential([["a", "b"]], grid)


@pytest.mark.parametrize("wrong", [{"n_x": 0}, {"n_y": 2.5}, {"spacing_nm": -5.0}])
def test_a_lattice_without_sites_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match=f"{next(iter(wrong))} = "):
        Grid(**wrong)  # type: ignore[arg-type]
