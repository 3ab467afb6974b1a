"""The dopant network as a device: shapes, terminals, streams, bad input."""

from __future__ import annotations

import json

import numpy as np
import pytest

from inmateria.devices import Device, DifferentiableDevice
from inmateria.devices.device import check_voltage
from inmateria.devices.dopant import meanfield
from inmateria.devices.dopant.network import DopantNetwork
from inmateria.devices.dopant.parameters import DopantParameters
from inmateria.errors import (
    ConvergenceError,
    NotFiniteError,
    ParameterError,
    ShapeError,
    TerminalError,
    VoltageLimitError,
)


@pytest.fixture(scope="module")
def device() -> DopantNetwork:
    return DopantNetwork(seed=1)


def test_it_is_a_differentiable_device(device):
    assert isinstance(device, Device)
    assert isinstance(device, DifferentiableDevice)
    assert [t.name for t in device.terminals] == [f"e{i}" for i in range(1, 8)]
    assert device.outputs == ("e0",)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (0,), (0, 4)])
def test_leading_dimensions_are_kept(device, shape):
    voltage = np.random.default_rng(0).uniform(-1, 1, (*shape, 7))
    assert device.current(voltage).shape == (*shape, 1)
    assert device.electrode_current(voltage).shape == (*shape, 8)
    assert device.occupation(voltage).shape == (*shape, 30)
    assert device.gradient(voltage).shape == (*shape, 1, 7)


def test_several_outputs_and_any_number_of_electrodes():
    parameters = DopantParameters(n_electrodes=12, electrode_width_nm=40.0)
    device = DopantNetwork(seed=2, parameters=parameters, outputs=("e3", 7))
    assert device.outputs == ("e3", "e7")
    assert len(device.terminals) == 10
    voltage = np.random.default_rng(0).uniform(-1, 1, (5, 10))
    current = device.current(voltage)
    assert current.shape == (5, 2)
    np.testing.assert_array_equal(current, device.electrode_current(voltage)[:, [3, 7]])


def test_the_answer_does_not_depend_on_the_batch(device):
    voltage = np.random.default_rng(3).uniform(-1, 1, (200, 7))
    together = device.current(voltage)
    alone = np.array([device.current(v) for v in voltage])
    reverse = device.current(voltage[::-1])[::-1]
    # Both solves end within 1e-12 of the gross flows, which exceed currents up to 100 x.
    limit = 1e-9 * np.abs(together).max()
    np.testing.assert_allclose(alone, together, rtol=0, atol=limit)
    np.testing.assert_allclose(reverse, together, rtol=0, atol=limit)


def test_a_stream_agrees_with_the_device_however_it_is_cut(device):
    time = np.arange(500) / 1e4
    frequency = 20 * np.sqrt([2, 3, 5, 7, 11, 13, 17])
    voltage = 0.9 * np.sin(2 * np.pi * frequency * time[:, None] + np.arange(7))
    whole = device.current(voltage)
    stream = device.stream()
    parts = [stream.current(part) for part in np.array_split(voltage, [3, 3, 100, 499])]
    limit = 1e-9 * np.abs(whole).max()
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=0, atol=limit)


def test_points_that_defeat_newton_are_followed_from_infinite_temperature():
    # Found by scanning: at these voltages plain and pseudo-transient Newton cycle for ever
    # between two tightly coupled sites.
    device = DopantNetwork(seed=55)
    generator = np.random.default_rng(5)
    voltage = generator.uniform(-1, 1, (500, 7))
    current = device.electrode_current(voltage)
    assert np.abs(current.sum(axis=-1)).max() < 1e-8 * np.abs(current).max()


def test_the_same_seed_is_the_same_device(device):
    voltage = np.full(7, 0.3)
    again, other = DopantNetwork(seed=1), DopantNetwork(seed=2)
    np.testing.assert_array_equal(device.current(voltage), again.current(voltage))
    assert device.current(voltage) != other.current(voltage)


def test_disorder_changes_leave_positions():
    quiet = DopantNetwork(seed=1, parameters=DopantParameters(disorder_ev=0.0))
    loud = DopantNetwork(seed=1)
    np.testing.assert_array_equal(quiet.geometry.acceptor_xy_nm, loud.geometry.acceptor_xy_nm)
    assert not quiet.geometry.site_disorder_ev.any()


def test_describe_is_json(device):
    assert json.loads(json.dumps(device.describe()))["seed"] == 1


def test_ranges_by_name():
    device = DopantNetwork(seed=1, ranges={"e3": (-0.2, 0.4)})
    assert (device.terminals[2].low_v, device.terminals[2].high_v) == (-0.2, 0.4)


@pytest.mark.parametrize(
    ("voltage", "error", "says"),
    [
        (np.zeros(6), ShapeError, "7 terminals"),
        (0.5, ShapeError, "last axis"),
        ("high", ShapeError, "numbers"),
        ([0, 0, np.nan, 0, 0, 0, 0], NotFiniteError, "e3"),
        ([0, 0, 0, 0, 0, 0, np.inf], NotFiniteError, "e7"),
    ],
)
def test_bad_voltages(device, voltage, error, says):
    with pytest.raises(error, match=says):
        device.current(voltage)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"outputs": (8,)}, TerminalError, "no electrode 8"),
        ({"outputs": ("out",)}, TerminalError, "no electrode 'out'"),
        ({"outputs": (0, "e0")}, TerminalError, "twice"),
        ({"outputs": ()}, TerminalError, "no output"),
        ({"outputs": tuple(range(8))}, ParameterError, "at least one to drive"),
        ({"engine": "magic"}, ParameterError, "meanfield, correlated, exact, kmc"),
        ({"engine": "exact"}, ParameterError, "at most 9"),
        ({"seed": -1}, ParameterError, "whole number"),
        ({"seed": 1.5}, ParameterError, "whole number"),
        ({"ranges": {"e9": (0, 1)}}, TerminalError, "e9"),
        ({"ranges": {"e1": (1, 0)}}, ParameterError, "empty"),
    ],
)
def test_bad_options(options, error, says):
    with pytest.raises(error, match=says):
        DopantNetwork(**options)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"temperature_k": 0.0}, "temperature_k"),
        ({"radius_nm": -150.0}, "radius_nm"),
        ({"localisation_nm": float("nan")}, "localisation_nm"),
        ({"n_acceptors": 0}, "n_acceptors"),
        ({"n_acceptors": 2.5}, "n_acceptors"),
        ({"n_electrodes": 1}, "n_electrodes"),
        ({"disorder_ev": -0.1}, "disorder_ev"),
        ({"shortest_hop_nm": 200.0}, "no hop is left"),
        ({"electrode_width_nm": 120.0}, "do not fit"),
        ({"rates": "boltzmann"}, "unknown"),
    ],
)
def test_absurd_parameters_are_named(changes, says):
    with pytest.raises(ParameterError, match=says):
        DopantParameters(**changes)


def test_isolated_sites_are_named():
    with pytest.raises(ParameterError, match=r"cannot reach any electrode \(site 1\)"):
        DopantNetwork.from_arrays(
            electrode_basis=np.full((2, 2), 0.5),
            site_energy_kt=np.zeros(2),
            pair_coulomb_kt=np.zeros((2, 2)),
            pair_weight=np.zeros((2, 2)),
            electrode_weight=[[0.1, 0.1], [0.0, 0.0]],
        )


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"pair_weight": np.zeros((3, 2))}, ShapeError, "pair_weight"),
        ({"site_energy_kt": [0.0, np.nan]}, NotFiniteError, "site_energy_kt"),
        ({"pair_coulomb_kt": [[0.0, 1.0], [2.0, 0.0]]}, ParameterError, "symmetric"),
        ({"electrode_weight": [[-0.1, 0.1], [0.1, 0.1]]}, ParameterError, "negative"),
        ({"temperature_k": 0.0}, ParameterError, "temperature"),
    ],
)
def test_bad_arrays(change, error, says):
    arrays = {
        "electrode_basis": np.full((2, 2), 0.5),
        "site_energy_kt": np.zeros(2),
        "pair_coulomb_kt": np.zeros((2, 2)),
        "pair_weight": np.array([[0.0, 0.1], [0.1, 0.0]]),
        "electrode_weight": np.full((2, 2), 0.1),
    }
    with pytest.raises(error, match=says):
        DopantNetwork.from_arrays(**(arrays | change))


def test_a_solve_that_does_not_converge_is_never_returned(device, monkeypatch):
    def stuck(voltage, begin, *_):
        return np.tile(begin, (len(voltage), 1)), np.full(len(voltage), 1e-3)

    monkeypatch.setattr(meanfield, "_occupations", stuck)
    with pytest.raises(ConvergenceError, match=r"residual 1\.0e-03"):
        device.current(np.zeros(7))


def test_ranges_are_the_guards_business_and_not_the_physics(device):
    # The model holds beyond the terminals' ranges; rigs and surrogates refuse.
    assert np.isfinite(device.current(np.full(7, 1.5))).all()
    with pytest.raises(VoltageLimitError):
        check_voltage(device.terminals, np.full(7, 1.5), tolerance=0.0)
