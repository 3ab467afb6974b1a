"""A store of samples: what is written is read back, and what is damaged is noticed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from inmateria.data import sample_store
from inmateria.data.sample_files import chunk_file
from inmateria.data.sample_layout import Coordinate, SampleLayout, Variable
from inmateria.data.sample_store import SampleStore, create_or_open_store, open_store
from inmateria.data.store_export import export_store
from inmateria.data.store_merge import merge_stores
from inmateria.data.store_verify import verify_store
from inmateria.errors import (
    ConfigurationError,
    DataFileError,
    DataIntegrityError,
    NotFiniteError,
    ParameterError,
    SchemaVersionError,
    ShapeError,
    StorageError,
)

N, BLOCK = 10, 4


def layout(seed: int = 0) -> SampleLayout:
    """Ten samples in blocks of four, the last one of two."""
    variables = (
        Variable("maps", ("x", "y"), (6, 5), "<f2", "1/t", "maps", scale="maps_scale"),
        Variable("maps_scale", (), (), "<f4", "1/t", "unit of maps"),
        Variable("number", (), (), "<f8", "meV", "a number"),
        Variable("count", ("part",), (2,), "<i4", "1", "counts"),
    )
    x = Coordinate("x_nm", "x", np.arange(6) * 5.0, "nm", "position along x")
    return SampleLayout({"seed": seed, "gas": {"n_x": 6}}, N, BLOCK, variables, (x,))


def block_of(b: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(b)
    n = len(layout().samples(b))
    return {
        "maps": rng.uniform(-1, 1, (n, 6, 5)).astype(np.float16),
        "maps_scale": rng.uniform(1, 2, n).astype(np.float32),
        "number": rng.normal(size=n),
        "count": rng.integers(0, 9, (n, 2)).astype(np.int32),
    }


def filled(path: Path, *blocks: int) -> SampleStore:
    store = create_or_open_store(path, layout())
    for b in blocks:
        store.write_block(b, block_of(b))
    return store


@pytest.fixture
def store(tmp_path: Path) -> SampleStore:
    return filled(tmp_path / "s.zarr", 0, 1, 2)


def test_what_is_written_is_read_back(store: SampleStore) -> None:
    again = open_store(store.path)
    assert again.layout == layout()
    np.testing.assert_array_equal(again.layout.coordinates[0].values, np.arange(6) * 5.0)
    for b in range(3):
        expected = block_of(b)
        for name, values in again.read_block(b).items():
            np.testing.assert_array_equal(values, expected[name])
            assert values.dtype == expected[name].dtype
        product = expected["maps"].astype(np.float32) * expected["maps_scale"][:, None, None]
        np.testing.assert_array_equal(again.values(b, "maps"), product)
    counts = np.concatenate([block["count"] for block in again.samples(["count"])])
    assert counts.shape == (N, 2)


def test_plain_xarray_opens_it(store: SampleStore) -> None:
    with xr.open_zarr(store.path, consolidated=False) as found:
        assert found["maps"].dims == ("sample", "x", "y")
        assert found["number"].attrs["units"] == "meV"
        expected = np.concatenate([block_of(b)["number"] for b in range(3)])
        np.testing.assert_array_equal(found["number"].values, expected)


def test_blocks_are_done_when_their_digests_are_there(tmp_path: Path) -> None:
    store = filled(tmp_path / "s.zarr", 2, 0)
    assert (store.done_blocks(), store.missing_blocks()) == ([0, 2], [1])
    with pytest.raises(DataFileError, match="block 1 is not computed"):
        store.read_block(1)
    # Arrays without digests are not a block.
    shutil.copy(store.path / "number" / "c.0", store.path / "number" / "c.1")
    assert store.missing_blocks() == [1]
    found = verify_store(store.path)
    assert found.missing == (1,)
    assert found.damaged == ()
    assert not found.is_whole


def test_a_flipped_bit_anywhere_is_noticed(store: SampleStore, tmp_path: Path) -> None:
    """Every file of every block, bits spread over it: by reading, and by verify."""
    assert verify_store(store.path).is_whole
    rng = np.random.default_rng(3)
    for name in ("maps", "maps_scale", "number", "count", "done"):
        for b in range(3):
            dims = 3 if name in ("maps", "done") else 2 if name == "count" else 1
            file = chunk_file(store.path, name, b, dims)
            whole = file.read_bytes()
            places = rng.choice(len(whole) * 8, size=min(12, len(whole) * 8), replace=False)
            for at in places:
                damaged = bytearray(whole)
                damaged[at // 8] ^= 1 << (at % 8)
                file.write_bytes(damaged)
                with pytest.raises(DataIntegrityError, match=f"block {b} of {name} is damaged"):
                    open_store(store.path).read_block(b)
            found = verify_store(store.path)
            assert {block for block, _ in found.damaged} == {b}
            file.write_bytes(whole)
    assert verify_store(store.path).is_whole


@pytest.mark.parametrize("name", ["maps", "maps_scale", "number", "count"])
def test_lost_cut_and_exchanged_files_are_noticed(store: SampleStore, name: str) -> None:
    dims = {"maps": 3, "count": 2}.get(name, 1)
    first, second = (chunk_file(store.path, name, b, dims) for b in (0, 1))
    kept = first.read_bytes(), second.read_bytes()
    # Right in themselves, but of another block.
    first.write_bytes(kept[1])
    with pytest.raises(DataIntegrityError, match=f"block 0 of {name}"):
        store.read_block(0)
    first.write_bytes(kept[0][:-3])
    with pytest.raises(DataIntegrityError, match=f"block 0 of {name}"):
        store.read_block(0)
    first.unlink()
    with pytest.raises(DataIntegrityError, match=f"block 0 of {name}"):
        store.read_block(0)
    assert store.read_block(1)


def test_whole_blocks_that_are_exchanged_are_noticed(store: SampleStore) -> None:
    """With their digests: each is right in itself, and stands in the wrong place."""
    for file in store.path.glob("*/c.0*"):
        if file.parent.name != "x_nm":
            other = file.with_name(file.name.replace("c.0", "c.1", 1))
            kept = file.read_bytes()
            file.write_bytes(other.read_bytes())
            other.write_bytes(kept)
    assert {block for block, _ in verify_store(store.path).damaged} == {0, 1}


def test_damaged_blocks_are_removed_and_made_again(store: SampleStore) -> None:
    # The last block is shorter than its chunk: writing it must not read what is damaged.
    for b in (1, 2):
        file = chunk_file(store.path, "maps", b, 3)
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    found = verify_store(store.path, repair=True)
    assert [block for block, _ in found.damaged] == [1, 2]
    assert open_store(store.path).missing_blocks() == [1, 2]
    # Nothing of them is left, so that writing has nothing damaged to read.
    assert len(list(store.path.glob("*/c.*"))) == 5 + 1
    filled(store.path, 1, 2)
    assert verify_store(store.path).is_whole


def test_a_damaged_description_is_noticed(store: SampleStore) -> None:
    for file in store.path.glob("**/zarr.json"):
        whole = file.read_text()
        for old, new in (('"sample"', '"samplf"'), ("64", "32"), ('"units"', '"unitz"')):
            if old not in whole:
                continue
            file.write_text(whole.replace(old, new, 1))
            with pytest.raises(DataFileError):
                open_store(store.path).read_block(0)
        file.write_text(whole)
    file = store.path / "x_nm" / "c.0"
    file.write_bytes(bytes([file.read_bytes()[0] ^ 1]) + file.read_bytes()[1:])
    with pytest.raises(DataIntegrityError, match="x_nm"):
        open_store(store.path)


def test_what_is_no_store_is_refused(store: SampleStore, tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="not a set of samples"):
        open_store(tmp_path / "nothing")
    file = store.path / "zarr.json"
    fields = json.loads(file.read_text())
    fields["attributes"]["schema_version"] = 2
    file.write_text(json.dumps(fields))
    with pytest.raises(SchemaVersionError, match="version 2 and inmateria reads up to 1"):
        open_store(store.path)
    file.write_text(json.dumps({"attributes": {"schema": "other", "schema_version": 1}}))
    with pytest.raises(DataFileError, match="schema 'other'"):
        open_store(store.path)


def test_another_configuration_is_refused(store: SampleStore) -> None:
    with pytest.raises(ConfigurationError, match=r"other settings \(seed = 0 there, 1 here\)"):
        create_or_open_store(store.path, layout(seed=1))


def test_wrong_blocks_are_refused(store: SampleStore) -> None:
    good = block_of(0)
    before = store.read_block(0)
    with pytest.raises(ParameterError, match="block 3 of a set of 3"):
        store.write_block(3, good)
    with pytest.raises(ParameterError, match="give count, maps"):
        store.write_block(0, {"maps": good["maps"]})
    with pytest.raises(ShapeError, match=r"number of block 0 has shape \(3,\); give \(4,\)"):
        store.write_block(0, good | {"number": good["number"][:3]})
    for name in ("number", "maps"):
        wrong = good[name].copy()
        wrong[2] = np.nan
        with pytest.raises(NotFiniteError, match=f"{name} of sample 2 is NaN"):
            store.write_block(0, good | {name: wrong})
    with pytest.raises(ParameterError, match="does not hold 'other'"):
        store.read_block(0, ["other"])
    np.testing.assert_array_equal(store.read_block(0)["number"], before["number"])


@pytest.mark.parametrize("fails_at", [1, 2, 3, 4, 5])
def test_a_full_disk_leaves_all_blocks_valid(
    store: SampleStore, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    """The disk is full at the first, second, ... file of a block; the fifth is its digests."""
    from zarr.storage import _local

    store.forget_block(1)
    real, count = _local._put, 0

    def put(path: Path, value: object, **rest: object) -> int:
        nonlocal count
        count += 1
        if count == fails_at:
            raise OSError(28, "No space left on device")
        return real(path, value, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(_local, "_put", put)
    with pytest.raises(StorageError, match="No space left on device; all blocks that were"):
        store.write_block(1, block_of(1))
    monkeypatch.undo()
    found = verify_store(store.path)
    assert (found.missing, found.damaged) == ((1,), ())
    filled(store.path, 1)
    assert verify_store(store.path).is_whole


def test_arrays_are_on_the_disk_before_their_digests(
    store: SampleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between any two writes leaves a block that does not count, or a whole one."""
    from zarr.storage import _local

    store.forget_block(1)
    real, order = _local._put, []

    def put(path: Path, value: object, **rest: object) -> int:
        order.append(path.parent.name)
        return real(path, value, **rest)  # type: ignore[arg-type]

    flushed: list[str] = []
    flush = sample_store._to_disk

    def to_disk(files: list[Path]) -> None:
        assert all(file.exists() for file in files)
        flushed.extend(file.parent.name for file in files)
        assert "done" not in order or order[-1] == "done"
        flush(files)

    monkeypatch.setattr(_local, "_put", put)
    monkeypatch.setattr(sample_store, "_to_disk", to_disk)
    store.write_block(1, block_of(1))
    assert order == ["maps", "maps_scale", "number", "count", "done"]
    assert flushed == order


def test_torn_files_are_removed(store: SampleStore) -> None:
    for name in ("maps", "done"):
        (store.path / name / "c.0.0.abc.partial").write_bytes(b"x")
    store.remove_torn_files()
    assert not list(store.path.glob("*/*.partial"))
    assert verify_store(store.path).is_whole


def test_merge(tmp_path: Path) -> None:
    first, second = filled(tmp_path / "a.zarr", 0, 1), filled(tmp_path / "b.zarr", 1, 2)
    out = merge_stores([first.path, second.path], tmp_path / "all.zarr")
    assert verify_store(out).is_whole
    whole = filled(tmp_path / "whole.zarr", 0, 1, 2)
    for file in whole.path.glob("*/c.*"):
        merged = out / file.relative_to(whole.path)
        assert merged.read_bytes() == file.read_bytes()

    other = create_or_open_store(tmp_path / "c.zarr", layout(seed=1))
    with pytest.raises(ConfigurationError, match=r"another set .*seed = 0 there, 1 here"):
        merge_stores([first.path, other.path], tmp_path / "no.zarr")
    different = create_or_open_store(tmp_path / "d.zarr", layout())
    different.write_block(1, block_of(1) | {"number": np.zeros(4)})
    with pytest.raises(DataIntegrityError, match=r"block 1 of .*d\.zarr is not what"):
        merge_stores([first.path, different.path], tmp_path / "no.zarr")
    file = chunk_file(first.path, "count", 0, 2)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(DataIntegrityError, match="block 0 of count"):
        merge_stores([first.path], tmp_path / "damaged.zarr")


def test_export(store: SampleStore, tmp_path: Path) -> None:
    out = export_store(store.path, tmp_path / "out.nc")
    with xr.open_dataset(out, engine="h5netcdf") as found:
        assert set(found.data_vars) == {"maps", "number", "count"}
        assert found["maps"].attrs["units"] == "1/t"
        assert json.loads(found.attrs["configuration"]) == layout().configuration
        np.testing.assert_array_equal(found["x_nm"].values, np.arange(6) * 5.0)
        assert "x_nm" in found["maps"].coords
        for b in range(3):
            rows = slice(b * BLOCK, (b + 1) * BLOCK)
            np.testing.assert_array_equal(found["maps"].values[rows], store.values(b, "maps"))
            np.testing.assert_array_equal(found["count"].values[rows], block_of(b)["count"])


def test_export_of_a_part(store: SampleStore, tmp_path: Path) -> None:
    store.forget_block(1)
    out = tmp_path / "out.nc"
    with pytest.raises(DataFileError, match="lacks 1 of 3 blocks"):
        export_store(store.path, out)
    export_store(store.path, out, partial=True)
    with xr.open_dataset(out, engine="h5netcdf") as found:
        assert found["sample"].values.tolist() == [0, 1, 2, 3, 8, 9]
        np.testing.assert_array_equal(found["number"].values[4:], block_of(2)["number"])
    kept = out.read_bytes()
    file = chunk_file(store.path, "maps", 2, 3)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(DataIntegrityError, match="block 2 of maps"):
        export_store(store.path, out, partial=True)
    assert out.read_bytes() == kept
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.nc", "s.zarr"]
