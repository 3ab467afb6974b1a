"""Which sites are pairs, and the table of hops between the states of clusters."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.devices.dopant.cluster_field import ClusterField
from inmateria.devices.dopant.clusters import list_hops, tight_pairs
from inmateria.devices.dopant.meanfield import MeanField
from inmateria.devices.dopant.model import HoppingModel
from inmateria.devices.dopant.network import DopantNetwork
from inmateria.devices.dopant.parameters import DopantParameters
from inmateria.devices.dopant.rates import RATES
from inmateria.errors import ConvergenceError


def model(coulomb: list[list[float]], weight: list[list[float]]) -> HoppingModel:
    """Three sites, two electrodes that feed all of them weakly."""
    return HoppingModel(
        electrode_basis=np.full((3, 2), 0.5),
        site_energy_kt=np.zeros(3),
        pair_coulomb_kt=np.array(coulomb),
        pair_weight=np.array(weight),
        electrode_weight=np.full((3, 2), 0.01),
        temperature_k=77.0,
    )


def test_strong_repulsion_makes_a_pair_and_each_site_has_one_partner():
    # 0-1 and 1-2 both repel strongly: the stronger one is the pair
    strong = model([[0, 2, 0], [2, 0, 3], [0, 3, 0]], [[0, 0.1, 0], [0.1, 0, 0.1], [0, 0.1, 0]])
    assert tight_pairs(strong) == ((1, 2),)
    weak = model([[0, 1, 0], [1, 0, 1], [0, 1, 0]], [[0, 0.1, 0], [0.1, 0, 0.1], [0, 0.1, 0]])
    assert tight_pairs(weak) == ()


def test_fast_exchange_makes_a_pair_at_less_repulsion():
    coulomb = [[0, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0]]
    # 0.2 against 0.02 + 0.01 elsewhere is 6.7 x faster; against 0.05 it is 2.9 x
    assert tight_pairs(model(coulomb, [[0, 0.2, 0], [0.2, 0, 0.01], [0, 0.01, 0]])) == ((0, 1),)
    assert tight_pairs(model(coulomb, [[0, 0.2, 0], [0.2, 0, 0.05], [0, 0.05, 0]])) == ()


def test_every_hop_of_a_pair_knows_its_partner_s_state():
    hops = list_hops(
        model([[0, 2, 0], [2, 0, 1], [0, 1, 0]], [[0, 0.1, 0], [0.1, 0, 0.1], [0, 0.1, 0]]),
        ((0, 1),),
    )
    # unknowns: (1, 0), (0, 1), (1, 1) of the pair, then site 2; empty states 4 and 5, constant 6
    assert (hops.n_unknowns, hops.n_states) == (4, 7)
    assert hops.reference.tolist() == [4, 4, 4, 5]
    assert hops.states.tolist() == [[0, 2], [1, 2], [3, 3]]
    found = {tuple(map(int, row[:6])) for row in hops.ends}
    assert found == {
        (2, 3, 3, 6, 5, 6), (2, 4, 3, 6, 5, 6),  # site 2 to its electrodes
        (0, 1, 0, 6, 1, 6),  # inside the pair
        (1, 2, 1, 5, 4, 3), (1, 2, 2, 5, 0, 3),  # 1 to 2 with site 0 empty and full
        (0, 3, 0, 6, 4, 6), (0, 3, 2, 6, 1, 6), (0, 4, 0, 6, 4, 6), (0, 4, 2, 6, 1, 6),
        (1, 3, 1, 6, 4, 6), (1, 3, 2, 6, 0, 6), (1, 4, 1, 6, 4, 6), (1, 4, 2, 6, 0, 6),
    }  # fmt: skip
    # a full partner shifts the cost of 1 -> 2 by K_20 - K_10 = -2, that of 0 -> e by -K_01
    shift = {
        tuple(map(int, row[:6])): x for row, x in zip(hops.ends, hops.rates[:, 1], strict=True)
    }
    assert shift[(1, 2, 1, 5, 4, 3)] == 0
    assert shift[(1, 2, 2, 5, 0, 3)] == -2
    assert shift[(0, 3, 2, 6, 1, 6)] == -2


@pytest.mark.parametrize("rates", RATES)
def test_without_pairs_it_is_the_mean_field(rates):
    device = DopantNetwork(seed=3, parameters=DopantParameters(rates=rates))
    voltage = np.zeros((40, 8))
    voltage[:, 1:] = np.random.default_rng(0).uniform(-1, 1, (40, 7))
    field = ClusterField(device.model, pairs=(), rates=rates)
    found = field.occupation(field.solve(voltage))
    expected = MeanField(device.model, rates=rates).occupation(voltage)
    # both stop at flows that balance to 1e-12; Newton's last step leaves far less
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", [1, 5, 8])
def test_probabilities_are_probabilities(seed):
    device = DopantNetwork(seed=seed)
    pairs = tight_pairs(device.model)
    assert pairs
    field = ClusterField(device.model, pairs=pairs, rates="glauber")
    voltage = np.zeros((100, 8))
    voltage[:, 1:] = np.random.default_rng(seed).uniform(-1, 1, (100, 7))
    z = field.solve(voltage)
    assert (z >= 0).all()
    total = np.zeros((100, field.hops.n_states))
    np.add.at(total, (slice(None), field.hops.reference), z)
    assert total.max() <= 1 + 1e-12


def test_a_residual_that_is_too_large_is_said():
    field = ClusterField(DopantNetwork(seed=3).model, pairs=(), rates="glauber")
    voltage = np.full((2, 8), 0.25)
    with pytest.raises(ConvergenceError, match=r"0\.25.*residual 3\.0e-09, wanted 1e-12"):
        field.check(voltage, np.array([0.0, 3e-9]))
    with pytest.raises(ConvergenceError, match="residual nan"):
        field.check(voltage, np.array([0.0, np.nan]))
