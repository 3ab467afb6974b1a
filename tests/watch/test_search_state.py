"""What a search log says, against the Solution that the search itself gave."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from inmateria.data.session import this_session
from inmateria.training.search_log import SearchLog, read_search_log
from inmateria.training.window_file import read_windows
from inmateria.watch.search_state import SearchWatch

from .conftest import BUDGET_S, Made

DIGITS = 5.1e-6
"""Six digits are sent: 5e-6 where the first of them is a one."""


def watched(path: Path) -> SearchWatch:
    watch = SearchWatch(path)
    watch.refresh()
    while watch.more:
        watch.refresh()
    return watch


def test_curves_are_those_of_the_search(made: Made) -> None:
    part = watched(made.log).part()
    history = made.solution.history
    assert part["iterations"] == len(history) == 30
    for name, key in (("loss", "loss"), ("lowest", "loss_best"), ("quality", "margin_na")):
        assert part[name]["x"] == [row["step"] for row in history]
        assert part[name]["y"] == pytest.approx([row[key] for row in history], rel=DIGITS)
    assert part["device_s"]["y"] == pytest.approx([r["device_s"] for r in history], rel=DIGITS)
    cost = made.solution.cost
    assert part["spent_s"] == pytest.approx(cost.device_s, rel=DIGITS)
    assert part["measurements"] == cost.measurements
    assert part["budget_s"] == BUDGET_S
    assert part["goal"] == 1000.0
    assert part["quality_label"] == "margin (nA)"


def test_the_best_setting_is_the_one_that_was_kept(made: Made) -> None:
    part = watched(made.log).part()
    controls = {c["name"]: c for c in part["controls"]}
    assert list(controls) == list(made.solution.controls)
    for name, value in made.solution.controls.items():
        assert controls[name]["best_v"] == pytest.approx(value, rel=DIGITS)
        assert (controls[name]["low_v"], controls[name]["high_v"]) == (-1.0, 1.0)
        assert len(controls[name]["history"]["y"]) == 30


def test_gradients_are_means_over_the_points(made: Made) -> None:
    last = [e for e in read_search_log(made.log)[1] if e["kind"] == "extract"][-1]
    rows = watched(made.log).part()["controls"]
    value, error = np.array(last["value"]), np.array(last["standard_error"])
    assert [r["gradient"] for r in rows] == pytest.approx(value.mean(axis=0), rel=DIGITS)
    expected = np.sqrt((error**2).sum(axis=0)) / len(error)
    assert [r["gradient_error"] for r in rows] == pytest.approx(expected, rel=DIGITS)


def test_strip_and_spectrum_are_of_one_iteration(made: Made) -> None:
    part = watched(made.log).part()
    strip, window = part["strip"], part["window"]
    assert strip["recorded"]
    assert strip["iteration"] == window["iteration"]
    assert part["labels"] == ["00", "01", "10", "11"]
    assert part["target"] == [0.0, 1.0, 1.0, 0.0]
    # The mean of a window of tones is the level that the search was told, to float32.
    raw = read_windows(made.folder / "XOR.window.npz")["current_na"]
    assert raw[:, 0].mean(axis=1) == pytest.approx(strip["levels_na"], abs=1e-4)
    tones = {t["control"]: t for t in window["tones"]}
    assert list(tones) == list(made.solution.controls)


def test_a_log_in_pieces_says_what_the_whole_says(made: Made, tmp_path: Path) -> None:
    whole = watched(made.log).part()
    data, path = made.log.read_bytes(), tmp_path / made.log.name
    shutil.copy(made.folder / "XOR.window.npz", tmp_path)
    watch, rng, at = SearchWatch(path), np.random.default_rng(5), 0
    watch.refresh()
    assert watch.part()["iterations"] == 0
    with open(path, "wb", buffering=0) as file:
        while at < len(data):
            step = int(rng.integers(1, 4000))
            file.write(data[at : at + step])
            at += step
            watch.refresh()
            json.dumps(watch.part(), allow_nan=False)
    assert watch.part() == whole
    assert [line.text for line in watch.log] == [line.text for line in watched(made.log).log]


def test_states(made: Made, tmp_path: Path) -> None:
    assert watched(made.log).state().name == "finished"
    assert "30 iterations are done" in watched(made.log).state().text
    lines = made.log.read_bytes().splitlines(keepends=True)
    path = tmp_path / "XOR.search.jsonl"
    # Without its last line it is not finished, and its process is this one.
    path.write_bytes(b"".join(lines[:-1]))
    assert watched(path).state().name == "running"
    head, entries = read_search_log(path)
    with SearchLog(path, head["search"], resume=True) as log:
        log.append({"kind": "note", "ended": "stopped by SIGTERM"})
    stopped = watched(path)
    assert (stopped.state().name, stopped.state().text) == ("stopped", "stopped by SIGTERM")
    # Another session goes on with it; its process is not there any more.
    gone = {**this_session(), "utc": "2001-01-01T00:00:00.000Z", "budget_s": 7.0}
    with SearchLog(path, head["search"], resume=True, session=gone) as log:
        log.append(next(e for e in entries if e["kind"] == "extract"))
    after = watched(path)
    assert after.state().name == "stopped"
    assert "has ended" in after.state().text
    assert after.part()["budget_s"] == 7.0


def test_a_reading_that_passed_by_luck_is_not_the_best(made: Made, tmp_path: Path) -> None:
    head, entries = read_search_log(made.log)
    task = {**head["search"]["task"], "min_margin_na": 0.5}
    extract = next(e for e in entries if e["kind"] == "extract")
    luck = {**extract, "current_na": [0.0, 5.0, 5.0, 0.0], "problem": [""] * 4}
    poor = {**extract, "current_na": [0.0, 0.1, 0.2, 0.0], "problem": [""] * 4}
    again = {"kind": "confirm", "asked": [luck["asked"]], "current_na": [[5.0, 0.0, 0.0, 5.0]],
             "measurements": 4, "device_s": 0.1, "wall_s": 0.1}  # fmt: skip
    path = tmp_path / "XOR.search.jsonl"
    with SearchLog(path, {**head["search"], "task": task}) as log:
        log.append(poor)
        log.append(luck)
    assert watched(path).part()["best"]["passed"]
    with SearchLog(path, {**head["search"], "task": task}, resume=True) as log:
        log.append(again)
    part = watched(path).part()
    assert not part["best"]["passed"]
    # By its loss it still is the better of the two.
    assert part["best"]["iteration"] == 2


def test_a_clipped_output_is_no_reading(made: Made, tmp_path: Path) -> None:
    head, entries = read_search_log(made.log)
    extract = next(e for e in entries if e["kind"] == "extract")
    path = tmp_path / "XOR.search.jsonl"
    with SearchLog(path, head["search"]) as log:
        log.append({**extract, "problem": ["", "clipped", "", ""]})
    part = watched(path).part()
    assert part["loss"]["y"] == [None]
    assert part["best"] == {}
    assert part["last"]["levels_na"][1] is None


def test_damage_and_strangers_are_told_and_never_fatal(made: Made, tmp_path: Path) -> None:
    lines = made.log.read_bytes().splitlines(keepends=True)
    damaged = tmp_path / "damaged.search.jsonl"
    damaged.write_bytes(b"".join([*lines[:6], b'{"crc32":"00000000"}\n', b"\0\xff\n", *lines[7:]]))
    part = watched(damaged).part()
    assert part["damaged_lines"] == 2
    assert part["iterations"] == 29
    strange = tmp_path / "strange.search.jsonl"
    with SearchLog(strange, {"task": {"kind": "chess"}, "rig": 3}) as log:
        log.append({"kind": "measure", "asked": "e4", "device_s": 1.0})
        log.append({"kind": "?", "x": float("nan")})
    watch = watched(strange)
    assert watch.part()["spent_s"] == 1.0
    assert any("cannot be told" in line.text for line in watch.log)
    for content in (b"", b"\n\n", b"{}", b"[1]\n", b"\x89PNG\n" * 20):
        strange.write_bytes(content)
        json.dumps(watched(strange).part(), allow_nan=False)


def test_an_old_log_without_a_session_is_read(made: Made, tmp_path: Path) -> None:
    head, entries = read_search_log(made.log)
    path = tmp_path / "XOR.search.jsonl"
    with SearchLog(path, head["search"]) as log:
        for entry in entries:
            log.append({k: v for k, v in entry.items() if k != "ended"})
    part = watched(path).part()
    assert part["state"] == "finished"
    assert part["budget_s"] is None
    assert part["window"] is None
    assert not part["strip"]["recorded"]
    assert part["loss"] == watched(made.log).part()["loss"]
