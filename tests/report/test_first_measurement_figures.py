"""Figures of the first measurements: true to their numbers, and the same bytes twice."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

import numpy as np
import pytest

from inmateria.bench.finding import Finding, plus_minus, sorted_findings
from inmateria.report.first_measurement_sections import count_findings, findings_section
from inmateria.report.gain_matrix import draw_gain_matrix
from inmateria.report.iv_curves import draw_iv_curves
from inmateria.report.noise_spectrum import draw_noise_spectrum
from inmateria.report.page import Page, render_page
from inmateria.report.stability_change import draw_stability
from inmateria.report.tone_delay import draw_tone_delay

F = np.linspace(0, 500, 126)


def spectrum() -> str:
    density = np.tile(1e-4 / np.maximum(F, 1) ** 1.5, (2, 1))
    return draw_noise_spectrum(
        F, density, outputs=("x", "y"), rms_na=(1.25, 0.5), lines=((), ((52.0, 0.3), (148.0, 0.1)))
    )


def matrix() -> str:
    gain = np.array([[25.9, 0.3, np.nan], [np.nan, np.nan, -4.2]])
    error = np.array([[0.5, 0.4, np.nan], [np.nan, np.nan, 0.2]])
    shorted = np.array([[False, False, True], [False, False, False]])
    return draw_gain_matrix(
        gain, error, terminals=("a", "b", "c"), outputs=("x", "y"), shorted=shorted,
        undriven=(0.6, np.nan), n_sigma=4.0,
    )  # fmt: skip


def delay() -> str:
    f = np.array([100.0, 200.0, 300.0])
    phase = -360 * np.outer([2e-3, -1e-4], f) % 360 - 180
    return draw_tone_delay(
        f, phase + 180, np.full((2, 3), 2.0), delay_s=(2e-3, -1e-4),
        titles=("x from a", "y from b"), notes=("20.00 samples", "-1.00 samples"),
    )  # fmt: skip


def sweeps() -> str:
    volts = np.tile(np.linspace(-1, 1, 21), (3, 1))
    return draw_iv_curves(
        volts, 20 * volts, names=("a", "b", "c"), back=20 * volts + 2, noise=(0.5, 0.5, 0.0)
    )


def stability() -> str:
    then = np.linspace(-20, 20, 12)
    now = then + 5 + np.where(np.arange(12) == 7, 3.0, 0.0)
    return draw_stability(then, now, offset_na=5.0, expected_na=0.5, output="x", verdict="changed")


ALL = [spectrum, matrix, delay, sweeps, stability]


@pytest.mark.parametrize("make", ALL, ids=lambda f: f.__name__)
def test_figures_are_repeatable_well_formed_and_described(make: Callable[[], str]) -> None:
    svg = make()
    assert make() == svg
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    assert len(root.get("aria-label") or "") > 20
    text = re.sub(r'xmlns(:\w+)?="[^"]*"', "", svg)
    assert "http" not in text
    assert "data:" not in text, "nothing is rasterised"
    assert "nan" not in svg.lower().replace("nanoampere", "")


def labels(svg: str) -> list[str]:
    return [e.text or "" for e in ET.fromstring(svg).iter() if e.tag.endswith("}text")]


def test_every_number_is_there() -> None:
    words = labels(matrix())
    for word in ("25.90", "± 0.50", "0.30", "short", "-4.20", "0.6", "nothing", "a", "b", "c"):
        assert word in words
    assert words.count("-") == 2, "what was clipped has no number"
    words = labels(spectrum())
    assert {"52 Hz", "148 Hz", "1.2 nA rms", "0.5 nA rms", "frequency (Hz)"} <= set(words)
    assert "mains 52 Hz, 148 Hz" in spectrum()
    assert "x 1.2 nA rms, mains none" in spectrum()
    assert {"rising", "falling", "voltage (V)", "current (nA)"} <= set(labels(sweeps()))
    assert any(w.startswith("changed; +5 nA in common") for w in labels(stability()))


def test_a_late_tone_is_drawn_on_its_line() -> None:
    """Phases are known but for whole turns; the axis has to reach where the line ends."""
    words = [w.replace("\N{MINUS SIGN}", "-") for w in labels(delay())]
    numbers = [float(w) for w in words if re.fullmatch(r"-?\d+", w)]
    # 2 ms at 300 Hz are 216 degrees.
    assert min(numbers) <= -200


def test_findings_say_what_is_wrong_first() -> None:
    found = sorted_findings(
        [Finding("good", "a"), Finding("look", "b"), Finding("wrong", "c"), Finding("good", "d")]
    )
    assert [f.text for f in found] == ["c", "b", "a", "d"]
    assert count_findings(found) == "1 wrong, 1 to look at, 2 good"
    page = render_page(Page("t", "r", {}, [findings_section([Finding("wrong", "a < b")])]))
    assert "<p>wrong: a &lt; b</p>" in page


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (-2.513, 1.28, "-2.5 ± 1.3"),
        (25.9, 0.553, "25.90 ± 0.55"),
        (1234.5, 321.0, "1234 ± 321"),
        (1.0, 0.0, "1.000 ± 0.000"),
    ],
)
def test_two_digits_of_an_error(value: float, error: float, text: str) -> None:
    assert plus_minus(value, error) == text
