"""The list of runs: state, result and duration of each, oldest first."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from inmateria.data.runs import Run
from inmateria.data.session import this_session
from inmateria.training.search_log import SearchLog, read_search_log
from inmateria.watch.run_list import run_row, run_rows

from .conftest import Made

GONE = {**this_session(), "utc": "2001-01-01T00:00:00.000Z"}


def aged(run: Run, started: str) -> Run:
    provenance = json.loads((run.path / "provenance.json").read_text())
    (run.path / "provenance.json").write_text(json.dumps({**provenance, "started_utc": started}))
    return run


def test_runs_of_a_folder(made: Made, tmp_path: Path) -> None:
    done = aged(Run.create(tmp_path, "demo"), "2026-01-01T10:00:00.000Z")
    line = {"utc": "2026-01-01T10:02:30.000Z", "event": "finished", "result": "16 of 16"}
    done.history_path.write_text(json.dumps(line) + "\n")
    stopped = aged(Run.create(tmp_path, "survey"), "2026-01-02T10:00:00.000Z")
    stopped.record("sampled")
    (stopped.path / "session.json").write_text(json.dumps(GONE))
    running = aged(Run.create(tmp_path, "compare"), "2026-01-03T10:00:00.000Z")
    shutil.copytree(made.folder, tmp_path / "training")
    (tmp_path / "notes").mkdir()
    (tmp_path / "file").write_text("")
    rows = run_rows(tmp_path)
    assert [(row.name, row.state) for row in rows] == [
        ("demo", "finished"),
        ("survey", "stopped"),
        ("compare", "running"),
        ("train homodyne", "running"),
    ]
    assert (rows[0].result, rows[0].duration_s) == ("16 of 16", 150.0)
    assert rows[1].result == "last: sampled"
    assert rows[3].result == "searching: XOR"
    assert rows[2].path == str(running.path)


def test_a_training_that_is_verified(made: Made, tmp_path: Path) -> None:
    folder = tmp_path / "training"
    shutil.copytree(made.folder, folder)
    (folder / "XOR.verification.json").write_text('{"passed": false}')
    (folder / "report.html").write_text("")
    row = run_row(folder)
    assert row is not None
    assert (row.state, row.result) == ("finished", "0 of 1 task verified")


def test_the_last_session_of_a_log_counts(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Small pieces: a session is found across their borders, too.
    monkeypatch.setattr("inmateria.watch.run_list._PIECE", 50)
    head, entries = read_search_log(made.log)
    for first, then, state in (
        (GONE, this_session(), "running"),
        (this_session(), GONE, "stopped"),
    ):
        path = tmp_path / state / "XOR.search.jsonl"
        with SearchLog(path, head["search"], session=first) as log:
            log.append(entries[0])
        with SearchLog(path, head["search"], resume=True, session=then) as log:
            for entry in entries[1:-1]:
                log.append(entry)
        row = run_row(path.parent)
        assert row is not None
        assert row.state == state


def test_nothing_there(tmp_path: Path) -> None:
    assert run_rows(tmp_path) == []
    assert run_rows(tmp_path / "nowhere") == []
    broken = Run.create(tmp_path, "demo")
    (broken.path / "provenance.json").write_text("{")
    broken.history_path.write_bytes(b"\xff\xfe\n{")
    assert [row.name for row in run_rows(tmp_path)] == [broken.path.name]
