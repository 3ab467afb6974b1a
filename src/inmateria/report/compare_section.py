"""The scoreboard of a comparison: tables, figures and what they say, for page and terminal."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from inmateria.report.compare_figure import draw_rates, draw_solved
from inmateria.report.page import Note, Picture, Section, Table
from inmateria.training.compare_summary import Comparison, Summary, solution_times

HEADER = (
    "method", "success", "95 % interval", "verified", "expected time", "median", "quartiles",
    "measurements", "wall time",
)  # fmt: skip


def scoreboard_rows(comparison: Comparison, task: str | None = None) -> list[tuple[str, ...]]:
    """One line per method, over one task or all, in the order of `HEADER`."""
    return [
        _row(method, comparison.summary(method, task))
        for method in comparison.methods
        if comparison.of(method, task)
    ]


def result_line(comparison: Comparison) -> str:
    """The sentence that a comparison ends with."""
    runs = len(comparison.records)
    what = f"{runs} runs of {len(comparison.methods)} methods on {len(comparison.tasks)} tasks"
    with_success = [m for m in comparison.methods if any(r.success for r in comparison.of(m))]
    if not with_success:
        return f"{what}: no run succeeded within {comparison.budget_s:g} s"
    summaries = {m: comparison.summary(m) for m in with_success}
    often = max(summaries, key=lambda m: (summaries[m].rate, -summaries[m].ert_s))
    soon = min(summaries, key=lambda m: summaries[m].ert_s)
    rate, time = _share(summaries[often]), seconds(summaries[soon].ert_s)
    if often == soon:
        return f"{what}: {often} succeeds most often ({rate}) and soonest ({time} expected)"
    return (
        f"{what}: {often} succeeds most often ({rate}), "
        f"{soon} has the shortest expected time ({time})"
    )


def compare_sections(comparison: Comparison) -> list[Section]:
    """All tasks together, then each."""
    methods = [m for m in comparison.methods if comparison.of(m)]
    tasks = [t for t in comparison.tasks if comparison.of(task=t)]
    counts = [[comparison.of(m, t) for t in tasks] for m in methods]
    successes = np.array([[sum(r.success for r in cell) for cell in row] for row in counts])
    runs = np.array([[len(cell) for cell in row] for row in counts])
    sections = [
        Section(
            "All tasks",
            [
                _table(comparison, None),
                Picture(
                    draw_rates(methods, tasks, successes, runs),
                    "Runs that succeeded: the search met its stop rule within the budget, and the "
                    "controls it gave were verified on a fresh rig.",
                ),
                Picture(
                    draw_solved(_times(comparison, methods, None), budget_s=comparison.budget_s),
                    "Share of all runs solved by a device time, all tasks together. Blue: the "
                    "gradient is measured; green: it comes from a model; vermillion: no gradient.",
                ),
                Note(
                    "Expected time is all device time spent up to the solutions, divided by their "
                    "number: what a method takes that is started again until it succeeds. "
                    "Median and quartiles are over all runs, where a run without success counts "
                    "as longer than any other; a dash stands for more than the budget. Verified "
                    "counts runs whose best controls pass on a fresh rig, whether or not the "
                    "search knew. Intervals take runs for independent."
                ),
            ],
        )
    ]
    if len(tasks) > 1:
        for k, task in enumerate(tasks):
            figure = draw_solved(
                _times(comparison, methods, task),
                budget_s=comparison.budget_s,
                title=task,
                name=f"compare-solved-{k}",
            )
            caption = f"{task}: share of runs solved."
            sections.append(Section(task, [_table(comparison, task), Picture(figure, caption)]))
    failed = _failures(comparison)
    if failed:
        header = ("method", "task", "runs", "why")
        rows = [(method, task, str(n), why) for (method, task, why), n in failed.items()]
        sections.append(Section("Runs that could not be carried out", [Table(header, rows)]))
    return sections


def failure_lines(comparison: Comparison) -> list[str]:
    """Methods that could not be run on a task, a line each."""
    return [
        f"{method} on {task}, {n} {'run' if n == 1 else 'runs'}: {why}"
        for (method, task, why), n in _failures(comparison).items()
    ]


def seconds(value: float) -> str:
    """A device or wall time as a cell shows it; a dash where there is none."""
    if not math.isfinite(value):
        return "-"
    if value >= 5999.5:
        return f"{value / 3600:.1f} h"
    return f"{value:.0f} s" if value >= 99.5 else f"{value:.3g} s"


def _failures(comparison: Comparison) -> Counter[tuple[str, str, str]]:
    return Counter((r.method, r.task, r.failure) for r in comparison.records if r.failure)


def _table(comparison: Comparison, task: str | None) -> Table:
    runs = len(comparison.of(task=task)) // max(1, len(comparison.methods))
    return Table(
        HEADER,
        scoreboard_rows(comparison, task),
        caption=f"{runs} runs a method, {comparison.budget_s:g} s of device time each",
        numeric=tuple(range(1, len(HEADER))),
    )


def _row(method: str, summary: Summary) -> tuple[str, ...]:
    if summary.failed == summary.runs:
        return (method, f"0/{summary.runs}", "not run", *["-"] * (len(HEADER) - 3))
    quartiles = f"{seconds(summary.quartile_s)} to {seconds(summary.upper_quartile_s)}"
    if not math.isfinite(summary.quartile_s):
        quartiles = "-"
    return (
        method,
        _share(summary),
        f"{summary.rate_low:.0%} to {summary.rate_high:.0%}",
        f"{summary.verified}/{summary.runs}",
        seconds(summary.ert_s),
        seconds(summary.median_s),
        quartiles,
        f"{summary.measurements:.0f}",
        seconds(summary.wall_s / (summary.runs - summary.failed)),
    )


def _share(summary: Summary) -> str:
    return f"{summary.successes}/{summary.runs}"


def _times(
    comparison: Comparison, methods: Sequence[str], task: str | None
) -> dict[str, np.ndarray]:
    return {m: solution_times(comparison.of(m, task)) for m in methods}
