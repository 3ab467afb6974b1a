"""Figures of a training on a device: true to their data, self-contained, the same bytes twice."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray, Terminal
from inmateria.report.gradient_history import draw_gradient_history
from inmateria.report.search_curve import draw_search_curve
from inmateria.report.search_sections import kept_row
from inmateria.report.sphere_map import Slice, draw_sphere_map
from inmateria.report.task_sections import drift_of
from inmateria.report.tone_spectrum import draw_tone_spectrum
from inmateria.signals.spectra import power_spectrum
from inmateria.training.verification import Verification

CONTROLS = ("e1", "e3", "e5")
AXIS = np.linspace(-0.7, 0.7, 21)


def search_curve() -> str:
    step = np.arange(50)
    loss = np.where(step < 30, 3.0 * 0.9**step, 2.0 * 0.7 ** (step - 30))
    return draw_search_curve(step, loss, 5 - loss, device_s=0.5 * (step + 1), goal=2.0,
                             restarts=[30])  # fmt: skip


def gradient_history() -> str:
    value = np.broadcast_to([10.0, -3.0, 0.5], (40, 4, 3))
    return draw_gradient_history(np.arange(40), value, np.ones_like(value), controls=CONTROLS)


def tone_spectrum() -> str:
    time = np.arange(20_000) / 1e4
    tones = np.array([910.0, 930.0, 950.0])
    amplitude = np.array([0.3, 0.1, 0.03])
    current = (amplitude[:, None] * np.sin(2 * np.pi * tones[:, None] * time)).sum(axis=0)
    current += 1e-3 * np.random.default_rng(0).standard_normal(time.size)
    seen = power_spectrum(current, 1e4, segment_s=0.5)
    # A sine of amplitude A under a Hann window stands at A^2 / 2 over 1.5 bins of 2 Hz; noise
    # 30 dB below that makes the text of the figure known beforehand.
    noise = amplitude**2 / 2 / (1.5 * 2.0) / 1e3
    return draw_tone_spectrum(
        seen.frequency_hz, seen.density, tones_hz=tones, controls=CONTROLS, noise=noise
    )


def sphere_map() -> str:
    x, y = np.meshgrid(AXIS, AXIS)
    part = Slice(("e2", "e4"), (AXIS, AXIS), 10 * (x**2 + y**2), (0.0, 0.0), (0.7, 0.7))
    return draw_sphere_map(
        [0.1, 0.3, 0.45, 0.8, 0.9],
        [1.0, 2.0, 9.0, 8.0, 9.0],
        [False, False, False, True, True],
        slices=[part] * 3,
        borders=(0.5, 0.7),
        threshold_na=5.0,
    )


ALL = [search_curve, gradient_history, tone_spectrum, sphere_map]


def described(svg: str) -> str:
    return ET.fromstring(svg).get("aria-label") or ""


@pytest.mark.parametrize("make", ALL, ids=lambda f: f.__name__)
def test_figures_are_well_formed_self_contained_and_repeatable(make: Callable[[], str]) -> None:
    svg = make()
    assert make() == svg
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    text = re.sub(r'xmlns(:\w+)?="[^"]*"', "", svg)
    assert not any(word in text for word in ("http", "<script", "data:"))


def test_ids_do_not_clash_between_figures() -> None:
    ids = [set(re.findall(r' id="([^"]+)"', make())) for make in ALL]
    assert sum(len(one) for one in ids) == len(set().union(*ids)) > 0


def test_search_curve_keeps_the_lowest_loss_of_all_restarts() -> None:
    # 3 x 0.9^29 = 0.141 ends the first search; the second falls below it and ends at
    # 2 x 0.7^19 = 0.00228.
    said = described(search_curve())
    assert "lowest loss 0.00228 at iteration 49, kept iteration 49" in said
    assert "new starts: 1" in said
    assert "25 s on the device" in said


@pytest.mark.parametrize("loss", [[-1.0, -2.0, -3.0], [0.0, 0.0, 0.0], [2.0, np.nan, 1.0], [2.0]])
def test_any_losses_can_be_drawn(loss: list[float]) -> None:
    steps = np.arange(len(loss))
    ET.fromstring(draw_search_curve(steps, loss, loss, device_s=steps))


def test_gradients_are_held_against_their_noise() -> None:
    # Every standard error is 1 nA/V.
    said = described(gradient_history())
    assert "e1 10 nA/V, 10 times the noise" in said
    assert "e5 0.5 nA/V, 0.5 times the noise" in said


def test_noise_alone_has_a_signal_to_noise_of_one() -> None:
    # Root mean square over 400 operating points of standard normal numbers: 1 +- 0.035, and
    # the median of 30 of them within 0.01 of 1; two digits show 1 (or 0.99).
    value = np.random.default_rng(1).standard_normal((30, 400, 1))
    svg = draw_gradient_history(np.arange(30), value, np.ones_like(value), controls=["e1"])
    assert re.search(r"(1|0\.99) times the noise", described(svg))


def test_gradients_that_were_not_measured_leave_gaps() -> None:
    value = np.ones((5, 2, 3))
    error = np.full_like(value, np.nan)
    value[2] = np.nan
    said = described(draw_gradient_history(np.arange(5), value, error, controls=CONTROLS))
    assert "1 nA/V" in said
    assert "\u2013 times the noise" in said


def test_long_searches_stay_small() -> None:
    value = np.random.default_rng(2).standard_normal((900, 4, 3))
    svg = draw_gradient_history(np.arange(900), value, np.abs(value), controls=CONTROLS)
    assert len(svg) < 250_000


def test_tones_stand_above_the_noise_by_what_was_played() -> None:
    assert "e1 910 Hz 30 dB" in described(tone_spectrum())
    assert "e5 950 Hz 30 dB" in described(tone_spectrum())


def test_controls_that_take_turns_share_a_tone() -> None:
    f = np.arange(0, 500, 2.0)
    svg = draw_tone_spectrum(
        f, np.ones_like(f), tones_hz=[100.0] * 3, controls=CONTROLS, noise=[0.1] * 3
    )
    assert "e1 e3 e5" in svg


def test_drift_of_a_series_is_what_its_points_share() -> None:
    class Plane:
        terminals = tuple(Terminal(f"e{i}") for i in range(1, 4))
        outputs = ("e0",)

        def current(self, voltage: ArrayLike) -> FloatArray:
            return np.asarray(np.asarray(voltage) @ [1.0, 10.0, 100.0])[..., None]

        def describe(self) -> dict[str, Any]:
            return {}

    points = np.array([[0.1, 0.2], [-0.3, 0.4], [0.5, 0.0]])
    # Inputs e3 and e1, control e2 at 0.5 V, 3 nA of drift, and one point off by itself.
    level = points @ [100.0, 1.0] + 5.0 + 3.0 + np.array([0.0, 0.0, 40.0])
    measured = SimpleNamespace(
        points=points, inputs=("e3", "e1"), controls={"e2": 0.5}, level_na=level
    )
    assert drift_of(cast(Verification, measured), Plane()) == pytest.approx(3.0)


def test_sphere_map_counts_points_on_their_side() -> None:
    assert "4 of 5 points" in described(sphere_map())


def test_kept_is_what_passes_then_the_lowest_loss() -> None:
    rows = [
        {"step": 1.0, "passed": 0.0},  # clipped: no loss
        {"step": 2.0, "loss": 0.1, "passed": 0.0},
        {"step": 3.0, "loss": 0.4, "passed": 1.0},
        {"step": 4.0, "loss": 0.3, "passed": 1.0},
        {"step": 5.0, "loss": 0.3, "passed": 1.0},
    ]
    assert kept_row(rows) == 3
    assert kept_row(rows[:2]) == 1
