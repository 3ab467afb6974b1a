"""Monte Carlo as an engine and as a method of a device."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from inmateria.devices.dopant.network import DopantNetwork
from inmateria.devices.dopant.parameters import DopantParameters
from inmateria.errors import ConvergenceError, ParameterError, ShapeError

ALGORITHMS = ("rejection-free", "null-event")


def voltages(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (*shape, 7))


@pytest.fixture(scope="module")
def device() -> DopantNetwork:
    return DopantNetwork(seed=3)


def test_result_has_the_batch_shape_and_says_what_it_is(device):
    found = device.monte_carlo(voltages(2, 3), hops=3000, bonds=True)
    assert found.current.shape == found.standard_error.shape == (2, 3, 1)
    assert found.electrode_current.shape == found.electrode_standard_error.shape == (2, 3, 8)
    assert found.occupation.shape == found.occupation_standard_error.shape == (2, 3, 30)
    assert found.bonds.between.shape == (2, 3, 30, 30)
    assert found.bonds.into.shape == (2, 3, 30, 8)
    for flag in (found.n_hops, found.equilibration, found.equilibrated, found.reached):
        assert flag.shape == (2, 3)
    assert (found.n_hops >= 3000).all()
    assert (found.equilibration > 0).all()
    assert found.reached.all()
    assert (found.algorithm == "rejection-free").all()
    low, high = found.interval()
    assert (low < found.current).all()
    assert (found.current < high).all()
    assert device.monte_carlo(voltages(2, 3)[0, 0], hops=3000).bonds is None


def test_one_point_and_no_point(device):
    assert device.monte_carlo(voltages(), hops=3000).current.shape == (1,)
    assert device.monte_carlo(voltages(0), hops=3000).current.shape == (0, 1)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_result_depends_on_the_seed_and_not_on_the_number_of_threads(device, algorithm):
    before = numba.get_num_threads()
    found = []
    try:
        for threads in (1, numba.config.NUMBA_NUM_THREADS):
            numba.set_num_threads(threads)
            found.append(device.monte_carlo(voltages(5), hops=5000, seed=7, algorithm=algorithm))
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(found[0].electrode_current, found[1].electrode_current)
    np.testing.assert_array_equal(found[0].occupation, found[1].occupation)
    other = device.monte_carlo(voltages(5), hops=5000, seed=8, algorithm=algorithm)
    assert (other.current != found[0].current).all()


def test_points_of_a_batch_have_streams_of_their_own(device):
    found = device.monte_carlo(np.repeat(voltages(1), 4, axis=0), hops=3000)
    assert len(np.unique(found.current)) == 4


def test_groups_of_points_change_nothing(device, monkeypatch):
    whole = device.monte_carlo(voltages(5), hops=3000)
    monkeypatch.setattr("inmateria.devices.dopant.kmc.MEMORY", 100_000)
    parts = device.monte_carlo(voltages(5), hops=3000)
    np.testing.assert_array_equal(whole.current, parts.current)


def test_walks_to_the_error_that_is_asked_for(device):
    rough = device.monte_carlo(voltages(2), standard_error=0.3)
    fine = device.monte_carlo(voltages(2), standard_error=[0.04, 0.08])
    assert rough.reached.all()
    assert fine.reached.all()
    assert (rough.standard_error <= 0.3).all()
    assert (fine.standard_error[:, 0] <= [0.04, 0.08]).all()
    assert fine.n_hops.sum() > rough.n_hops.sum()
    assert (fine.n_blocks >= 32).all()
    share = device.monte_carlo(voltages(2), relative_error=0.02)
    largest = np.abs(share.electrode_current).max(axis=-1)
    assert (share.standard_error[:, 0] <= 0.02 * largest).all()


def test_says_where_the_error_was_not_reached(device):
    found = device.monte_carlo(voltages(2), standard_error=1e-6, max_hops=20_000)
    assert not found.reached.any()
    assert (found.n_hops < 40_000).all()


def test_as_engine(device):
    engine = DopantNetwork(seed=3, engine="kmc", engine_settings={"hops": 20_000, "seed": 2})
    found = device.monte_carlo(voltages(3), hops=20_000, seed=2, bonds=True)
    np.testing.assert_array_equal(engine.current(voltages(3)), found.current)
    np.testing.assert_array_equal(engine.occupation(voltages(3)), found.occupation)
    np.testing.assert_allclose(engine.bond_currents(voltages(3)).into, found.bonds.into)
    np.testing.assert_array_equal(engine.stream().current(voltages(3)), found.current)
    assert engine.describe()["engine"] == "kmc"


def test_an_engine_that_does_not_reach_its_error_gives_no_current():
    engine = DopantNetwork(
        seed=3, engine="kmc", engine_settings={"relative_error": 1e-6, "max_hops": 10_000}
    )
    with pytest.raises(ConvergenceError, match=r"did not reach relative_error = 1e-06.*max_hops"):
        engine.current(voltages(1))


def test_there_is_no_exact_gradient():
    engine = DopantNetwork(seed=3, engine="kmc")
    with pytest.raises(ParameterError, match=r"no exact gradient.*meanfield"):
        engine.gradient(voltages(1))


def test_progress_is_told(device):
    told = []
    device.monte_carlo(voltages(3), hops=3000, progress=lambda *now: told.append(now))
    assert told[-1][:2] == (3, 3)
    assert [hops for _, _, hops in told] == sorted(hops for _, _, hops in told)


def test_a_run_can_be_stopped_from_the_callback(device):
    def stop(*_now: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        device.monte_carlo(voltages(1), hops=10**9, progress=stop)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hops": 0}, "hops = 0"),
        ({"hops": 1.5}, "hops = 1.5"),
        ({"hops": True}, "hops = True"),
        ({"seed": -1}, "seed = -1"),
        ({"max_hops": "many"}, "max_hops = 'many'"),
        ({"relative_error": 0.0}, "relative_error = 0.0"),
        ({"relative_error": float("nan")}, "relative_error = nan"),
        ({"relative_error": "small"}, "relative_error = 'small'"),
        ({"standard_error": -1.0}, "standard_error = -1.0"),
        ({"standard_error": [1.0, 2.0, 3.0]}, "array of shape"),
        ({"standard_error": "small"}, "standard_error = 'small'"),
        ({"standard_error": 1.0, "hops": 1000}, "give one of them"),
        ({"relative_error": 0.1, "hops": 1000}, "give one of them"),
        ({"algorithm": "fast"}, "algorithm 'fast' is unknown.*null-event"),
        ({"speed": 3}, "no setting 'speed'.*max_hops"),
    ],
)
def test_bad_settings_are_named(device, settings, message):
    with pytest.raises(ParameterError, match=message):
        device.monte_carlo(voltages(2), **settings)


def test_bad_voltages_are_named(device):
    with pytest.raises(ShapeError):
        device.monte_carlo(np.zeros(3))


def test_energies_beyond_a_double_take_the_walk_that_can():
    cold = DopantNetwork(seed=3, parameters=DopantParameters(temperature_k=4.0))
    found = cold.monte_carlo(np.zeros(7), hops=1000)
    assert found.algorithm == "null-event"
    assert np.isfinite(found.current).all()
    with pytest.raises(ParameterError, match="use algorithm='null-event'"):
        cold.monte_carlo(np.zeros(7), algorithm="rejection-free")
