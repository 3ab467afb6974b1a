"""Run folders: made once, found again, and a history that a crash cannot spoil."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from inmateria.data.runs import Run, list_runs
from inmateria.errors import ConfigurationError, DataFileError, ParameterError, StorageError


def test_a_run_is_a_folder(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "runs", "demo", config={"seed": 3, "rig": {"rate_hz": 1e4}})
    assert run.path.parent == tmp_path / "runs"
    assert run.path.name.endswith("Z-demo")
    assert sorted(p.name for p in run.path.iterdir()) == [
        "config.toml",
        "data",
        "model",
        "provenance.json",
        "session.json",
    ]
    assert tomllib.loads(run.config.read_text()) == {"seed": 3, "rig": {"rate_hz": 1e4}}
    versions = json.loads((run.path / "provenance.json").read_text())["versions"]
    assert {"inmateria", "python", "platform", "numpy", "torch"} <= set(versions)
    assert Run.open(run.path) == run
    assert run.name == "demo"
    assert run.report == run.path / "report.html"


def test_two_runs_within_a_second_are_two_folders_in_order(tmp_path: Path) -> None:
    made = [Run.create(tmp_path, "demo") for _ in range(3)]
    assert len({run.path for run in made}) == 3
    assert list_runs(tmp_path, name="demo") == made


def test_history_is_appended(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "demo")
    assert run.history() == []
    run.record("sampled", rows=100)
    run.record("fitted", error_na=0.3)
    assert [(e["event"], e.get("rows"), e.get("error_na")) for e in run.history()] == [
        ("sampled", 100, None),
        ("fitted", None, 0.3),
    ]
    assert not run.is_finished
    run.finish()
    assert run.is_finished


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "demo")
    run.record("one")
    with open(run.history_path, "a") as file:
        file.write('{"event": "to')
    run.record("two")
    assert [entry["event"] for entry in run.history()] == ["one", "two"]


def test_the_same_command_goes_on_with_its_unfinished_run(tmp_path: Path) -> None:
    first = Run.resume_or_create(tmp_path, "demo", config={"seed": 1})
    assert Run.resume_or_create(tmp_path, "demo", config={"seed": 1}) == first
    assert Run.resume_or_create(tmp_path, "demo", config={"seed": 2}) != first
    assert Run.resume_or_create(tmp_path, "fit", config={"seed": 1}) != first
    first.finish()
    assert Run.resume_or_create(tmp_path, "demo", config={"seed": 1}) != first


def test_folders_that_are_no_runs(tmp_path: Path) -> None:
    (tmp_path / "20240101T000000Z-empty").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "file").write_text("")
    assert list_runs(tmp_path) == []
    assert list_runs(tmp_path / "none") == []
    with pytest.raises(DataFileError, match="is not a run folder"):
        Run.open(tmp_path / "notes")
    with pytest.raises(StorageError, match="choose another folder"):
        Run.create(tmp_path / "file", "demo")
    with pytest.raises(ParameterError, match="use letters"):
        Run.create(tmp_path, "../demo")


def test_texts_are_written_whole(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "demo")
    run.write_text("report.html", "<p>one</p>")
    run.write_text("report.html", "<p>two</p>")
    assert run.report.read_text() == "<p>two</p>"
    assert not list(run.path.glob("*.tmp"))


def test_a_run_of_a_living_process_is_left_to_it(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c",
         ("import sys; from inmateria.data.runs import Run; "
         "print(Run.create(sys.argv[1], 'demo').path, flush=True); sys.stdin.read()"),
         str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert child.stdout is not None
        path = Path(child.stdout.readline().strip())
        with pytest.raises(ConfigurationError, match=f"by process {child.pid}; wait"):
            Run.resume_or_create(tmp_path, "demo")
        assert json.loads((path / "session.json").read_text())["pid"] == child.pid
    finally:
        child.communicate()
    assert Run.resume_or_create(tmp_path, "demo").path == path
