"""Figures and sections on a surrogate and its device: true to their numbers."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np

from inmateria.report.agreement import draw_agreement, draw_before_after
from inmateria.report.agreement_section import agreement_section, refit_section
from inmateria.report.page import Page, Picture, Table, render_page
from inmateria.surrogates.correction import Correction
from inmateria.surrogates.fit import FitError
from inmateria.surrogates.refit import Refit
from inmateria.surrogates.refit_steps import Step
from inmateria.training.agreement import Agreement, Levels
from inmateria.training.difference import difference

RNG = np.random.default_rng(4)
PREDICTED = 20 * RNG.standard_normal(120)
MEASURED = 1.1 * PREDICTED + 2.0
AGAIN = MEASURED[:30] + 0.2


def agreement(verdict_na: float) -> Agreement:
    levels = Levels(
        ("a",), ("out",), np.zeros((120, 1)), MEASURED[:, None], AGAIN[:, None], 3, 5.0,
        "simulation", {},
    )  # fmt: skip
    found = difference(MEASURED, PREDICTED, AGAIN, output="out", stated_na=verdict_na)
    return Agreement(levels, ("out",), MEASURED[:, None], PREDICTED[:, None], (found,), True)


def figure() -> str:
    return draw_agreement(
        MEASURED, PREDICTED, AGAIN, offset_na=2.0, gain=1.1, allowed_na=0.5, stretch=10
    )


def test_figures_are_the_same_bytes_twice_and_well_formed() -> None:
    for draw in (
        figure,
        lambda: draw_before_after(MEASURED, MEASURED - PREDICTED, AGAIN[0] - MEASURED),
    ):
        svg = draw()
        assert svg == draw()
        ET.fromstring(svg)
        assert "http://www.w3.org/1999/xlink" in svg
        assert not re.search(r"(href|src)=\"http", svg)


def test_what_is_said_of_a_figure_is_its_data() -> None:
    away = MEASURED - PREDICTED
    assert f"rms {np.sqrt(np.mean(away**2)):.3g} nA, offset 2 nA, gain 1.100" in figure()
    assert "120 random points" in figure()
    svg = draw_before_after(MEASURED, np.full(120, 2.0), np.full(120, 0.5))
    assert "rms 2 nA with the old surrogate, 0.5 nA with the refitted one" in svg


def test_the_section_shows_verdict_and_numbers() -> None:
    found = agreement(0.1)
    section = agreement_section(found, found.sentence())
    (table,) = [b for b in section.blocks if isinstance(b, Table)]
    (row,) = table.rows
    shown = dict(zip(table.header, row, strict=True))
    assert shown["verdict"] == "parted"
    assert shown["gain"].startswith("1.100 ")
    assert shown["offset"].startswith(f"{found.differences[0].offset_na:+.2g} ")
    assert shown["stated error"] == "0.1 nA"
    assert "3 left out" in table.caption
    assert sum(isinstance(b, Picture) for b in section.blocks) == 1


def test_a_refit_shows_its_steps() -> None:
    correction = Correction((1.05,), (1.2,), (1.01, 0.98), (0.002, -0.003), (1.5,), (0.7,))
    steps = (
        Step("offset", 1.5, float("nan"), True),
        Step("outputs", 0.9, 8.9, True),
        Step("terminals", 0.9, -0.7, False),
        Step("weights", 0.8, 2.5, True),
    )
    history = [
        {"epoch": k, "train_na": 1.0 / k, "validation_na": 1.2 / k, "learning_rate": 1e-3,
         "seconds": 0.1} for k in (1, 2, 3)
    ]  # fmt: skip
    error = FitError(1.0, 0.05, 100)
    refit = Refit(None, error, error, steps, correction, history, np.ones(3, bool))  # type: ignore[arg-type]
    away = MEASURED - PREDICTED
    section = refit_section(
        refit,
        held_out=(MEASURED, away, 0.5 * away),
        random_points=(MEASURED, away, 0.4 * away),
        terminals=("a", "b"),
        outputs=("out",),
    )
    first, second = [b for b in section.blocks if isinstance(b, Table)]
    assert [row[-1] for row in first.rows] == ["yes", "yes", "no", "yes"]
    assert first.rows[0][2] == ""
    assert list(second.rows[0]) == ["out", "gain 1.0500", "+1.2 nA (found +1.5 +- 0.7 nA)"]
    assert list(second.rows[2]) == ["b", "factor 0.9800", "-3 mV"]
    assert sum(isinstance(b, Picture) for b in section.blocks) == 3
    text = render_page(Page("Refit", "done", {}, [section]))
    ids = re.findall(r'id="([^"]+)"', text)
    assert len(set(ids)) == len(ids)
