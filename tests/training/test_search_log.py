"""The log of a search: what was written is served again, and damage is named."""

from __future__ import annotations

import json

import numpy as np
import pytest

from inmateria.errors import (
    ConfigurationError,
    DataFileError,
    DataIntegrityError,
    SchemaVersionError,
    StorageError,
)
from inmateria.training.search_log import SearchLog, _line, read_search_log

HEADER = {"task": {"kind": "gate", "name": "XOR"}, "seed": 3}
ENTRIES = [
    {"kind": "setup", "asked": "calibration", "result": {"gain": 1.0}},
    {"kind": "measure", "asked": np.array([[0.1, 1 / 3]]), "current_na": [[np.nan, np.pi]]},
    {"kind": "note", "text": "on the way"},
    {"kind": "extract", "asked": [0.1, -0.2], "value": np.eye(2)},
    {"kind": "final", "controls": [0.1, -0.2], "current_na": [1.0]},
]


@pytest.fixture
def path(tmp_path):
    with SearchLog(tmp_path / "logs" / "xor.jsonl", HEADER) as log:
        for entry in ENTRIES:
            log.append(entry)
    return log.path


def test_requests_are_served_in_order_and_to_the_last_bit(path):
    with SearchLog(path, HEADER, resume=True) as log:
        assert log.n_left == 3
        assert log.serve() == ENTRIES[0]
        measured = log.serve()
        assert measured["asked"] == [[0.1, 1 / 3]]
        assert measured["current_na"][0][1] == np.pi
        assert np.isnan(measured["current_na"][0][0])
        assert log.serve()["value"] == [[1.0, 0.0], [0.0, 1.0]]
        assert log.serve() is None
        assert log.final([0.1, -0.2])["current_na"] == [1.0]
        assert log.final([0.1, -0.3]) is None


def test_reports_read_all_of_it(path):
    header, entries = read_search_log(path)
    assert header["search"] == HEADER
    assert [entry["kind"] for entry in entries] == [entry["kind"] for entry in ENTRIES]


def test_a_line_that_was_cut_short_is_dropped_wherever_it_was_cut(path):
    whole = path.read_bytes()
    last = len(whole.splitlines(keepends=True)[-1])
    for cut in range(1, last + 1):
        path.write_bytes(whole[:-cut])
        assert len(read_search_log(path)[1]) == len(ENTRIES) - 1
    with SearchLog(path, HEADER, resume=True) as log:
        log.append(ENTRIES[4])
    assert path.read_bytes() == whole


def test_nothing_of_a_torn_line_stays_behind_a_shorter_one(path):
    path.write_bytes(path.read_bytes()[:-1])
    short = {"kind": "note", "x": 1}
    with SearchLog(path, HEADER, resume=True) as log:
        log.append(short)
    assert read_search_log(path)[1][-1] == short
    assert path.read_bytes().endswith(_line(short))


def test_zeros_at_the_end_are_dropped(path):
    """What a power cut leaves where a file grew but its data did not come to the disk."""
    path.write_bytes(path.read_bytes() + bytes(100))
    assert len(read_search_log(path)[1]) == len(ENTRIES)


@pytest.mark.parametrize("line", [2, 3, 4])
def test_a_flipped_bit_before_the_end_is_an_error_that_names_the_line(path, line):
    lines = path.read_bytes().splitlines(keepends=True)
    at = len(lines[line - 1]) // 2
    damaged = bytearray(lines[line - 1])
    damaged[at] ^= 1
    path.write_bytes(b"".join([*lines[: line - 1], bytes(damaged), *lines[line:]]))
    with pytest.raises(DataIntegrityError, match=f"line {line} of 6"):
        SearchLog(path, HEADER, resume=True)


def test_a_log_is_not_overwritten(path):
    before = path.read_bytes()
    with pytest.raises(StorageError, match=r"xor.jsonl holds 5 entries.*resume"):
        SearchLog(path, HEADER)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({**HEADER, "seed": 4}, r"seed differ \(seed was 3 and is 4 now\)"),
        ({**HEADER, "method": "spsa"}, "method differ"),
        ({"seed": 4}, "seed, task differ"),
    ],
)
def test_another_search_is_refused(path, header, said):
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match=said):
        SearchLog(path, header, resume=True)
    assert path.read_bytes() == before


def test_a_log_without_a_request_belongs_to_nobody(tmp_path):
    path = tmp_path / "log.jsonl"
    SearchLog(path, HEADER).close()
    for torn in (path.read_bytes(), path.read_bytes()[:20], b""):
        path.write_bytes(torn)
        SearchLog(path, {"seed": 9}).close()
        assert read_search_log(path)[0]["search"] == {"seed": 9}


@pytest.mark.parametrize("content", ["hello\n", '{"a": 1}\n{"b": 2}\n', "no newline"])
def test_another_file_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "notes.txt"
    path.write_text(content)
    for resume in (False, True):
        with pytest.raises(DataFileError, match="not a search log"):
            SearchLog(path, HEADER, resume=resume)
    assert path.read_text() == content


def test_one_process_at_a_time(path):
    with (
        SearchLog(path, HEADER, resume=True),
        pytest.raises(StorageError, match="another process"),
    ):
        SearchLog(path, HEADER, resume=True)
    SearchLog(path, HEADER, resume=True).close()


def test_a_newer_log_is_refused(tmp_path):
    path = tmp_path / "log.jsonl"
    head = {"schema": "inmateria.search", "schema_version": 2, "search": HEADER}
    path.write_bytes(_line(head) + _line(ENTRIES[0]))
    with pytest.raises(SchemaVersionError, match="upgrade"):
        SearchLog(path, HEADER, resume=True)


def test_a_folder_is_no_log(tmp_path):
    with pytest.raises(StorageError, match="cannot write"):
        SearchLog(tmp_path, HEADER)
    with pytest.raises(DataFileError, match="cannot read"):
        read_search_log(tmp_path / "none.jsonl")


def test_every_line_is_json(path):
    for line in path.read_text().splitlines():
        assert set(json.loads(line)) == {"crc32", "entry"}


SESSION = {"pid": 12, "budget_s": 20.0}


def test_a_session_stands_in_the_first_line_of_a_new_log(tmp_path):
    with SearchLog(tmp_path / "log.jsonl", HEADER, session=SESSION) as log:
        log.append(ENTRIES[0])
    header, entries = read_search_log(log.path)
    assert header["session"] == SESSION
    assert [entry["kind"] for entry in entries] == ["setup"]


def test_a_later_session_is_noted_before_its_first_new_request_only(path):
    before = path.read_bytes()
    with SearchLog(path, HEADER, resume=True, session=SESSION) as log:
        assert log.n_left == 3
    # A session that asks for nothing new leaves no trace.
    assert path.read_bytes() == before
    with SearchLog(path, HEADER, resume=True, session=SESSION) as log:
        log.append(ENTRIES[0])
        log.append(ENTRIES[3])
    kept = read_search_log(path)[1]
    assert kept[len(ENTRIES)] == {"kind": "note", "session": SESSION}
    assert [e["kind"] for e in kept[len(ENTRIES) :]] == ["note", "setup", "extract"]
    with SearchLog(path, HEADER, resume=True) as log:
        assert log.n_left == 5
