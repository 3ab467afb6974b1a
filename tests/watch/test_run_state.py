"""What a folder says as a whole: its state, its parts, its log; and a folder that disappears."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from inmateria.data.runs import Run
from inmateria.data.session import this_session
from inmateria.errors import DataFileError
from inmateria.watch.run_state import RunWatch
from inmateria.watch.state import STALE_S
from inmateria.watch.target import find_target

from .conftest import Made

GONE = {**this_session(), "utc": "2001-01-01T00:00:00.000Z"}


def looked(watch: RunWatch) -> dict:
    watch.refresh()
    sections = watch.sections()
    json.dumps(sections, allow_nan=False)
    return sections


def test_a_run_folder_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "demo", config={"seed": 3})
    watch = RunWatch(run.path)
    head = looked(watch)["head"]
    assert (head["title"], head["state"]) == ("demo", "running")
    assert head["started_utc"].endswith("Z")
    run.record("sampled", rows=100)
    sections = looked(watch)
    assert [line["text"] for line in sections["log"]] == ["sampled: rows 100"]
    assert "seed = 3" in sections["configuration"]
    (run.path / "session.json").write_text(json.dumps(GONE))
    assert looked(watch)["head"]["state"] == "stopped"
    run.finish(result="15 of 16 gates verified")
    head = looked(watch)["head"]
    assert (head["state"], head["result"]) == ("finished", "15 of 16 gates verified")
    assert head == looked(RunWatch(run.path))["head"]


def test_a_torn_line_of_the_history_waits(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "demo")
    with open(run.history_path, "a") as file:
        file.write('{"utc": "2026-01-31T12:00:00.000Z", "event": "fini')
    watch = RunWatch(run.path)
    assert looked(watch)["head"]["state"] == "running"
    with open(run.history_path, "a") as file:
        file.write('shed"}\nnot JSON\n[3]\n"text"\n')
    assert looked(watch)["head"]["state"] == "finished"


def test_a_training_folder(made: Made, tmp_path: Path) -> None:
    folder = tmp_path / "training"
    shutil.copytree(made.folder, folder)
    watch = RunWatch(folder)
    sections = looked(watch)
    assert list(sections) == ["head", "part:XOR.search.jsonl", "log", "files", "configuration"]
    # The search is done, and its process (this one) may still verify.
    assert sections["head"]["state"] == "running"
    (folder / "XOR.verification.json").write_text('{"task": "XOR", "passed": true}')
    (folder / "report.html").write_text("<p>report</p>")
    head = looked(watch)["head"]
    assert (head["state"], head["verified"]) == ("finished", [{"task": "XOR", "passed": True}])
    assert head["report"] == str(folder / "report.html")
    names = {file["name"] for file in sections["files"]}
    assert {"XOR.search.jsonl", "XOR.window.npz"} <= names
    assert sections["log"][0]["text"] == "XOR: search begun: method homodyne, seed 3"


def test_a_folder_that_disappears_and_comes_back(made: Made, tmp_path: Path) -> None:
    folder = tmp_path / "training"
    shutil.copytree(made.folder, folder)
    watch = RunWatch(folder)
    before = looked(watch)
    shutil.rmtree(folder)
    after = looked(watch)
    assert after["head"]["state"] == "gone"
    assert "not there any more" in after["head"]["state_text"]
    # What was known of the search stays on the page.
    assert after["part:XOR.search.jsonl"]["loss"] == before["part:XOR.search.jsonl"]["loss"]
    shutil.copytree(made.folder, folder)
    assert looked(watch)["head"]["state"] == "running"


def test_files_that_cannot_be_read(made: Made, tmp_path: Path) -> None:
    run = Run.create(tmp_path, "demo")
    (run.data / "measurement.nc.part").mkdir()  # a folder where a file should be
    (run.data / "other.nc").symlink_to(run.data / "nowhere")
    (run.data / "broken.nc").write_bytes(b"no HDF5")
    (run.model / "checkpoint").write_bytes(b"no tensors")
    (run.path / "A.search.jsonl").write_bytes(b"\xff\xfe\n")
    os.remove(run.path / "provenance.json")
    (run.path / "provenance.json").write_bytes(b"\xff")
    (run.path / "config.toml").write_bytes(b"\xff\xfe")
    sections = looked(RunWatch(run.path))
    assert sections["head"]["state"] == "running"
    assert "part:broken.nc" not in sections


def test_a_single_log_and_its_windows(made: Made) -> None:
    sections = looked(RunWatch(made.log))
    assert sections["head"]["state"] == "finished"
    assert sections["part:XOR.search.jsonl"]["window"] is not None
    assert {f["name"] for f in sections["files"]} == {"XOR.search.jsonl", "XOR.window.npz"}


def test_comparisons_and_surveys_are_counted(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "survey", config={"seeds": "0:4", "parameters": {"t": [1, 2]}})
    (run.data / "a.npz").write_bytes(b"x")
    (run.data / "b.json").write_text("{}")
    part = looked(RunWatch(run.path))["part:survey"]
    assert (part["done"], part["total"]) == (2, 8)

    run = Run.create(tmp_path, "compare")
    record = {"method": "spsa", "task": "XOR", "seed": 1, "success": True, "device_s": 3.0,
              "failure": ""}  # fmt: skip
    lines = [{"schema": "x"}, {"record": record}, {"record": {**record, "success": False}}]
    (run.path / "results.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    sections = looked(RunWatch(run.path))
    assert sections["part:results.jsonl"]["rows"] == [["spsa", 2, "1 (50%)", "6"]]
    assert "spsa, XOR, seed 1: success, 3.0 s" in sections["log"][0]["text"]


def test_without_news_and_without_a_process_a_folder_is_stale(made: Made, tmp_path: Path) -> None:
    run = Run.create(tmp_path, "demo")
    (run.path / "session.json").unlink()
    watch = RunWatch(run.path)
    assert looked(watch)["head"]["state"] == "running"
    for file in run.path.rglob("*"):
        past = file.stat().st_mtime - STALE_S - 5
        os.utime(file, (past, past))
    assert looked(watch)["head"]["state"] == "stale"


def test_what_a_person_may_name(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataFileError, match="name a run folder"):
        find_target(None)
    with pytest.raises(DataFileError, match="does not exist"):
        find_target(Path("nowhere"))
    first = Run.create("runs", "demo").path
    second = Run.create("runs", "survey").path
    for path, when in ((first, 2e9), (second, 1e9)):
        for file in path.iterdir():
            os.utime(file, (when, when))
    assert find_target(None) == first
    assert find_target(Path("runs")) == first
    assert find_target(second) == second
    shutil.copytree(made.folder, "training")
    os.utime("training/XOR.search.jsonl", (2.1e9, 2.1e9))
    assert find_target(None) == Path("training")
    Path("data.nc.part").write_bytes(b"")
    for name in ("data.nc", "data.nc.part"):
        assert find_target(Path(name)) == Path("data.nc")
    Path("model.checkpoint").write_bytes(b"")
    assert find_target(Path("model")) == Path("model.checkpoint")
