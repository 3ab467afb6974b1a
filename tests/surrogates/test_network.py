from __future__ import annotations

import pytest
import torch

from inmateria.errors import ParameterError
from inmateria.surrogates.network import ACTIVATIONS, ScaledNetwork


def test_scaling_is_part_of_the_network():
    network = ScaledNetwork(2, 1, hidden=())
    with torch.no_grad():
        network.linear_layers()[0].weight.copy_(torch.tensor([[1.0, -2.0]]))
        network.linear_layers()[0].bias.fill_(0.5)
    network.set_scaling(
        input_centre=torch.tensor([0.1, -0.2]),
        input_half_width=torch.tensor([0.5, 2.0]),
        output_mean=torch.tensor([3.0]),
        output_std=torch.tensor([10.0]),
    )
    # 3 + 10 (0.5 + (0.6 - 0.1) / 0.5 - 2 (1.8 + 0.2) / 2) = -2, single precision
    assert network(torch.tensor([0.6, 1.8])).item() == pytest.approx(-2.0, abs=1e-5)


def test_building_and_drawing_leave_the_global_generator_alone():
    before = torch.get_rng_state()
    ScaledNetwork(7, 1).initialise(torch.Generator().manual_seed(1))
    assert torch.equal(torch.get_rng_state(), before)


def test_same_seed_same_weights():
    drawn = []
    for seed in (3, 3, 4):
        network = ScaledNetwork(7, 1)
        network.initialise(torch.Generator().manual_seed(seed))
        drawn.append(network.linear_layers()[2].weight)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize(("activation", "gain"), [("relu", 2.0), ("tanh", 1.0)])
def test_drawn_variance_is_gain_over_fan_in(activation, gain):
    network = ScaledNetwork(7, 1, activation=activation)
    network.initialise(torch.Generator().manual_seed(0))
    weight = network.linear_layers()[1].weight
    # 8100 draws: the variance of a normal scatters by sqrt(2 / 8100) = 1.6 %; four of those
    assert weight.var().item() == pytest.approx(gain / 90, rel=0.064)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_evaluates(activation):
    network = ScaledNetwork(3, 2, hidden=(4,), activation=activation)
    network.initialise(torch.Generator().manual_seed(0))
    assert network(torch.zeros(5, 3)).shape == (5, 2)


@pytest.mark.parametrize(
    ("hidden", "activation", "match"),
    [
        ((90,), "swish", "use one of relu"),
        ((90, 0), "relu", "above zero"),
        ((9.5,), "relu", "whole"),
    ],
)
def test_meaningless_networks_are_refused(hidden, activation, match):
    with pytest.raises(ParameterError, match=match):
        ScaledNetwork(7, 1, hidden=hidden, activation=activation)
