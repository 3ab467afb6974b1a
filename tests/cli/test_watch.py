"""`inmateria watch` and `inmateria runs` as programs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from inmateria.cli.app import COMMANDS
from inmateria.data.runs import Run

from .conftest import Outcome, assert_one_line

HERE = {
    "watch": ("inmateria.cli.watch", "Show a run on a live page."),
    "runs": ("inmateria.cli.runs", "List all runs."),
}
START = f"""
import sys
from inmateria.cli import app, exits
app.COMMANDS |= {HERE!r}
sys.exit(exits.run(sys.argv[1:]))
"""


@pytest.fixture(autouse=True)
def commands(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, where in HERE.items():
        monkeypatch.setitem(COMMANDS, name, where)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_page_is_served_until_ctrl_c(tmp_path: Path, number: signal.Signals) -> None:
    run = Run.create(tmp_path, "demo")
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    process = subprocess.Popen(
        [sys.executable, "-c", START, "watch", str(run.path), "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        # A test that is run in the background has Ctrl-C ignored, and hands that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"watching {run.path}\n"
        url = process.stdout.readline().split()[0]
        with urllib.request.urlopen(url + "state.json", timeout=30) as answer:
            assert json.load(answer)["sections"]["head"]["title"] == "demo"
        # An open page must not keep the server from ending.
        with urllib.request.urlopen(url + "events", timeout=30) as stream:
            stream.readline()
            process.send_signal(number)
            began = time.monotonic()
            _, err = process.communicate(timeout=30)
            assert time.monotonic() - began < 10
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert err == ""
    # It has only read.
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == before


def test_a_run_that_is_not_there(inmateria: Callable[..., Outcome], tmp_path: Path) -> None:
    assert_one_line(inmateria("watch", tmp_path / "nowhere"), "does not exist", "run folder")
    assert_one_line(inmateria("watch", Run.create(tmp_path, "x").path, "--port", "99999"), "port")
    assert_one_line(inmateria("runs", tmp_path / "nowhere"), "is not a folder")


def test_runs_are_listed(
    inmateria: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no runs in" in inmateria("runs").out
    first = Run.create("runs", "demo")
    first.finish(result="16 of 16 [b]gates[/b] verified")
    Run.create("runs", "survey")
    outcome = inmateria("runs")
    assert outcome.status == 0, outcome.err
    header, one, two = outcome.out.splitlines()
    assert header.split()[:3] == ["started", "(UTC)", "name"]
    assert "finished" in one
    assert "16 of 16 [b]gates[/b] verified" in one
    assert "running" in two
    rows = [json.loads(line) for line in inmateria("runs", "--json").out.splitlines()]
    assert [row["name"] for row in rows] == ["demo", "survey"]
    assert rows[0]["path"] == str(first.path)


def test_help_is_cheap() -> None:
    code = START.replace("sys.exit(exits.run(sys.argv[1:]))", "exits.run(sys.argv[1:])\n"
                         "print('torch' in sys.modules, 'numpy' in sys.modules)")  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code, "watch", "--help"], capture_output=True, text=True, check=True
    )
    assert "Ctrl-C" in done.stdout
    assert done.stdout.splitlines()[-1] == "False False"
