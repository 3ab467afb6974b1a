"""Figures and sections of a survey: well-formed, true to their data, and drawable at the edges."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from inmateria.devices.device import Device, FloatArray, Terminal, check_voltage
from inmateria.errors import ConvergenceError
from inmateria.report.page import Page, Picture, Section, Table, render_page
from inmateria.report.survey_abundance import (
    axis_floor,
    draw_abundance,
    draw_margins,
    percent,
)
from inmateria.report.survey_components import draw_loadings, draw_overlaps, draw_spectrum
from inmateria.report.survey_devices import draw_devices
from inmateria.report.survey_indicators import draw_indicators, draw_responses
from inmateria.report.survey_parameter import draw_parameter
from inmateria.report.survey_sections import result_line, survey_sections
from inmateria.survey.abundance import VARYING
from inmateria.survey.device_survey import Criterion
from inmateria.survey.nonlinearity import BASIS, MODES
from inmateria.survey.samples import Protocol
from inmateria.survey.scan import Case, Survey, assemble, attempt

RNG = np.random.default_rng(8)
SHARE = np.array([0.22, 0.2, 0.01, 0.003, 0.0])
GATES = ("AND", "OR", "NAND", "XOR", "XNOR")


def abundance() -> str:
    return draw_abundance(GATES, SHARE, 0.5 * SHARE, 1.5 * SHARE + 0.001)


def margins() -> str:
    margin = np.array([0.0, 0.5, 1.0])
    curves = {gate: s * np.exp(-margin) for gate, s in zip(GATES, SHARE, strict=True)}
    return draw_margins(margin, curves, chosen=0.25)


def spectrum() -> str:
    share = RNG_SPECTRUM / RNG_SPECTRUM.sum(axis=1, keepdims=True)
    return draw_spectrum(share)


RNG_SPECTRUM = np.sort(RNG.uniform(0.01, 1, (12, 4)) ** 3, axis=1)[:, ::-1]


def overlaps() -> str:
    return draw_overlaps(np.eye(4), MODES)


def loadings() -> str:
    return draw_loadings(BASIS, [0.9, 0.06, 0.03, 0.01])


def devices() -> str:
    return draw_devices("012", [20.0, 3.0, 0.5], [[0.1, 0.0], [0.0, 0.2], [0.3, 0.3]],
                        inputs=("e2", "e6"))  # fmt: skip


INDICATORS = RNG.uniform(0, 0.5, (9, 3))
RESPONSES = RNG.normal(0, 0.5, (3, 400))


def indicators() -> str:
    return draw_indicators(INDICATORS, ("NDR of e2", "NDR of e6", "coupling"))


def all_responses() -> str:
    return draw_responses(dict(zip(("M1", "M2", "X"), RESPONSES, strict=True)))


def parameter() -> str:
    curve = ([0.2, 0.1], [0.1, 0.05], [0.3, 0.2])
    return draw_parameter(
        ("0.05", "0.1"), {"AND": curve, "XOR": ([0.01, 0.0], [0, 0], [0.02, 0.001])},
        {"coupling": curve, "current scale (nA)": curve}, parameter="disorder_ev",
    )  # fmt: skip


ALL = [
    abundance,
    margins,
    spectrum,
    overlaps,
    loadings,
    devices,
    indicators,
    all_responses,
    parameter,
]


@pytest.mark.parametrize("make", ALL, ids=lambda f: f.__name__)
def test_figures_are_well_formed_described_and_repeatable(make: Callable[[], str]) -> None:
    svg = make()
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    assert len(root.get("aria-label") or "") > 20
    assert make() == svg
    assert "mathdefault" not in svg, "ticks are text"
    assert "nan" not in re.sub(r"<[^>]*>", "", svg)
    assert "data:" not in svg
    assert len(svg) < 150_000


def test_bars_state_their_shares_and_bounds() -> None:
    svg = abundance()
    assert "22 %" in svg
    assert "0.30 %" in svg
    assert "none; below 0.10 %" in svg


def test_percent_keeps_two_digits() -> None:
    shares = (0.0, 1.0, 0.219, 0.0312, 0.004, 0.00012)
    assert [percent(s) for s in shares] == ["0 %", "100 %", "22 %", "3.1 %", "0.40 %", "0.012 %"]


def test_axis_reaches_below_what_occurs() -> None:
    assert axis_floor([0.2, 0.003, 0.0]) == pytest.approx(1e-3)
    assert axis_floor([0.2, 0.0012]) == pytest.approx(1e-4)
    assert axis_floor([0.0]) == pytest.approx(1e-2)


def test_nothing_at_all_can_be_drawn() -> None:
    zero = np.zeros(14)
    ET.fromstring(draw_abundance(VARYING, zero, zero, zero + 0.01))
    ET.fromstring(draw_margins([0.0, 1.0], {"AND": [0, 0]}))
    ET.fromstring(draw_spectrum(np.zeros((1, 4))))
    ET.fromstring(draw_devices(["0"], [0.0], [[0.0, 0.0]], inputs=("a", "b")))
    ET.fromstring(draw_indicators([[0.5, 0.5, np.inf]], ("a", "b", "c")))
    ET.fromstring(draw_responses({"M1": np.zeros(3)}))


def test_many_devices_share_an_axis() -> None:
    labels = [str(100 + k) for k in range(80)]
    svg = draw_devices(labels, np.linspace(1, 90, 80), np.zeros((80, 2)), inputs=("e2", "e6"))
    assert 3 <= sum(f">{label}<" in svg for label in labels) < 20


class Bent:
    """Terminals a to d; tanh of a sum and a product, other for every seed."""

    def __init__(self, seed: int) -> None:
        self.terminals = tuple(Terminal(name) for name in "abcd")
        self.outputs = ("out",)
        self.weights = np.random.default_rng(seed).normal(0, 2, (3, 4))

    def current(self, voltage: ArrayLike) -> FloatArray:
        inner = np.tanh(check_voltage(self.terminals, voltage) @ self.weights.T)
        return (inner[..., :1] + inner[..., 1:2] * inner[..., 2:]) * 7.0

    def describe(self) -> dict[str, Any]:
        return {"kind": "bent"}


def draw_bent(case: Case) -> Device:
    if case.seed == 1:
        raise ConvergenceError("<b>residual</b> 1e-3")
    return Bent(case.seed or 0)


def survey_of(cases: list[Case]) -> Survey:
    protocol = Protocol(("a", "b"), settings=60, points=50, sweeps=6, sweep_points=11)
    outcomes = [(case, attempt(case, draw_bent, protocol)) for case in cases]
    return assemble(outcomes, protocol, Criterion())


def tables(sections: list[Section]) -> list[Table]:
    return [b for section in sections for b in section.blocks if isinstance(b, Table)]


def test_sections_of_several_devices_name_those_that_failed() -> None:
    survey = survey_of([Case(seed) for seed in range(5)])
    sections = survey_sections(survey)
    html = render_page(Page("t", result_line(survey), {}, sections))
    assert result_line(survey).startswith("4 devices, 1 failed: AND ")
    assert "&lt;b&gt;residual&lt;/b&gt;" in html
    assert "Not surveyed: 1 of 5" in html
    assert [section.title for section in sections] == [
        "Gates",
        "Non-linearity",
        "Principal components",
        "Current and negative differential resistance",
        "Devices",
    ]
    gates = next(t for t in tables(sections) if t.header[0] == "gate")
    assert {row[0] for row in gates.rows} == {*VARYING, "constant"}
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    table = tables(sections)[-2]
    column = table.header.index("XOR")
    counts = [device.counts["XOR"] for _, device in survey.devices]
    assert [row[column] for row in table.rows] == [str(n) for n in counts]
    assert sum(counts) > 0


def test_a_scanned_parameter_has_a_section_of_its_own() -> None:
    cases = [Case(seed, (("disorder_ev", x),)) for x in (0.05, 0.1) for seed in (0, 2)]
    sections = survey_sections(survey_of(cases))
    assert sections[1].title == "Against disorder_ev"
    bars = [b for b in sections[0].blocks if isinstance(b, Picture)]
    assert len(bars) == 2
    gates = tables(sections)[0]
    assert gates.header[1::2] == ["disorder_ev 0.05", "disorder_ev 0.1"]
    assert len({len(row) for row in gates.rows} | {len(gates.header)}) == 1


def test_one_device_shows_its_indicators_with_errors() -> None:
    sections = survey_sections(survey_of([Case(None)]))
    found = next(t for t in tables(sections) if t.header[0] == "indicator")
    assert [row[0] for row in found.rows] == ["NDR of a", "NDR of b", "coupling"]
    render_page(Page("t", "r", {}, sections))
