"""Sections of a page where there is no steady state to ask for: only what was measured is drawn."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from inmateria.devices.device import Terminal
from inmateria.report import task_sections
from inmateria.report.device_section import device_section
from inmateria.report.page import Picture, Table
from inmateria.report.sphere_section import sphere_section
from inmateria.report.task_sections import ring_section
from inmateria.tasks.ring import Ring
from inmateria.tasks.sphere import Sphere

BENCH = SimpleNamespace(terminals=tuple(Terminal(f"e{i}") for i in range(1, 6)), outputs=("e0",))


def measured(task: Ring | Sphere) -> Any:
    """A verification whose levels are a plane over the inputs, in nA."""
    level = task.points @ np.arange(3.0, 3.0 + task.points.shape[1]) + 1.0
    return SimpleNamespace(
        task=task.name, inputs=task.inputs, points=task.points, target=task.target,
        level_na=level, threshold_na=1.0, passed=False, accuracy=0.5,
        controls={"e4": 0.25}, reasons=(),
    )  # fmt: skip


def test_a_ring_is_interpolated_between_its_points(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, Any] = {}
    original = task_sections.draw_ring_map

    def draw(*positional: Any, **named: Any) -> str:
        drawn.update(named)
        return original(*positional, **named)

    monkeypatch.setattr(task_sections, "draw_ring_map", draw)
    section = ring_section(measured(Ring(("e1", "e2"))), BENCH)
    x, y = np.meshgrid(*drawn["grid_v"])
    # Linear between points of a plane: the plane, wherever the points surround it.
    inside = np.hypot(x, y) < 0.3
    assert inside.any()
    plane = 3 * x + 4 * y + 1
    np.testing.assert_allclose(drawn["response_na"][inside], plane[inside], atol=1e-9)
    assert np.isfinite(drawn["response_na"]).all()
    (picture,) = section.blocks
    assert isinstance(picture, Picture)
    assert "interpolated between them" in picture.caption
    assert "drifted" not in picture.caption


def test_a_sphere_has_no_slices() -> None:
    task = Sphere(("e1", "e2", "e3"), n_train=40, n_test=60)
    (picture,) = sphere_section(measured(task), BENCH).blocks
    assert isinstance(picture, Picture)
    assert picture.svg.count("<svg") == 1
    assert "Drawn: all points" in picture.caption
    assert "drifted" not in picture.caption


def test_a_bench_without_a_surrogate_has_its_ranges_alone() -> None:
    bench = replace(BENCH.terminals[0], high_v=0.4), *BENCH.terminals[1:]
    place = SimpleNamespace(terminals=bench, outputs=("e0",))
    (table,) = device_section(place, inputs=("e1",)).blocks
    assert isinstance(table, Table)
    assert table.rows[0] == ("e1", "input", "-1", "0.4")
