"""Figures of reconstructions: the same bytes twice, well-formed, true to their numbers."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import pytest
import xarray as xr

from inmateria.data.reconstruction_file import QUANTITIES
from inmateria.datasets.settings import GasSettings
from inmateria.report import reconstruction_sections
from inmateria.report.page import Page, render_page
from inmateria.report.reconstruction_calibration import draw_coverage, draw_error_over_uncertainty
from inmateria.report.reconstruction_histogram import draw_correlation_histogram
from inmateria.report.reconstruction_judged import error_rows, judged_line
from inmateria.report.reconstruction_learning import draw_losses
from inmateria.report.reconstruction_maps import draw_image, draw_potential, draw_uncertainty
from inmateria.report.reconstruction_result import (
    dopants_line,
    plus_minus,
    result_line,
    table,
)
from inmateria.report.reconstruction_scatter import draw_numbers, draw_parameter_errors
from inmateria.report.reconstruction_sections import result_sections
from inmateria.report.transport_maps import Plan

PLAN = Plan(300.0, 200.0, 5.0, (17.5, 57.5), (-2.5, 197.5))
RNG = np.random.default_rng(4)
NOISE = RNG.normal(size=(30, 20))
LEVELS = np.array([0.1, 0.5, 0.9])


def losses() -> str:
    return draw_losses([0.5, 0.1, -0.3], [0.4, -0.2, -0.1], loss="likelihood")


def histogram() -> str:
    return draw_correlation_histogram(1 - 0.02 * RNG.uniform(size=40))


def coverage() -> str:
    return draw_coverage(LEVELS, LEVELS + np.array([0.02, 0.05, -0.01]))


def spread() -> str:
    sigma = np.linspace(0.1, 0.5, 3000)
    return draw_error_over_uncertainty(sigma, 2 * sigma)


def numbers() -> str:
    true = np.random.default_rng(1).uniform(1, 2, (50, 3))
    return draw_numbers(1.1 * true, true, ["a (nm)", "b (meV)", "c"])


def parameters() -> str:
    s = np.linspace(-0.1, 0.1, 30)
    return draw_parameter_errors(s, 2 * s, slope=2.0)


def image() -> str:
    return draw_image(NOISE**2, PLAN, name="image", units="1/t")


def potential() -> str:
    return draw_potential(NOISE, PLAN, name="potential", limit=2.0)


def uncertainty() -> str:
    return draw_uncertainty(NOISE**2, PLAN, name="uncertainty")


ALL = [losses, coverage, spread, numbers, parameters, image, potential, uncertainty]


@pytest.mark.parametrize("make", ALL, ids=lambda f: f.__name__)
def test_a_figure_is_reproducible_described_and_fetches_nothing(make: Callable[[], str]) -> None:
    svg = make()
    assert make() == svg
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    assert len(root.get("aria-label") or "") > 20
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", svg)


def test_ids_do_not_clash() -> None:
    ids = [set(re.findall(r' id="([^"]+)"', make())) for make in [*ALL, histogram]]
    assert sum(len(one) for one in ids) == len(set().union(*ids)) > 0


def test_the_best_epoch_is_the_lowest_of_validation() -> None:
    svg = losses()
    assert "kept: epoch 2" in svg
    assert "the lowest validation loss is -0.2 in epoch 2" in svg


def test_what_is_said_of_figures_is_what_they_show() -> None:
    assert "5.0% where 50% was meant" in coverage()
    # Errors twice their uncertainty, in groups of equal size.
    svg = spread()
    assert "12 groups" in svg
    first, last = re.findall(r"([\d.]+) meV at ([\d.]+) meV", svg)
    for error, sigma in (first, last):
        assert float(error) == pytest.approx(2 * float(sigma), rel=0.02)
    assert "correlated by 1.00" in parameters()
    text = draw_correlation_histogram([0.5, 0.9, np.nan, 0.95])
    assert "over 3 samples: median 0.9000, lowest 0.5000" in text


def test_extremes_can_be_drawn() -> None:
    for svg in (
        draw_correlation_histogram([]),
        draw_correlation_histogram([-0.3]),
        draw_error_over_uncertainty(np.full(3, 0.1), np.zeros(3)),
        draw_numbers([[np.nan], [2.0]], [[1.0], [2.0]], ["a"]),
        draw_parameter_errors([0.1], [0.1], slope=1.0),
        draw_losses([1.0], [1.0], loss="squared"),
        draw_uncertainty(np.zeros((4, 3)), PLAN, name="u"),
        draw_image(NOISE, PLAN, name="i", units="1"),
    ):
        ET.fromstring(svg)


def dataset(n: int, *, kind: str = "potential", strange: int = 0) -> xr.Dataset:
    """Results of `n` images with everything that a report can show; random numbers."""
    sizes = {
        "sample": n, "x": 16, "y": 12, "potential_x": 8, "potential_y": 6, "site_x": 32,
        "site_y": 24, "coefficient": 5,
    }  # fmt: skip
    kinds = {
        "potential": lambda name: not name.startswith("coef"),
        "parameters": lambda name: (
            name.startswith(("dop", "dens", "rms", "corr", "image")) and "_sd_" not in name
        ),
        "coefficients": lambda name: name.startswith(("coefficient", "image")),
    }
    rng = np.random.default_rng(7)
    variables = {
        name: (q.dims, rng.uniform(0, 1, [sizes[dim] for dim in q.dims]))
        for name, q in QUANTITIES.items()
        if kinds[kind](name)
    }
    gas = GasSettings(n_x=32, n_y=24).gas()
    warnings = ["unlike the training set: the spread"] * strange + [""] * (n - strange)
    attrs = {
        "gas": json.dumps(asdict(gas)), "image_units": "1/t", "warnings": json.dumps(warnings),
    }  # fmt: skip
    found = xr.Dataset(variables, attrs=attrs)
    if kind != "potential":
        found["x"], found["y"] = ("x", np.arange(16.0)), ("y", np.arange(12.0))
    return found


@pytest.fixture
def one_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps of a single image: they take a quarter of a second each."""
    monkeypatch.setattr(reconstruction_sections, "MOST_SHOWN", 1)


def test_a_page_shows_some_images_and_all_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconstruction_sections, "MOST_SHOWN", 2)
    html = render_page(Page("t", "r", {}, result_sections(dataset(9))))
    assert html.count("<svg") == 6 * 2
    assert html.count('<th scope="row">') == 9
    assert len(html) < 3e6


@pytest.mark.usefixtures("one_shown")
def test_a_refinement_that_failed_is_not_called_good() -> None:
    found = dataset(3)
    found["refined_misfit"] = ("sample", np.array([np.nan, 0.5, 0.02]))
    found["image_noise"] = ("sample", np.zeros(3))
    html = render_page(Page("t", "r", {}, result_sections(found)))
    assert "Below it: 1 of 3." in html
    # What noise explains is not held against the potential.
    found["image_noise"] = 0.6 * found["image"].std(("x", "y"))
    html = render_page(Page("t", "r", {}, result_sections(found)))
    assert "the image&#x27;s noise, 0.6" in html or "the image's noise, 0.6" in html
    assert "Below it: 2 of 3." in html
    found["image_noise"] = ("sample", np.zeros(3))
    # The image that is shown is not refined yet: its computed image is not drawn.
    assert "misfit nan" not in html
    assert html.count("<svg") == 5
    unrefined = found.drop_vars(
        [str(n) for n in found if str(n).startswith(("refined", "spectrum"))]
    )
    assert "--refine" in render_page(Page("t", "r", {}, result_sections(unrefined)))


@pytest.mark.usefixtures("one_shown")
@pytest.mark.parametrize("kind", ["potential", "parameters", "coefficients"])
def test_lines_and_rows(kind: str) -> None:
    found = dataset(4, kind=kind, strange=2)
    assert result_line(found).endswith("2 of 4 are unlike the training set: not to be trusted")
    header, lines = table(found)
    assert header[-1] == "unlike"
    assert all(len(row) == len(header) for row in lines)
    assert [row[0] for row in lines] == ["0", "1", "2", "3"]
    assert [row[-1] for row in lines] == ["yes", "yes", "", ""]
    html = render_page(Page("t", "r", {}, result_sections(found)))
    assert "Image 1 is unlike the training set" in html


def test_dopants_are_told_where_they_are_known() -> None:
    """Not of a wrong minimum, of another spectrum, or of what is not refined yet."""
    found = dataset(4, kind="potential")
    found["refined_misfit"] = ("sample", [0.01, 0.5, 0.01, np.nan])
    found["spectrum_misfit"] = ("sample", [1.0, 1.0, 9.0, np.nan])
    for name, value in (
        ("dopant_spacing_nm", 51.26), ("dopant_spacing_sd_nm", 2.04),
        ("density_per_cm2", 1.234e12), ("density_sd_per_cm2", 0.21e12),
    ):  # fmt: skip
        found[name] = ("sample", np.full(4, value))
    found["image_noise"] = 0.05 * found["image"].mean(("x", "y"))
    loud = found.assign(image_noise=0.1 * found["image"].mean(("x", "y")))
    assert "s (nm)" not in table(loud)[0]
    header, lines = table(found)
    s, density = header.index("s (nm)"), header.index("N_d (1/cm²)")
    assert [row[s] for row in lines] == ["51.3 ± 2.0", "", "", ""]
    assert [row[density] for row in lines] == ["(1.23 ± 0.21) × 10¹²", "", "", ""]
    told = [dopants_line(found, i) for i in range(4)]
    assert told[0] == "as of dopants 51.3 ± 2.0 nm away, (1.23 ± 0.21) × 10¹² per cm²"
    assert told[1:] == ["", "its spectrum is not that of remote dopants", ""]


@pytest.mark.parametrize(
    ("value", "deviation", "text"),
    [
        (51.26, 2.04, "51.3 ± 2.0"),
        (51.26, 12.3, "51 ± 12"),
        (0.0512, 0.0013, "0.0512 ± 0.0013"),
        (1.234e12, 2.1e11, "(1.23 ± 0.21) × 10¹²"),
        (-3.0, 0.0, "-3 ± 0"),
        (0.0, 0.5, "0.00 ± 0.50"),
    ],
)
def test_a_number_and_its_deviation(value: float, deviation: float, text: str) -> None:
    assert plus_minus(value, deviation) == text


def test_errors_in_words() -> None:
    summary = {
        "samples": 8, "r_median": 0.98, "r_lowest": 0.9, "rms_error_mev": 0.2,
        "relative_rms_error": 0.14, "coverage_90": None,
    }  # fmt: skip
    assert judged_line(summary) == (
        "r = 0.9800 in the median of 8 samples, 0.9000 at worst; rms error 0.2 meV (14.0%)"
    )
    names = [row[0] for row in error_rows(summary)]
    assert "90 % coverage" not in names
    assert len(names) == 5
