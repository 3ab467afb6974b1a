"""Figures and tables of a comparison: what is drawn is what was counted."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from inmateria.report.compare_figure import _decade_below, _spread, draw_rates, draw_solved
from inmateria.report.compare_section import (
    HEADER,
    compare_sections,
    failure_lines,
    result_line,
    scoreboard_rows,
    seconds,
)
from inmateria.report.page import Page, render_page
from inmateria.training.compare_records import RunRecord
from inmateria.training.compare_summary import Comparison


def run(method: str, task: str, seed: int, time_s: float | None) -> RunRecord:
    if time_s is None:
        return RunRecord(method, task, seed, device_s=100.0, measurements=400, wall_s=2.0)
    return RunRecord(
        method, task, seed, success=True, met=True, verified=True, noise_free=True,
        time_to_solution_s=time_s, device_s=time_s, measurements=40, wall_s=2.0,
    )  # fmt: skip


@pytest.fixture
def comparison() -> Comparison:
    """homodyne: all four solved; genetic: one of four; spsa could not be run."""
    times = {"homodyne": (5.0, 10.0, 20.0, 40.0), "genetic": (50.0, None, None, None)}
    runs = [
        run(method, task, seed, times[method][2 * k + seed])
        for method in times
        for k, task in enumerate(("XOR", "RING"))
        for seed in (0, 1)
    ]
    lost = [
        RunRecord("spsa", task, s, failure="too small") for task in ("XOR", "RING") for s in (0, 1)
    ]
    return Comparison(
        (*runs, *lost), ("homodyne", "genetic", "spsa"), ("XOR", "RING"), (0, 1), 100.0
    )


def test_rows_hold_rates_and_censored_times(comparison: Comparison) -> None:
    rows = {row[0]: dict(zip(HEADER, row, strict=True)) for row in scoreboard_rows(comparison)}
    assert rows["homodyne"]["success"] == "4/4"
    assert rows["homodyne"]["expected time"] == "18.8 s"  # 75 s / 4
    assert rows["homodyne"]["quartiles"] == "5 s to 20 s"
    assert rows["genetic"]["expected time"] == "350 s"  # (50 + 3 x 100) s / 1
    assert rows["genetic"]["median"] == "-"
    assert rows["genetic"]["quartiles"] == "50 s to -"
    assert rows["spsa"]["95 % interval"] == "not run"
    assert failure_lines(comparison) == [
        "spsa on XOR, 2 runs: too small",
        "spsa on RING, 2 runs: too small",
    ]


def test_the_line_names_the_best(comparison: Comparison) -> None:
    assert result_line(comparison) == (
        "12 runs of 3 methods on 2 tasks: homodyne succeeds most often (4/4) and soonest "
        "(18.8 s expected)"
    )
    none = Comparison((run("spsa", "XOR", 0, None),), ("spsa",), ("XOR",), (0,), 100.0)
    assert result_line(none).endswith("no run succeeded within 100 s")


def test_the_page_holds_each_task_and_the_failures(comparison: Comparison) -> None:
    sections = compare_sections(comparison)
    assert [s.title for s in sections] == [
        "All tasks", "XOR", "RING", "Runs that could not be carried out"
    ]  # fmt: skip
    html = render_page(Page("t", "r", {}, sections))
    assert html == render_page(Page("t", "r", {}, compare_sections(comparison)))
    for svg in re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL):
        ElementTree.fromstring(svg)
    assert html.count("<svg") == 4


def test_rates_write_every_count() -> None:
    svg = draw_rates(["homodyne", "genetic"], ["XOR", "AND"], [[3, 0], [2, 1]], [[4, 4], [4, 0]])
    texts = re.findall(r">([^<>]+)</text>", svg)
    # The cell without runs stays empty.
    assert [t for t in texts if t.isdigit()] == ["3", "0", "2"]
    assert "Successes of each method on XOR, AND: homodyne 3 of 8; genetic 3 of 4" in svg


def test_curves_end_at_the_share_that_was_solved() -> None:
    svg = draw_solved({"homodyne": [2.0, 4.0, np.inf], "spsa": [np.inf] * 3}, budget_s=50.0)
    assert "homodyne 67%, spsa 0%" in svg
    ElementTree.fromstring(svg)
    # Nothing solved at all, and a method of another name, can be drawn too.
    ElementTree.fromstring(draw_solved({"own": [np.inf]}, budget_s=50.0))


def test_names_do_not_cover_each_other_and_stay_on_the_figure() -> None:
    at = _spread({"a": 1.0, "b": 1.0, "c": 0.99, "d": 0.0, "e": 0.0})
    heights = np.sort(list(at.values()))
    assert (np.diff(heights) >= 0.052 - 1e-12).all()
    assert heights[-1] <= 1.02
    assert sorted(at, key=lambda m: at[m])[:2] == ["d", "e"]


def test_axis_starts_at_a_round_number() -> None:
    assert [_decade_below(x) for x in (1.0, 1.9, 2.0, 7.3, 0.04)] == pytest.approx(
        [1.0, 1.0, 2.0, 5.0, 0.02]
    )


def test_times_read_well() -> None:
    assert [seconds(x) for x in (math.inf, 0.123, 12.345, 99.6, 5999.0, 7200.0)] == [
        "-", "0.123 s", "12.3 s", "100 s", "5999 s", "2.0 h"
    ]  # fmt: skip
