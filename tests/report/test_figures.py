"""Figures: the same bytes twice, well-formed, self-contained, and true to their data."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

import matplotlib
import numpy as np
import pytest

from inmateria.report.device_map import draw_device_map
from inmateria.report.envelope import envelope
from inmateria.report.gate_strip import Plateau, draw_gate_strip
from inmateria.report.iv_curves import draw_iv_curves
from inmateria.report.learning_curve import draw_learning_curve
from inmateria.report.ring_map import draw_ring_map
from inmateria.report.surrogate_error import draw_surrogate_error

NAMES = [f"e{i}" for i in range(8)]


def device_map() -> str:
    rng = np.random.default_rng(1)
    angle = np.radians(45.0 * np.arange(8))
    rim = 150.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return draw_device_map(
        rng.uniform(-90, 90, (30, 2)),
        rim,
        electrode_names=NAMES,
        radius_nm=150.0,
        donor_xy_nm=rng.uniform(-90, 90, (3, 2)),
        outputs=["e0"],
        inputs=["e2", "e6"],
    )


def iv_curves() -> str:
    volts = np.tile(np.linspace(-1, 1, 41), (7, 1))
    return draw_iv_curves(volts, 20 * volts**3, names=NAMES[1:], predicted=19 * volts**3)


def surrogate_error() -> str:
    rng = np.random.default_rng(2)
    truth = rng.normal(0, 20, 4000)
    return draw_surrogate_error(truth, truth + 0.5)


def learning_curve() -> str:
    return draw_learning_curve(np.arange(5), {"training": [5, 4, 3, 2, 1], "validation": [6] * 5})


def gate_strip() -> str:
    time = np.arange(4000) * 1e-4
    levels = (-5.0, 12.0, 13.0, -4.0)
    plateaus = [
        Plateau(0.1 * k, 0.1 * k + 0.1, (k > 1, k % 2 == 1), k in (1, 2), levels[k])
        for k in range(4)
    ]
    trace = np.repeat(levels, 1000)
    return draw_gate_strip(
        time, trace, plateaus, gate="XOR", verdict="margin 16 nA", threshold_na=4.0
    )


def ring_map() -> str:
    axis = np.linspace(-0.8, 0.8, 30)
    x, y = np.meshgrid(axis, axis)
    points = np.array([[0.0, 0.1], [0.5, 0.5], [0.1, 0.0], [-0.6, 0.2]])
    return draw_ring_map(
        points,
        np.array([True, False, True, False]),
        np.array([True, True, True, False]),
        grid_v=(axis, axis),
        response_na=np.exp(-(x**2 + y**2)),
        threshold_na=0.8,
        input_names=("e2", "e6"),
    )


ALL = [device_map, iv_curves, surrogate_error, learning_curve, gate_strip, ring_map]


@pytest.fixture(scope="module", params=ALL, ids=lambda f: f.__name__)
def figure(request: pytest.FixtureRequest) -> tuple[Callable[[], str], str]:
    return request.param, request.param()


def test_same_input_gives_the_same_bytes(figure: tuple[Callable[[], str], str]) -> None:
    make, first = figure
    assert make() == first


def test_svg_is_well_formed_and_described(figure: tuple[Callable[[], str], str]) -> None:
    root = ET.fromstring(figure[1])
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("role") == "img"
    assert len(root.get("aria-label") or "") > 20
    assert any(element.tag.endswith("}text") for element in root.iter())


def test_svg_fetches_and_runs_nothing(figure: tuple[Callable[[], str], str]) -> None:
    text = re.sub(r'xmlns(:\w+)?="[^"]*"', "", figure[1])
    assert "http" not in text
    assert "<script" not in text
    assert "data:" not in text, "nothing is rasterised"
    assert len(text) < 120_000


def test_user_settings_of_matplotlib_change_nothing() -> None:
    before = gate_strip()
    with matplotlib.rc_context({"font.size": 30, "axes.grid": False, "lines.linewidth": 9}):
        assert gate_strip() == before
        assert matplotlib.rcParams["font.size"] == 30


def test_ids_do_not_clash_between_figures() -> None:
    ids = [set(re.findall(r' id="([^"]+)"', make())) for make in ALL]
    assert sum(len(one) for one in ids) == len(set().union(*ids)) > 0


def test_surrogate_error_states_the_offset_as_rmse() -> None:
    # Every residual is exactly 0.5 nA.
    assert "RMSE 0.5 nA" in surrogate_error()


def test_ring_map_counts_the_points_on_their_side() -> None:
    assert "3 of 4 points" in ring_map()


def test_names_are_escaped() -> None:
    volts = np.tile(np.linspace(-1, 1, 5), (1, 1))
    ET.fromstring(draw_iv_curves(volts, volts, names=['<b>"&']))


def test_flat_data_can_be_drawn() -> None:
    ET.fromstring(draw_surrogate_error(np.zeros(10), np.zeros(10)))
    flat = np.zeros((3, 3))
    ET.fromstring(
        draw_ring_map(
            np.zeros((2, 2)),
            np.array([True, False]),
            np.array([True, False]),
            grid_v=([0, 1, 2], [0, 1, 2]),
            response_na=flat,
            threshold_na=0.0,
        )
    )


def test_envelope_keeps_extremes_and_order() -> None:
    rng = np.random.default_rng(3)
    value = rng.normal(size=10_000)
    value[[1234, 7777]] = 50.0, -50.0
    time, kept = envelope(np.arange(10_000.0), value, n_buckets=100)
    assert time.size <= 200
    assert np.all(np.diff(time) > 0)
    assert kept.max() == 50.0
    assert kept.min() == -50.0
    np.testing.assert_array_equal(value[time.astype(int)], kept)


def test_envelope_leaves_short_traces_alone() -> None:
    time, value = envelope([0, 1, 2], [5, 6, 7])
    np.testing.assert_array_equal(time, [0, 1, 2])
    np.testing.assert_array_equal(value, [5, 6, 7])
