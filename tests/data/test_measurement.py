"""A measurement file gives back what was written, to plain xarray as well, or says why not."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from inmateria.data import netcdf
from inmateria.data.measurement import open_measurement, verify_digests, write_measurement
from inmateria.data.netcdf import MeasurementWriter
from inmateria.data.schema import measurement, outputs_of, rows, terminals_of
from inmateria.devices.device import Terminal
from inmateria.errors import DataFileError, DataIntegrityError, ShapeError, StorageError

TERMINALS = (Terminal("e1", -1.2, 0.6), Terminal("e2", -0.7, 0.3), Terminal("e3"))


def example(n: int = 40) -> xr.Dataset:
    rng = np.random.default_rng(3)
    return measurement(
        rng.uniform(-0.5, 0.3, (n, 3)),
        rng.normal(0, 20, (n, 2)),
        terminals=TERMINALS,
        outputs=("out", "second"),
        rate_hz=1e4,
        fidelity="simulation",
        segment=np.arange(n) // 10,
        clipped=np.arange(n) == 7,
        device={"kind": "test", "seed": 4},
        seed=11,
        parents=[{"path": "a.nc", "sha256": "ab" * 32}],
    )


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    dataset = example()
    path = write_measurement(tmp_path / "folder" / "m.nc", dataset)
    xr.testing.assert_identical(open_measurement(path), dataset)
    assert [p.name for p in path.parent.iterdir()] == ["m.nc"]
    assert terminals_of(dataset) == TERMINALS
    assert outputs_of(dataset) == ("out", "second")


def test_plain_xarray_opens_it_and_labels_its_plots(tmp_path: Path) -> None:
    dataset = example()
    path = write_measurement(tmp_path / "m.nc", dataset)
    with xr.open_dataset(path, engine="h5netcdf") as plain:
        assert plain.sizes == {"sample": 40, "terminal": 3, "output": 2}
        np.testing.assert_array_equal(plain["current"], dataset["current"])
        assert plain["voltage"].attrs["units"] == "V"
        assert plain["current"].attrs["units"] == "nA"
        assert set(plain.coords) == {"terminal", "output", "low_v", "high_v"}
        assert float(plain["voltage"].sel(terminal="e2").high_v) == 0.3
        assert json.loads(plain.attrs["device"]) == {"kind": "test", "seed": 4}
        assert plain.attrs["rate_hz"] == 1e4
        assert plain.attrs["seed"] == 11


def test_the_digest_is_that_of_the_bytes_as_documented(tmp_path: Path) -> None:
    path = write_measurement(tmp_path / "m.nc", example())
    with xr.open_dataset(path, engine="h5netcdf") as plain:
        for name, dtype in (("voltage", "<f8"), ("current", "<f8"), ("segment", "<i4")):
            expected = hashlib.sha256(plain[name].values.astype(dtype).tobytes()).hexdigest()
            assert plain[name].attrs["sha256"] == expected


def test_the_same_measurement_gives_the_same_bytes(tmp_path: Path) -> None:
    dataset = example()
    first = write_measurement(tmp_path / "a.nc", dataset).read_bytes()
    assert write_measurement(tmp_path / "b.nc", dataset).read_bytes() == first


def test_blocks_give_the_same_file_as_one_piece(tmp_path: Path) -> None:
    dataset = example()
    whole = write_measurement(tmp_path / "whole.nc", dataset)
    attrs = {k: v for k, v in dataset.attrs.items() if k != "attributes_sha256"}
    with MeasurementWriter(
        tmp_path / "blocks.nc",
        n_rows=40,
        terminals=TERMINALS,
        outputs=("out", "second"),
        attrs=attrs,
    ) as writer:
        for first, last in ((0, 1), (1, 33), (33, 40)):
            part = dataset.isel(sample=slice(first, last))
            writer.append(
                rows(
                    part["voltage"].values,
                    part["current"].values,
                    segment=part["segment"].values,
                    clipped=part["clipped"].values,
                )
            )
    xr.testing.assert_identical(open_measurement(tmp_path / "blocks.nc"), open_measurement(whole))


def test_an_empty_measurement_is_a_measurement(tmp_path: Path) -> None:
    dataset = example(0)
    xr.testing.assert_identical(
        open_measurement(write_measurement(tmp_path / "m.nc", dataset)), dataset
    )


def test_a_writer_that_is_short_of_rows_leaves_nothing(tmp_path: Path) -> None:
    attrs = {"schema": "inmateria.measurement", "schema_version": 1}
    with (
        pytest.raises(ShapeError, match="0 rows written of 5"),
        MeasurementWriter(
            tmp_path / "m.nc", n_rows=5, terminals=TERMINALS, outputs=("out",), attrs=attrs
        ),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_exception_leaves_the_old_file(tmp_path: Path) -> None:
    dataset = example()
    path = write_measurement(tmp_path / "m.nc", dataset)
    before = path.read_bytes()
    attrs = dict(dataset.attrs)
    with (
        pytest.raises(KeyError),
        MeasurementWriter(path, n_rows=5, terminals=TERMINALS, outputs=("out",), attrs=attrs),
    ):
        raise KeyError("stop")
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m.nc"]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="does not exist; check the path"):
        open_measurement(tmp_path / "none.nc")
    with pytest.raises(DataFileError, match="check the path"):
        open_measurement(tmp_path)


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    other = tmp_path / "other.nc"
    other.write_bytes(b"not a netCDF file at all")
    with pytest.raises(DataFileError, match="not a netCDF4 file"):
        open_measurement(other)
    xr.Dataset({"x": ("t", [1.0, 2.0])}).to_netcdf(other, engine="h5netcdf")
    with pytest.raises(DataFileError, match="holds schema None"):
        open_measurement(other)


def test_edited_attributes_are_noticed_and_can_be_allowed(tmp_path: Path) -> None:
    dataset = example()
    dataset.attrs["rate_hz"] = 2e4
    with pytest.raises(DataIntegrityError, match="attributes fail their SHA-256"):
        verify_digests(dataset)
    dataset.to_netcdf(tmp_path / "edited.nc", engine="h5netcdf")
    with pytest.raises(DataIntegrityError, match="verify=False"):
        open_measurement(tmp_path / "edited.nc")
    assert open_measurement(tmp_path / "edited.nc", verify=False).attrs["rate_hz"] == 2e4


def test_an_edited_array_is_noticed() -> None:
    dataset = example()
    dataset["current"].values[3, 1] += 1e-12
    with pytest.raises(DataIntegrityError, match="variable current fails"):
        verify_digests(dataset)


def test_writing_again_renews_the_digests(tmp_path: Path) -> None:
    dataset = example()
    dataset["current"].values[3, 1] += 1.0
    path = write_measurement(tmp_path / "m.nc", dataset)
    assert float(open_measurement(path)["current"][3, 1]) == float(dataset["current"][3, 1])


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="choose another folder"):
        write_measurement(tmp_path / "file" / "m.nc", example())


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk: writes fail in the same place."""
    path = write_measurement(tmp_path / "m.nc", example())
    before = path.read_bytes()
    script = f"""
        import resource, signal, sys
        import numpy as np
        from inmateria.data.measurement import write_measurement
        from inmateria.data.schema import measurement
        from inmateria.devices.device import Terminal
        from inmateria.errors import StorageError
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        dataset = measurement(
            np.zeros((50_000, 1)), np.ones((50_000, 1)), terminals=[Terminal("e1")],
            outputs=["out"], rate_hz=1e4, fidelity="simulation",
        )
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            write_measurement({str(path)!r}, dataset)
        except StorageError as error:
            print(error)
            sys.exit(7)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 7, done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert "File too large" in done.stdout
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m.nc"]


@pytest.mark.parametrize("room", [0, 500, 3000, 6000])
def test_writes_that_fail_where_truncation_does_not(
    room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk lets a file grow (it becomes sparse) and refuses its bytes."""

    class Full:
        def __init__(self, raw: Any) -> None:
            self.raw, self.room = raw, room

        def write(self, data: memoryview) -> int:
            if self.room < len(data):
                raise OSError(28, "No space left on device")
            self.room -= len(data)
            return int(self.raw.write(data))

        def __getattr__(self, name: str) -> Any:
            return getattr(self.raw, name)

    class FullSink(netcdf.Sink):
        def __init__(self, path: Path) -> None:
            super().__init__(path)
            self._raw = Full(self._raw)  # type: ignore[assignment]

    path = write_measurement(tmp_path / "m.nc", example(500))
    before = path.read_bytes()
    monkeypatch.setattr(netcdf, "Sink", FullSink)
    with pytest.raises(StorageError, match="No space left on device; nothing was replaced"):
        write_measurement(path, example(500))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m.nc"]
