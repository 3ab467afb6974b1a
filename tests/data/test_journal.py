"""Journals keep every complete block, tell a torn write from damage, and refuse strangers."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from inmateria.data.blocks import Header, read_journal
from inmateria.data.journal import Journal, journal_path
from inmateria.data.measurement import open_measurement
from inmateria.data.schema import Rows, rows
from inmateria.errors import (
    ConfigurationError,
    DataFileError,
    DataIntegrityError,
    SchemaVersionError,
    ShapeError,
    StorageError,
)


def header(n_rows: int = 30, **changes: object) -> Header:
    identity = {
        "design": {"kind": "test", "seed": 1},
        "device": {"kind": "none"},
        "rig": {},
        "rate_hz": 1e4,
        "fidelity": "simulation",
        "terminals": [["e1", -1.0, 1.0], ["e2", -0.5, 0.5]],
        "outputs": ["out"],
    }
    notes = {"started_utc": "2024-01-01T00:00:00.000Z", "parents": []}
    return Header(identity | changes, notes, n_rows)


def block(first: int, n: int = 10) -> Rows:
    rng = np.random.default_rng(first)
    return rows(
        rng.uniform(-0.5, 0.5, (n, 2)),
        rng.normal(0, 10, (n, 1)),
        segment=np.arange(first, first + n),
        clipped=rng.uniform(size=(n, 1)) > 0.5,
    )


def written(path: Path, n_blocks: int = 3) -> list[int]:
    """A journal of some blocks; the offsets at which header and blocks end."""
    part = journal_path(path)
    with Journal(path, header()) as journal:
        ends = [part.stat().st_size]
        for k in range(n_blocks):
            journal.append(block(10 * k))
            ends.append(part.stat().st_size)
    return ends


def test_blocks_come_back_and_become_a_measurement(tmp_path: Path) -> None:
    path = tmp_path / "m.nc"
    written(path, 2)
    with Journal(path, header()) as journal:
        assert journal.n_rows == 20
        journal.append(block(20))
        journal.finish()
    dataset = open_measurement(path)
    for name in ("voltage", "current", "clipped", "segment"):
        expected = np.concatenate([getattr(block(10 * k), name) for k in range(3)])
        np.testing.assert_array_equal(dataset[name].values, expected)
    assert [p.name for p in tmp_path.iterdir()] == ["m.nc"]


def test_a_torn_tail_of_any_length_is_cut_off(tmp_path: Path) -> None:
    """Every length that a crash can leave gives exactly the complete blocks."""
    path = tmp_path / "m.nc"
    ends = written(path)
    whole = journal_path(path).read_bytes()
    for length in range(ends[0], len(whole)):
        journal_path(path).write_bytes(whole[:length])
        state = read_journal(journal_path(path))
        complete = sum(end <= length for end in ends) - 1
        assert len(state.blocks) == complete
        assert state.n_rows == 10 * complete
        assert state.torn_bytes == length - ends[complete]


def test_a_torn_header_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "m.nc"
    end = written(path)[0]
    whole = journal_path(path).read_bytes()
    for length in (0, 1, 30, end // 2, end - 1):
        journal_path(path).write_bytes(whole[:length])
        with Journal(path, header()) as journal:
            assert journal.n_rows == 0
            journal.append(block(0))
        assert read_journal(journal_path(path)).n_rows == 10


@pytest.mark.parametrize("n_zeros", [1, 40, 5000])
def test_zeros_that_a_power_cut_leaves_are_cut_off(n_zeros: int, tmp_path: Path) -> None:
    path = tmp_path / "m.nc"
    written(path, 2)
    part = journal_path(path)
    part.write_bytes(part.read_bytes() + bytes(n_zeros))
    with Journal(path, header()) as journal:
        assert journal.n_rows == 20
        journal.append(block(20))
        journal.finish()
    assert open_measurement(path).sizes["sample"] == 30


def test_a_flipped_bit_in_an_earlier_block_is_named(tmp_path: Path) -> None:
    """Any byte of the first two of three blocks: an error; of the last: cut off."""
    path = tmp_path / "m.nc"
    ends = written(path)
    part = journal_path(path)
    whole = part.read_bytes()
    for at in range(ends[0], len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << (at % 8)
        part.write_bytes(damaged)
        index = sum(end <= at for end in ends) - 1
        if index == 2:
            assert read_journal(part).n_rows == 20
        else:
            with pytest.raises(DataIntegrityError, match=f"block {index} fails its checksum"):
                read_journal(part)


def test_a_flipped_bit_in_the_header_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "m.nc"
    end = written(path)[0]
    part = journal_path(path)
    whole = part.read_bytes()
    for at in range(end):
        damaged = bytearray(whole)
        damaged[at] ^= 1
        part.write_bytes(damaged)
        with pytest.raises(DataFileError) as caught:
            read_journal(part)
        assert "\n" not in str(caught.value)
        with pytest.raises(DataFileError):
            Journal(path, header())
        assert part.read_bytes() == bytes(damaged)


def test_a_missing_block_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "m.nc"
    ends = written(path)
    part = journal_path(path)
    whole = part.read_bytes()
    part.write_bytes(whole[: ends[1]] + whole[ends[2] :])
    with pytest.raises(DataIntegrityError, match="block 1 is missing"):
        read_journal(part)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"design": {"kind": "test", "seed": 2}}, r"design\.seed was 1 and is 2 now"),
        ({"device": {"kind": "none", "n": 3}}, r"device\.n is new"),
        ({"rate_hz": 5e3}, r"rate_hz was 10000\.0 and is 5000\.0 now"),
        ({"outputs": ["out", "b"]}, r'outputs was \["out"\] and is \["out","b"\] now'),
        ({"rate_hz": 5e3, "fidelity": "measurement"}, r"\(and 1 more\)"),
    ],
)
def test_another_recording_is_refused(
    changes: dict[str, object], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "m.nc"
    written(path)
    before = journal_path(path).read_bytes()
    with pytest.raises(ConfigurationError, match=words):
        Journal(path, header(**changes))
    assert journal_path(path).read_bytes() == before


def test_a_newer_journal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.nc"
    written(path)
    part = journal_path(path)
    part.write_bytes(part.read_bytes().replace(b'"version":1', b'"version":2', 1))
    with pytest.raises(SchemaVersionError, match="update inmateria"):
        read_journal(part)


@pytest.mark.parametrize("content", [b"my notes", b"my notes\n", b"{}\n", b"\xff\xfe\n", b"[1]\n"])
def test_a_file_of_another_kind_is_left_alone(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.nc"
    journal_path(path).write_bytes(content)
    with pytest.raises(DataFileError):
        Journal(path, header())
    assert journal_path(path).read_bytes() == content


def test_two_writers_are_one_too_many(tmp_path: Path) -> None:
    path = tmp_path / "m.nc"
    with Journal(path, header()), pytest.raises(StorageError, match="another process"):
        Journal(path, header())
    Journal(path, header()).close()


def test_rows_beyond_the_plan_and_rows_that_are_missing(tmp_path: Path) -> None:
    with Journal(tmp_path / "m.nc", header(15)) as journal:
        journal.append(block(0))
        with pytest.raises(ShapeError, match="20 rows do not fit a recording of 15"):
            journal.append(block(10))
        with pytest.raises(ShapeError, match="holds 10 rows of 15"):
            journal.finish()


def test_a_crash_between_rename_and_removal_is_harmless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.nc"
    written(path)

    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    with Journal(path, header()) as journal, monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        with pytest.raises(StorageError, match=r"m\.nc is complete"):
            journal.finish()
    assert path.exists()
    with Journal(path, header()) as journal:
        journal.finish()
    assert open_measurement(path).sizes["sample"] == 30
    assert not journal_path(path).exists()


def test_a_disk_that_fails_while_syncing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    path = tmp_path / "m.nc"
    ends = written(path, 1)
    real: Callable[[int], None] = os.fsync

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with Journal(path, header()) as journal:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(StorageError, match="No space left on device; all rows before"):
                journal.append(block(10))
        assert os.fsync is real
        assert journal_path(path).stat().st_size == ends[1]
        journal.append(block(10))
        assert journal.n_rows == 20
    assert read_journal(journal_path(path)).n_rows == 20


def test_a_full_disk_keeps_all_blocks_before(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk: writes stop half-way through a block."""
    path = tmp_path / "m.nc"
    script = f"""
        import resource, signal, sys
        import numpy as np
        from pathlib import Path
        from inmateria.data.blocks import Header
        from inmateria.data.journal import Journal
        from inmateria.data.schema import rows
        from inmateria.errors import StorageError
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        identity = {header().identity!r}
        journal = Journal(Path({str(path)!r}), Header(identity, {header().notes!r}, 10**6))
        block = rows(
            np.zeros((1000, 2)), np.ones((1000, 1)),
            segment=np.zeros(1000), clipped=np.zeros(1000),
        )
        try:
            while True:
                journal.append(block)
        except StorageError as error:
            print(error)
            print(journal.n_rows)
            sys.exit(7)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 7, done.stderr
    message, n_rows = done.stdout.splitlines()
    assert "File too large; all rows before are kept" in message
    # a row takes 2 x 8 + 8 + 1 + 4 = 29 bytes: three blocks of 1,000 fit 100,000 bytes
    assert n_rows == "3000"
    state = read_journal(journal_path(path))
    assert (state.n_rows, state.torn_bytes) == (3000, 0)
