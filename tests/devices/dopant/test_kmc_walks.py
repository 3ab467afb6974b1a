"""The inner loops: rates without exponentials, the alias table, random streams."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.devices.dopant.kmc_null_event import (
    alias_table,
    bond_list,
    hop_null_event,
    packed,
)
from inmateria.devices.dopant.kmc_random import streams, uniform
from inmateria.devices.dopant.kmc_rejection_free import (
    factors,
    hop_rejection_free,
    prepare,
    sweep,
)
from inmateria.devices.dopant.kmc_walk import PIECE, Network, Walks
from inmateria.devices.dopant.model import HoppingModel
from inmateria.devices.dopant.network import DopantNetwork
from inmateria.devices.dopant.rates import RATES, both_ways


def begin(rule: int, *, points: int = 1, seed: int = 3) -> tuple[HoppingModel, Walks, np.ndarray]:
    model = DopantNetwork(seed=seed).model
    voltage = np.random.default_rng(seed).uniform(-1, 1, (points, model.n_electrodes))
    mean = np.random.default_rng(4).random((points, model.n_sites))
    return model, Walks.begin(model, Network.of(model, rule), voltage, mean, 0), voltage


def rates_by_definition(model, voltage, n, rule):
    """Net inflow of every node, with an exponential for every hop."""
    basis, eps, K, w, we, _ = model.kernel_arrays()
    E = basis @ voltage + eps + K @ n
    sites = len(n)
    net = np.zeros(sites + len(voltage))
    for i in range(sites):
        for e, v in enumerate(voltage / model.kt_ev):
            out, back, _, _ = both_ways(v - E[i], rule)
            flow = we[i, e] * (n[i] * out - (1 - n[i]) * back)
            net[i] -= flow
            net[sites + e] += flow
        for j in range(sites):
            if n[i] and not n[j]:
                flow = w[i, j] * both_ways(E[j] - E[i] - K[i, j], rule)[0]
                net[i] -= flow
                net[j] += flow
    return net


@pytest.mark.parametrize("rule", RATES.values(), ids=RATES)
@pytest.mark.parametrize("volts", [1.0, 20.0])
def test_factors_give_the_rates_of_the_definition(rule, volts):
    # 20 V is 3,000 kT: far outside what exp can hold.
    model, walks, voltage = begin(rule)
    voltage = voltage * volts
    walks = Walks.begin(model, walks.network, voltage, walks.mean, 0)
    W, nodes = walks.network.W, walks.reference.shape[1]
    F = np.ones_like(W)
    factors(walks.reference[0], walks.network.K, rule, F)
    generator = np.random.default_rng(5)
    for _ in range(20):
        n = (generator.random(model.n_sites) < 0.5).astype(float)
        x = np.exp(walks.network.K @ (n - walks.mean[0]))
        source, target = np.ones(nodes), np.ones(W.shape[1])
        prepare(x, n, rule, source, target)
        rows = np.concatenate([np.flatnonzero(n), np.arange(model.n_sites, nodes)])
        out, net = np.empty(nodes), np.empty(W.shape[1])
        sweep(source, target, rows, len(rows), W, F, rule, out, net)
        expected = rates_by_definition(model, voltage[0], n, rule)
        # Exponents of up to 3,000 are known to 4e-13; sums of 40 rates add little.
        np.testing.assert_allclose(net[:nodes], expected, rtol=0, atol=1e-11 * W.max())


@pytest.mark.parametrize("rule", RATES.values(), ids=RATES)
@pytest.mark.parametrize("algorithm", ["rejection-free", "null-event"])
def test_multiplied_factors_do_not_drift(algorithm, rule):
    _, walks, _ = begin(rule)
    net, n = walks.network, walks.n[0]
    F = np.ones_like(net.W)
    factors(walks.reference[0], net.K, rule, F)
    d = net.K @ (n - walks.mean[0])
    before = n.copy()
    end = (walks.random[0], np.zeros(walks.width), np.empty((1, 1)), False)
    if algorithm == "rejection-free":
        hop_rejection_free(n, d, net.W, F, net.Q, rule, PIECE, *end)
    else:
        hop_null_event(
            n, d, walks.reference[0], net.K, net.W, F, net.Q, net.stay, net.ends, net.rate, rule,
            False, PIECE, 10**9, *end,
        )  # fmt: skip
    assert (n != before).any()
    # Two roundings of 1.1e-16 a hop: 20,000 hops change a logarithm by 5e-12 at most.
    np.testing.assert_allclose(d, net.K @ (n - walks.mean[0]), rtol=0, atol=5e-12)


def test_the_alias_table_draws_every_bond_by_its_weight():
    generator = np.random.default_rng(0)
    weight = np.exp(generator.uniform(-20, 0, 300))
    stay, other = alias_table(weight)
    drawn = stay.copy()
    np.add.at(drawn, other, 1 - stay)
    np.testing.assert_allclose(drawn / 300, weight / weight.sum(), rtol=1e-9, atol=1e-15)


def test_every_bond_is_listed_once():
    model = DopantNetwork(seed=3).model
    net = Network.of(model, 0)
    bond, weight = bond_list(net.W, model.n_sites)
    assert len(np.unique(bond, axis=0)) == len(bond)
    assert (bond[:, 0] < model.n_sites).all()
    expected = model.pair_weight.sum() / 2 + model.electrode_weight.sum()
    assert weight.sum() == pytest.approx(expected, rel=1e-12)
    np.testing.assert_array_equal(packed(bond, np.arange(len(bond)))[:, :2], bond)


def test_xoshiro_gives_the_published_sequence():
    # The first words of xoshiro256++ from the state 1, 2, 3, 4, worked out by hand:
    # rotl(1 + 4, 23) + 1 = 5 x 2^23 + 1, and from the state 7, 0, 262146, 6 x 2^45 on.
    from inmateria.devices.dopant.kmc_random import next_word

    state = np.array([1, 2, 3, 4], dtype=np.uint64)
    assert int(next_word(state)) == 5 * 2**23 + 1
    np.testing.assert_array_equal(state, np.array([7, 0, 262146, 6 * 2**45], dtype=np.uint64))
    assert int(next_word(state)) == ((7 + 6 * 2**45) << 23 | (7 + 6 * 2**45) >> 41) % 2**64 + 7


def test_streams_depend_on_seed_and_place_only():
    np.testing.assert_array_equal(streams(1, 3, 2), streams(1, 0, 5)[3:])
    assert len(np.unique(np.concatenate([streams(1, 0, 50), streams(2, 0, 50)]), axis=0)) == 100


def test_uniform_numbers_are_uniform():
    state = streams(0, 0, 1)[0]
    drawn = np.array([uniform(state) for _ in range(20_000)])
    assert drawn.min() >= 0
    assert drawn.max() < 1
    # Standard error of the mean: 0.289 / sqrt(20,000) = 0.002.
    assert abs(drawn.mean() - 0.5) < 0.008
