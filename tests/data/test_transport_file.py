"""Files of a transport sample: what is written is read, and what is damaged is named."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from inmateria.data.transport_file import is_transport_file, open_transport, write_transport
from inmateria.errors import DataFileError, DataIntegrityError, SchemaVersionError, ShapeError

VALUES = {
    "x": 5.0 * np.arange(4),
    "y": 5.0 * np.arange(3),
    "potential": np.arange(12.0).reshape(4, 3) - 6,
    "modes": 64,
    "transmission": 2.5,
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_transport(tmp_path / "t.nc", VALUES, {"seed": 3, "software": "inmateria"})


def test_what_is_written_is_read(file: Path) -> None:
    found = open_transport(file)
    for name, value in VALUES.items():
        np.testing.assert_array_equal(found[name], value)
    assert found["potential"].dims == ("x", "y")
    assert set(found.coords) == {"x", "y"}
    assert found["modes"].dtype == np.int64
    assert found.attrs["seed"] == 3
    assert is_transport_file(file)


def test_every_flipped_byte_of_an_array_is_found(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    start = whole.index(np.asarray(VALUES["potential"]).tobytes())
    for offset in (0, 17, 95):
        damaged = bytearray(whole)
        damaged[start + offset] ^= 1
        bad = tmp_path / "bad.nc"
        bad.write_bytes(damaged)
        with pytest.raises(DataIntegrityError, match="potential fails its SHA-256"):
            open_transport(bad)


def test_edited_units_and_attributes_are_found(file: Path) -> None:
    with h5py.File(file, "r+") as opened:
        opened.attrs["seed"] = 4
    with pytest.raises(DataIntegrityError, match="attributes"):
        open_transport(file)
    with h5py.File(file, "r+") as opened:
        opened["potential"].attrs["units"] = "eV"
    with pytest.raises(DataIntegrityError, match="potential is in 'eV', not 'meV'"):
        open_transport(file)


def test_truncated_other_and_newer_files(file: Path, tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"none\.nc does not exist"):
        open_transport(tmp_path / "none.nc")
    half = tmp_path / "half.nc"
    half.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(DataFileError, match=r"half\.nc is damaged"):
        open_transport(half)
    assert not is_transport_file(half)
    with h5py.File(file, "r+") as opened:
        opened.attrs["schema_version"] = 2
    with pytest.raises(SchemaVersionError, match="version 2"):
        open_transport(file)
    with h5py.File(file, "r+") as opened:
        opened.attrs["schema"] = "inmateria.measurement"
    with pytest.raises(DataFileError, match=r"inmateria\.measurement"):
        open_transport(file)
    assert not is_transport_file(file)


def test_arrays_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    for wrong in ({"x": np.arange(5.0)}, {"transmission": [1.0]}):
        with pytest.raises(ShapeError):
            write_transport(tmp_path / "t.nc", VALUES | wrong, {})
    assert list(tmp_path.iterdir()) == []
