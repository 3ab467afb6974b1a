"""Maps of an electron gas: the same bytes twice, right way up, true to their numbers, small."""

from __future__ import annotations

import base64
import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray
from PIL import Image

from inmateria.data.transport_file import QUANTITIES
from inmateria.report.page import Page, render_page
from inmateria.report.transport_curve import draw_transmission_curve
from inmateria.report.transport_maps import (
    MOST_PIXELS,
    Plan,
    brightest,
    draw_gate_map,
    draw_pldos_map,
    draw_potential_map,
)
from inmateria.report.transport_sections import transport_sections
from inmateria.report.transport_speed import COLUMNS, Timing, cells, draw_speed

# 60 x 40 sites of 5 nm, a source on rows 4 to 11, a drain on all.
PLAN = Plan(300.0, 200.0, 5.0, (17.5, 57.5), (-2.5, 197.5))
SHAPE = (60, 40)
LIGHT = (1.0, 1.0, 1.0)
RNG = np.random.default_rng(4)
NOISE = RNG.normal(size=SHAPE)


def potential() -> str:
    return draw_potential_map(NOISE, PLAN)


def pldos() -> str:
    return draw_pldos_map(NOISE**2, PLAN)


def gate() -> str:
    return draw_gate_map(
        NOISE[::2, ::2], PLAN, tip_nm=(10.0 * np.arange(30), 10.0 * np.arange(20)), tip_width_nm=20
    )


def curve() -> str:
    energy = np.linspace(1, 9, 30)
    return draw_transmission_curve(energy, 0.4 * energy, np.floor(energy), fermi_mev=5.6)


def speed() -> str:
    return draw_speed([timing(a, c) for a in (1e-2, 1e-4) for c in (1, 2)])


def timing(accuracy: float, cores: int) -> Timing:
    rate = 10.0 * cores
    return Timing(
        accuracy, cores, 16, rate, 0.9 * rate, 1.1 * rate, 0.2 * accuracy, 0.8 * accuracy,
        (56, 64), (0, 0),
    )  # fmt: skip


ALL = [potential, pldos, gate, curve, speed]
MAPS = ALL[:3]


def pictures(svg: str) -> list[NDArray[np.uint8]]:
    """The pictures in an SVG, the map first, then its key; (rows from the top, columns, RGBA)."""
    found = re.findall(r"data:image/png;base64,\s*([^\"]+)\"", svg)
    return [np.array(Image.open(io.BytesIO(base64.b64decode(text)))) for text in found]


def upright(svg: str) -> NDArray[np.uint8]:
    """The map as [column from the left, row from the bottom], whichever way it is stored."""
    image = pictures(svg)[0]
    matrix = re.search(r'<image[^>]*transform="matrix\(([^)]*)\)"', svg)
    assert matrix is not None
    a, b, c, d, _, _ = (float(part) for part in re.split(r"[ ,]+", matrix.group(1)))
    assert a > 0
    assert b == c == 0
    # SVG counts rows downwards, and so does a picture.
    rows = image[::-1] if d > 0 else image
    return rows.swapaxes(0, 1)


@pytest.fixture(scope="module", params=ALL, ids=lambda f: f.__name__)
def figure(request: pytest.FixtureRequest) -> tuple[Callable[[], str], str]:
    return request.param, request.param()


def test_same_input_gives_the_same_bytes(figure: tuple[Callable[[], str], str]) -> None:
    make, first = figure
    assert make() == first


def test_svg_is_well_formed_described_and_fetches_nothing(
    figure: tuple[Callable[[], str], str],
) -> None:
    root = ET.fromstring(figure[1])
    assert root.get("role") == "img"
    assert len(root.get("aria-label") or "") > 20
    text = re.sub(r'xmlns(:\w+)?="[^"]*"', "", figure[1])
    assert "http" not in text
    assert "<script" not in text


def test_ids_do_not_clash() -> None:
    ids = [set(re.findall(r' id="([^"]+)"', make())) for make in ALL]
    assert sum(len(one) for one in ids) == len(set().union(*ids)) > 0


@pytest.mark.parametrize("make", [draw_potential_map, draw_pldos_map])
def test_maps_stand_the_right_way_up(make: Callable[..., str]) -> None:
    values = np.zeros(SHAPE)
    values[50, 3] = 1.0  # near the drain, near y = 0
    image = upright(make(values, PLAN)).astype(int)
    assert image.shape == (60, 40, 4)
    differs = np.argwhere((image != image[0, 0]).any(axis=-1))
    np.testing.assert_array_equal(differs, [[50, 3]])


def test_signed_maps_fade_to_nothing_at_zero_and_tell_signs_apart() -> None:
    values = np.zeros(SHAPE)
    values[5, 5], values[6, 6], values[7, 7] = 4.0, -4.0, -2.0
    image = upright(draw_potential_map(values, PLAN)).astype(int)
    assert image[0, 0, 3] == 0
    assert image[5, 5, 3] == image[6, 6, 3] == 255
    assert image[7, 7, 3] == pytest.approx(127.5, abs=1)
    red, blue = image[5, 5], image[6, 6]
    assert red[0] > red[2]
    assert blue[2] > blue[0]


def test_key_is_centred_at_zero_and_ends_at_the_largest_value() -> None:
    key = pictures(draw_potential_map(NOISE, PLAN))[1][:, 0, 3].astype(int)
    np.testing.assert_array_equal(key, key[::-1])
    assert key.max() == 255
    # An even number of steps has no zero in it: the nearest is half a step away.
    assert key.min() <= 255 / (len(key) - 1) + 1


def test_bright_spots_are_clipped_and_said_on_the_key() -> None:
    values = np.full((100, 100), 1.0)
    values.ravel()[:30] = 50.0  # 0.3 %
    values.ravel()[30:100] = 2.0
    # 0.5 % of sites from the top, the values are 2.
    assert brightest(values) == 2.0
    plan = Plan(500.0, 500.0, 5.0, (0.0, 100.0), (0.0, 500.0))
    svg = draw_pldos_map(values, plan)
    assert "0.3% above" in svg
    assert "above" not in draw_pldos_map(values, plan, top=50.0)
    image = upright(svg)
    np.testing.assert_array_equal(image[0, 0], image[0, 50])  # 50 and 2, both at the end
    assert (image[0, 0] != image[50, 50]).any()


def test_a_tip_that_closes_the_source_does_not_hide_the_rest() -> None:
    change = np.full((30, 20), 0.01)
    change[0, 10], change[29, 0] = -2.0, -0.01
    svg = draw_gate_map(
        change, PLAN, tip_nm=(10.0 * np.arange(30), 10.0 * np.arange(20)), tip_width_nm=20
    )
    # 1 of 600 positions is beyond what 98 % stay within, 0.01.
    assert "0.2% beyond" in svg
    image = upright(svg)
    np.testing.assert_array_equal(image[0, 10], image[29, 0])
    assert image[5, 5, 3] == 255


def test_flat_and_empty_maps_can_be_drawn() -> None:
    for make in (draw_potential_map, draw_pldos_map):
        ET.fromstring(make(np.zeros(SHAPE), PLAN))
    ET.fromstring(draw_gate_map(np.zeros((1, 1)), PLAN, tip_nm=([0.0], [0.0]), tip_width_nm=5))


def test_large_maps_are_averaged_down() -> None:
    size = 2 * MOST_PIXELS
    values = np.zeros((size, 10))
    # One site of a square of two by two: a quarter of it.
    values[0, 0], values[8, 8] = 1.0, -0.25
    image = upright(draw_potential_map(values, Plan(size, 10.0, 1.0, (0, 5), (0, 5))))
    assert image.shape == (MOST_PIXELS, 5, 4)
    assert image[0, 0, 3] == pytest.approx(255 / 4, abs=1)
    assert image[4, 4, 3] == pytest.approx(255 / 16, abs=1)


def test_leads_are_as_long_as_they_are() -> None:
    svg = potential()
    for variable, share in (("low", 40 / 200), ("high", 1.0)):
        bars = re.findall(
            r'd="M [\d.]+ ([\d.]+) \s*L [\d.]+ ([\d.]+) ?\s*"[^>]*stroke: var\(--' + variable, svg
        )
        ((low, high),) = {(float(a), float(b)) for a, b in bars}
        # The box is 40 / 60 as high as 3.95 inches of 72 points.
        assert low - high == pytest.approx(share * 3.95 * 72 * 2 / 3, rel=1e-3)


def test_a_picture_is_exactly_as_wide_as_the_map() -> None:
    # 110 positions 10 nm apart: 2.585454... points each, and a hundredth of one would add up.
    plan = Plan(1100.0, 200.0, 10.0, (0.0, 50.0), (0.0, 50.0))
    svg = draw_gate_map(
        np.ones((110, 20)), plan, tip_nm=(10.0 * np.arange(110), 10.0 * np.arange(20)),
        tip_width_nm=20,
    )  # fmt: skip
    matrix = re.search(r'<image[^>]*transform="matrix\(([^)]*)\)"', svg)
    width = re.search(r'<image[^>]*width="([\d.]+)"', svg)
    assert matrix is not None
    assert width is not None
    scale = float(re.split(r"[ ,]+", matrix.group(1))[0])
    # Six digits are written.
    assert scale * float(width.group(1)) == pytest.approx(3.95 * 72, rel=1e-5)


def dataset(n_fields: int) -> xr.Dataset:
    """A sample of the default size with everything that a report can show; random numbers."""
    gas = {
        "n_x": 256, "n_y": 192, "spacing_nm": 5.0, "fermi_mev": 5.6,
        "source": {"first_row": 86, "n_rows": 20}, "drain": {"first_row": 0, "n_rows": 192},
    }  # fmt: skip
    sizes = {
        "x": 256, "y": 192, "tip_x": 256, "tip_y": 192, "field": n_fields, "energy": 40,
        "thermal_energy": 21, "source_mode": 3, "reflected_mode": 3, "drain_mode": 29,
        "coefficient": 240, "check": 3,
    }  # fmt: skip
    rng = np.random.default_rng(7)
    variables = {}
    for name, quantity in QUANTITIES.items():
        values = rng.uniform(0, 1, [sizes[dim] for dim in quantity.dims])
        if quantity.dims == (name,):
            values = 5.0 * np.arange(1, sizes[name] + 1)
        variables[name] = (quantity.dims, values)
    for name in ("check_x", "check_y"):
        variables[name] = (("check",), np.array([5.0, 10.0, 15.0]))
    steps = ("scattering", "scanning gate", "energies", "temperature", "fields")
    settings = {
        "accuracy": 1e-6, "temperature_k": 1.0,
        "scanning_gate": {"method": "first-order", "tip_shape": "gaussian", "stride": 1,
                          "tip_height_mev": 0.2, "tip_width_nm": 30.0},
    }  # fmt: skip
    return xr.Dataset(
        variables,
        attrs={
            "gas": json.dumps(gas),
            "configuration": json.dumps(settings),
            "steps": json.dumps(dict.fromkeys(steps, 0.1)),
        },
    )


@pytest.mark.parametrize("n_fields", [3, 12, 40])
def test_a_page_with_everything_stays_small(n_fields: int) -> None:
    # Noise is the worst that a picture can hold.
    html = render_page(Page("t", "r", {}, transport_sections(dataset(n_fields))))
    assert html.count("<svg") == 5 + min(n_fields, 20)
    assert len(html) < 1.5e6


def test_a_bad_first_order_map_is_called_bad() -> None:
    found = dataset(1)
    text = render_page(Page("t", "r", {}, transport_sections(found)))
    assert "First order does not hold for this tip" in text
    change = found["gate_change"].values
    found["check_change"] = (("check",), change[[0, 1, 2], [0, 1, 2]] + 0.01)
    text = render_page(Page("t", "r", {}, transport_sections(found)))
    largest = float(change.max())
    assert f"at most {0.01 / largest:.2%} of its largest change" in text
    assert "The tip is weak enough" in text


def test_a_map_without_a_check_says_what_first_order_is_good_for() -> None:
    found = dataset(1).drop_vars(["check_x", "check_y", "check_change"])
    html = render_page(Page("t", "r", {}, transport_sections(found)))
    assert "First order is good for weak tips only" in html
    assert "too strong" not in html
    settings = json.loads(found.attrs["configuration"])
    settings["scanning_gate"]["tip_height_mev"] = -3.0  # 0.54 of 5.6 meV
    found.attrs["configuration"] = json.dumps(settings)
    html = render_page(Page("t", "r", {}, transport_sections(found)))
    assert "This tip, at 0.54, is too strong for it." in html


def test_lost_electrons_are_said() -> None:
    found = dataset(1)
    found["transmission"], found["reflection"] = 2.0, 0.9
    html = render_page(Page("t", "r", {}, transport_sections(found)))
    assert "T + R misses the number of modes by -1.0e-01" in html


def test_timings_are_written_as_they_are() -> None:
    row = dict(zip(COLUMNS, cells(timing(1e-3, 2)), strict=True))
    assert row["accuracy"] == "1e-03"
    assert row["samples/s"] == "20"
    assert row["ms a sample"] == "50"
    assert row["rounds"] == "18 to 22"
    assert row["modes"] == "56 to 64"
    assert row["corrections"] == "0"
