"""The inside of a network as arrays, as figures and as a section of the report."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from inmateria.devices.dopant.network import DopantNetwork
from inmateria.devices.dopant.parameters import DopantParameters
from inmateria.errors import ConvergenceError, ParameterError, ShapeError
from inmateria.report.arrows import arrows, round_down
from inmateria.report.inside import (
    SHOWN_SHARE,
    draw_inside,
    draw_inside_change,
    paint_inside,
    size_of,
)
from inmateria.report.inside_section import gate_to_show, inside_section
from inmateria.report.inside_state import Inside, look_inside
from inmateria.report.outlines import outline, thin

STATES = ("00", "01", "10", "11")


def voltage(device: DopantNetwork, inputs: tuple[str, str]) -> np.ndarray:
    names = [t.name for t in device.terminals]
    points = np.tile(np.random.default_rng(5).uniform(-0.9, 0.9, len(names)), (4, 1))
    for i, name in enumerate(inputs):
        points[:, names.index(name)] = [(-0.7, 0.7)[int(state[i])] for state in STATES]
    return points


def look(device: DopantNetwork, inputs: tuple[str, str] = ("e2", "e6")) -> Inside:
    return look_inside(device, voltage(device, inputs), labels=STATES, inputs=inputs)


@pytest.fixture(scope="module")
def device() -> DopantNetwork:
    return DopantNetwork(seed=91)


@pytest.fixture(scope="module")
def inside(device: DopantNetwork) -> Inside:
    return look(device)


def test_states_are_what_the_device_says(device: DopantNetwork, inside: Inside) -> None:
    points = voltage(device, ("e2", "e6"))
    np.testing.assert_array_equal(inside.electrode_v[:, 1:], points)
    assert (inside.electrode_v[:, 0] == 0).all()
    np.testing.assert_array_equal(inside.electrode_na[:, :1], device.current(points))
    middle = len(inside.axis_nm) // 2
    centre = device.landscape(points, [[0.0, 0.0]]).energy_ev[:, 0]
    np.testing.assert_allclose(inside.energy_ev[:, middle, middle], centre, atol=1e-12)
    # Row: y, column: x. A point 90 nm up and 30 nm to the left.
    row, column = (int(np.argmin(np.abs(inside.axis_nm - at))) for at in (90.0, -30.0))
    there = device.landscape(points, [[inside.axis_nm[column], inside.axis_nm[row]]])
    np.testing.assert_allclose(inside.energy_ev[:, row, column], there.energy_ev[:, 0], atol=1e-12)


def test_differences_are_of_the_states_and_conserve_current(inside: Inside) -> None:
    change = inside.against(1)
    assert change.labels == ("00 − 01", "10 − 01", "11 − 01")
    np.testing.assert_array_equal(
        change.occupation, inside.occupation[[0, 2, 3]] - inside.occupation[1]
    )
    into_sites = change.between_na.sum(axis=-1) + change.into_na.sum(axis=-1)
    # Mean-field currents add up to a few 1e-11 of the largest.
    assert np.abs(into_sites).max() < 1e-8 * np.abs(inside.between_na).max()
    assert np.abs(change.into_na).max() > 0.1


@pytest.fixture(scope="module")
def figures(inside: Inside) -> tuple[str, str]:
    return draw_inside(inside), draw_inside_change(inside)


def test_both_figures_are_small_well_formed_and_the_same_twice(inside: Inside, figures) -> None:
    assert (draw_inside(inside), draw_inside_change(inside)) == figures
    for svg, most in zip(figures, (165_000, 120_000), strict=True):
        assert ET.fromstring(svg).get("role") == "img"
        assert "data:" not in svg, "nothing is rasterised"
        assert "<image" not in svg
        assert len(svg) < most


def test_every_electrode_is_labelled_with_volts_and_current(inside: Inside, figures) -> None:
    svg = figures[0]
    for k in range(4):
        for e in range(8):
            volts = f"{inside.electrode_v[k, e]:+.2f}".replace("-", "−")
            assert f">e{e} {'0.00' if e == 0 else volts} V<" in svg
            na = inside.electrode_na[k, e]
            shown = re.findall(r">([+−][\d.]+) nA<", svg)
            nearest = min(abs(float(text.replace("−", "-")) - na) for text in shown)
            assert nearest <= max(0.005 * abs(na), 0.01)
    assert "potential energy of a hole (eV)" in svg
    assert all(f">state {label}<" in svg for label in STATES)


def test_one_arrow_for_every_bond_above_the_share(inside: Inside) -> None:
    figure = Figure(figsize=size_of(inside), layout="constrained")
    paint_inside(figure, inside)
    largest = max(np.abs(inside.between_na).max(), np.abs(inside.into_na).max())
    for k in range(4):
        (drawn,) = (p for p in figure.axes[k].patches if isinstance(p, PathPatch))
        n_drawn = int((drawn.get_path().codes == Path.MOVETO).sum())
        bonds = np.concatenate(
            [inside.between_na[k][np.triu_indices(30, 1)], inside.into_na[k].ravel()]
        )
        assert n_drawn == (np.abs(bonds) >= SHOWN_SHARE * largest).sum() > 5


def test_arrows_point_along_the_current(inside: Inside) -> None:
    one_way = replace(inside, between_na=np.zeros_like(inside.between_na))
    into = np.zeros_like(inside.into_na)
    into[0, 3, 5], into[1, 3, 5] = 7.0, -7.0
    figure = Figure(figsize=size_of(inside), layout="constrained")
    paint_inside(figure, replace(one_way, into_na=into))
    site, electrode = inside.plan.acceptor_xy_nm[3], inside.plan.electrode_xy_nm[5]
    for k, (start, stop) in enumerate(((site, electrode), (electrode, site))):
        (drawn,) = (p for p in figure.axes[k].patches if isinstance(p, PathPatch))
        first = drawn.get_path().vertices[0]
        assert np.linalg.norm(first - start) < 10 < np.linalg.norm(first - stop)


@pytest.mark.parametrize(
    ("parameters", "outputs", "inputs"),
    [
        ({"n_acceptors": 60, "n_electrodes": 12}, (0, 6), ("e2", "e5")),
        ({"n_acceptors": 5, "n_electrodes": 3, "n_donors": 0}, ("e0",), ("e1", "e2")),
    ],
)
def test_any_number_of_electrodes_outputs_and_donors(parameters, outputs, inputs) -> None:
    device = DopantNetwork(seed=5, parameters=DopantParameters(**parameters), outputs=outputs)
    seen = look(device, inputs)
    svg = draw_inside_change(seen, reference=3)
    assert ET.fromstring(svg).tag.endswith("svg")
    assert all(f">e{e}" in svg for e in range(device.model.n_electrodes))


def test_a_device_without_current_and_without_change_can_be_drawn(inside: Inside) -> None:
    still = replace(
        inside,
        **{
            name: np.zeros_like(getattr(inside, name))
            for name in ("energy_ev", "site_ev", "between_na", "into_na", "electrode_na")
        },
    )
    ET.fromstring(draw_inside(still))
    ET.fromstring(draw_inside_change(replace(still, occupation=0.5 + 0 * inside.occupation)))


def test_wrong_calls_are_one_line(device: DopantNetwork) -> None:
    with pytest.raises(ShapeError, match="4 labels"):
        look_inside(device, np.zeros((3, 7)), labels=STATES)
    model = device.model
    bare = DopantNetwork.from_arrays(
        electrode_basis=model.electrode_basis,
        site_energy_kt=model.site_energy_kt,
        pair_coulomb_kt=model.pair_coulomb_kt,
        pair_weight=model.pair_weight,
        electrode_weight=model.electrode_weight,
    )
    with pytest.raises(ParameterError, match="no geometry"):
        look_inside(bare, np.zeros((4, 7)), labels=STATES)
    assert inside_section([verified("XOR")], bare) is None


def verified(task: str, **changes: Any) -> Any:
    """As much of a verification as a section reads."""
    bits = np.array([[0, 1], [1, 1], [0, 0], [1, 0]], dtype=bool)
    values = {
        "task": task,
        "passed": True,
        "criterion": "margin",
        "margin_na": 5.0,
        "inputs": ("e2", "e6"),
        "controls": {"e1": 0.3, "e3": -0.4, "e4": 0.0, "e5": 0.1, "e7": -0.8},
        "points": np.where(bits, 0.7, -0.7),
        "states": bits,
    }
    return SimpleNamespace(**(values | changes))


def test_the_gate_that_is_shown() -> None:
    best = verified("OR", margin_na=50.0)
    flat = verified("TRUE", margin_na=80.0, criterion="flatness")
    xor, xnor = verified("XOR"), verified("XNOR", margin_na=9.0)
    assert gate_to_show([best, flat, xnor, xor]) is xor
    assert gate_to_show([best, xnor, verified("XOR", passed=False)]) is xnor
    assert gate_to_show([verified("AND"), flat, best]) is best
    assert gate_to_show([flat]) is flat


@pytest.fixture
def drawn(monkeypatch) -> list[Inside]:
    """What sections would have drawn; the figures themselves are tested above."""
    seen: list[Inside] = []
    module = "inmateria.report.inside_section"
    monkeypatch.setattr(f"{module}.draw_inside", lambda inside: seen.append(inside) or "<svg/>")
    monkeypatch.setattr(f"{module}.draw_inside_change", lambda _: "<svg/>")
    return seen


def test_a_section_shows_the_states_in_order(device: DopantNetwork, drawn: list[Inside]) -> None:
    section = inside_section([verified("OR"), verified("XOR")], device)
    assert section is not None
    assert section.title == "Inside the device: XOR"
    note, first, second = section.blocks
    assert "not verified" not in note.text
    assert "e1\u00a0+0.300\u00a0V" in note.text
    assert "4% of the largest" in first.caption
    assert "minus state 00" in second.caption
    (inside,) = drawn
    assert inside.labels == STATES
    assert inside.inputs == ("e2", "e6")
    expected = np.tile([0.0, 0.3, 0.0, -0.4, 0.0, 0.1, 0.0, -0.8], (4, 1))
    expected[:, 2], expected[:, 6] = (-0.7, -0.7, 0.7, 0.7), (-0.7, 0.7, -0.7, 0.7)
    np.testing.assert_array_equal(inside.electrode_v, expected)


def test_a_ring_shows_the_corners_of_its_inputs(device: DopantNetwork, drawn: list[Inside]) -> None:
    ring = verified(
        "ring",
        criterion="threshold",
        points=np.array([[-0.5, 0.1], [0.2, -0.3], [0.4, 0.6], [0.0, 0.0], [0.1, 0.2]]),
        states=np.zeros((5, 2), dtype=bool),
        passed=False,
    )
    section = inside_section([ring], device)
    assert section is not None
    assert "not verified" in section.blocks[0].text
    assert drawn[0].labels == STATES
    np.testing.assert_array_equal(drawn[0].electrode_v[:, 2], [-0.5, -0.5, 0.4, 0.4])
    np.testing.assert_array_equal(drawn[0].electrode_v[:, 6], [-0.3, 0.6, -0.3, 0.6])


def test_a_solve_that_fails_costs_a_picture_and_not_the_report(device, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise ConvergenceError("no steady state found, residual 3e-2")

    monkeypatch.setattr(device, "bond_currents", fail)
    section = inside_section([verified("XOR")], device)
    assert section is not None
    (note,) = section.blocks
    assert "residual 3e-2" in note.text


def test_arrow_shapes() -> None:
    shape = arrows(np.array([[0.0, 0.0]]), np.array([[10.0, 0.0]]), np.array([1.0]), least_head=0.5)
    corners = shape[0]
    np.testing.assert_array_equal(corners[0], corners[-1])
    assert corners[:, 0].min() == 0
    assert corners[:, 0].max() == 10
    tail = corners[np.isclose(corners[:, 0], 0)]
    assert np.ptp(tail[:, 1]) == pytest.approx(1.0)
    assert np.ptp(corners[:, 1]) == pytest.approx(2.4)
    # Behind the head's corners the shaft is narrow, in front of them it narrows to the shaft.
    wide = corners[np.argmax(corners[:, 1]), 0]
    assert 0 < wide < corners[(np.abs(corners[:, 1]) < 0.6) & (corners[:, 0] > wide), 0].min()
    assert np.isfinite(arrows(np.zeros((1, 2)), np.zeros((1, 2)), np.ones(1), least_head=1)).all()


@pytest.mark.parametrize(("value", "rounded"), [(33.2, 20), (1.0, 1), (0.0099, 0.005), (500, 500)])
def test_rounding_down_to_one_two_or_five(value: float, rounded: float) -> None:
    assert round_down(value) == pytest.approx(rounded)


def test_thin_outlines_stay_near() -> None:
    angle = np.linspace(0, 2 * np.pi, 400)
    loops = [r * np.column_stack([np.cos(angle), np.sin(angle)]) for r in (1.0, 3.0)]
    for loop in loops:
        loop[-1] = loop[0]
    found = thin(outline(loops), 0.01)
    kept = np.split(found.vertices, np.flatnonzero(found.codes == Path.MOVETO)[1:])
    assert len(kept) == 2
    for radius, loop in zip((1.0, 3.0), kept, strict=True):
        assert 8 < len(loop) < 120
        np.testing.assert_allclose(np.hypot(*loop.T), radius)
        middles = (loop[1:] + loop[:-1]) / 2
        assert radius - np.hypot(*middles.T).min() <= 0.01 + 1e-3  # and the polygon's own chords
    assert len(thin(outline([loops[0]]), 5.0).vertices) == 0
