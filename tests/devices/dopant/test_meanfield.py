"""What the mean-field solver says of its own state."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.devices.dopant.meanfield import Occupations, _workspace
from inmateria.devices.dopant.meanfield_kernel import TOLERANCE, relax
from inmateria.devices.dopant.network import DopantNetwork


def solve_from(start: np.ndarray, device: DopantNetwork, voltage: np.ndarray, **given: bool):
    """One call of the kernel: (effort, residual, holds) and the occupations."""
    basis, eps, K, w, we, S = device.model.kernel_arrays()
    sites, electrodes = we.shape
    occupation = start.copy()
    outcome = relax(
        basis @ voltage, voltage / device.model.kt_ev, occupation, eps, K, w, we, 1, S,
        np.empty((sites, sites)), np.empty(sites, dtype=np.int64),
        given["near"], given["factorised"], _workspace(sites, electrodes),
    )  # fmt: skip
    return outcome, occupation


def test_a_start_that_is_the_solution_leaves_no_factorisation_behind():
    # A caller that took the untouched matrix for a factorisation would index with garbage.
    device = DopantNetwork(seed=1)
    voltage = np.concatenate([[0.0], np.linspace(-0.6, 0.6, 7)])
    (effort, residual, holds), solution = solve_from(
        np.full(30, 0.5), device, voltage, near=False, factorised=False
    )
    assert effort > 1
    assert residual < TOLERANCE
    assert holds
    (effort, residual, holds), _ = solve_from(
        solution, device, voltage, near=True, factorised=False
    )
    assert effort == 1
    assert not holds


def test_a_stream_that_stands_still_and_goes_on_is_right():
    device = DopantNetwork(seed=1)
    still = np.linspace(-0.6, 0.6, 7)
    path = np.concatenate([np.tile(still, (3, 1)), still + np.linspace(0, 0.05, 40)[:, None]])
    stream = device.stream()
    stream.current(still[None])
    got = stream.current(path)
    expected = np.array([device.current(v) for v in path])
    assert np.abs(got - expected).max() < 1e-9 * np.abs(expected).max()


def test_a_start_is_moved_to_the_last_point():
    device = DopantNetwork(seed=1)
    start = Occupations(np.full(8, np.inf), np.full(30, 0.5))
    voltage = np.zeros((2, 8))
    voltage[:, 3] = [0.1, 0.4]
    device.engine.current(voltage, start=start)
    np.testing.assert_array_equal(start.voltage, voltage[1])
    assert start.value == pytest.approx(device.engine.occupation(voltage)[1], abs=1e-9)
