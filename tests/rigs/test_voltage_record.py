"""The record of last known voltages: whatever tears it, one entry is left."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from inmateria.errors import BenchInUseError, DataFileError, ParameterError, StorageError
from inmateria.rigs.voltage_record import VoltageRecord, read_voltage_record

NAMES = ("e1", "e2")


def opened(path, **options):
    return VoltageRecord(path, NAMES, 1000.0, 20.0, capacity_s=0.1, **options)


def test_what_is_written_is_read(tmp_path):
    record = opened(tmp_path / "v")
    assert read_voltage_record(tmp_path / "v").at_rest
    flight = np.random.default_rng(0).normal(size=(2, 70))
    record.about_to_play(np.array([0.1, -0.2]), flight, before=30)
    last = read_voltage_record(tmp_path / "v")
    np.testing.assert_array_equal(last.held, [0.1, -0.2])
    np.testing.assert_array_equal(last.in_flight, flight)
    assert (last.terminals, last.before, last.rate) == (NAMES, 30, 1000.0)
    assert not last.at_rest
    record.holds(np.array([0.5, 0.0]))
    assert str(read_voltage_record(tmp_path / "v")).startswith("e1 0.5 V on 20")
    size = (tmp_path / "v").stat().st_size
    for _ in range(10):
        record.about_to_play(np.zeros(2), np.ones((2, 100)))
    assert (tmp_path / "v").stat().st_size == size


def test_there_is_room_for_so_much_and_no_more(tmp_path):
    record = opened(tmp_path / "v")
    with pytest.raises(ParameterError, match="room for 100"):
        record.about_to_play(np.zeros(2), np.zeros((2, 101)))


def test_a_write_torn_at_any_byte_leaves_the_entry_before(tmp_path):
    path = tmp_path / "v"
    record = opened(path)
    record.holds(np.array([0.25, 0.5]))
    before = path.read_bytes()
    record.about_to_play(np.array([0.25, 0.5]), np.full((2, 3), 0.75))
    after = path.read_bytes()
    changed = [k for k in range(len(before)) if before[k] != after[k]]
    first, last = changed[0], changed[-1] + 1
    for cut in range(first, last):
        path.write_bytes(after[:cut] + before[cut:])
        found = read_voltage_record(path)
        torn = found.in_flight.shape[1] == 0
        assert found.held.tolist() == [0.25, 0.5]
        # All of the new one, or all of the old one.
        assert torn or found.in_flight.tolist() == [[0.75] * 3] * 2
    path.write_bytes(after)
    assert read_voltage_record(path).in_flight.shape == (2, 3)


def test_voltages_left_behind_are_not_forgotten(tmp_path):
    record = opened(tmp_path / "v")
    record.holds(np.array([0.3, 0.0]))
    record.close()
    with pytest.raises(DataFileError, match=r"e1 0\.3 V.*inmateria park"):
        opened(tmp_path / "v")
    carried = opened(tmp_path / "v", carry_on=True)
    assert read_voltage_record(tmp_path / "v").held.tolist() == [0.3, 0.0]
    carried.about_to_play(np.array([0.3, 0.0]), np.array([[0.15, 0.0], [0.0, 0.0]]))
    assert read_voltage_record(tmp_path / "v").in_flight.shape == (2, 2)
    carried.holds(np.zeros(2))
    carried.close()
    opened(tmp_path / "v").close()


def test_a_second_process_is_refused(tmp_path):
    record = opened(tmp_path / "v")
    child = (
        "from inmateria.rigs.voltage_record import VoltageRecord\n"
        f"VoltageRecord({str(tmp_path / 'v')!r}, {NAMES!r}, 1000.0, 20.0)\n"
    )
    refused = subprocess.run(
        [sys.executable, "-c", child], capture_output=True, text=True, check=False
    )
    assert "BenchInUseError: another process drives this bench" in refused.stderr
    with pytest.raises(BenchInUseError):
        opened(tmp_path / "v")
    record.close()
    opened(tmp_path / "v").close()


def test_other_files_are_refused_and_left_alone(tmp_path):
    path = tmp_path / "v"
    path.write_text("notes of the lab\n")
    with pytest.raises(DataFileError, match="not a record of voltages"):
        opened(path)
    assert path.read_text() == "notes of the lab\n"
    with pytest.raises(DataFileError, match="does not exist"):
        read_voltage_record(tmp_path / "none")
    other = VoltageRecord(tmp_path / "w", ("a",), 1000.0, 20.0)
    other.close()
    with pytest.raises(DataFileError, match="record of terminals a, not of e1, e2"):
        opened(tmp_path / "w")


def test_a_damaged_record_is_told_from_one_at_rest(tmp_path):
    opened(tmp_path / "v").close()
    data = bytearray((tmp_path / "v").read_bytes())
    data[4096:] = bytes(len(data) - 4096)
    (tmp_path / "v").write_bytes(data)
    with pytest.raises(DataFileError, match="damaged; find out by hand"):
        read_voltage_record(tmp_path / "v")


def test_a_write_that_is_cut_short_is_an_error(tmp_path, monkeypatch):
    record = opened(tmp_path / "v")
    whole = os.pwrite
    monkeypatch.setattr(
        os, "pwrite", lambda file, data, at: whole(file, data[: len(data) // 2], at)
    )
    with pytest.raises(StorageError, match="nothing is sent that is not written down"):
        record.holds(np.array([0.1, 0.0]))
    assert read_voltage_record(tmp_path / "v").at_rest
