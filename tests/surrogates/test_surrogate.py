from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from inmateria.devices.device import DifferentiableDevice, Terminal
from inmateria.errors import NotFiniteError, ShapeError, VoltageLimitError
from inmateria.surrogates import surrogate as module
from inmateria.surrogates.network import ScaledNetwork
from inmateria.surrogates.surrogate import Surrogate

TERMINALS = (Terminal("a", -1, 1), Terminal("b", -0.5, 0.8), Terminal("c", -1.2, 0.6))


def make(activation: str = "tanh", *, hidden=(20, 20), n_outputs: int = 2) -> Surrogate:
    network = ScaledNetwork(3, n_outputs, hidden=hidden, activation=activation)
    network.initialise(torch.Generator().manual_seed(5))
    low = torch.tensor([t.low_v for t in TERMINALS])
    high = torch.tensor([t.high_v for t in TERMINALS])
    network.set_scaling(
        input_centre=(low + high) / 2,
        input_half_width=(high - low) / 2,
        output_mean=torch.arange(n_outputs) + 1.0,
        output_std=torch.full((n_outputs,), 20.0),
    )
    return Surrogate(network, TERMINALS, tuple("xyz"[:n_outputs]))


def points(*shape: int) -> np.ndarray:
    low = np.array([t.low_v for t in TERMINALS])
    high = np.array([t.high_v for t in TERMINALS])
    return low + (high - low) * np.random.default_rng(0).random((*shape, 3))


def test_a_surrogate_is_a_differentiable_device():
    assert isinstance(make(), DifferentiableDevice)


def test_gradient_of_a_linear_network_is_its_matrix():
    surrogate = make(hidden=())
    weight = surrogate.network.linear_layers()[0].weight.double().numpy()
    width = np.array([t.high_v - t.low_v for t in TERMINALS])
    expected = 20 * weight * 2 / width
    # the half widths are kept in single precision: 6e-8 relative
    assert np.allclose(surrogate.gradient(points(4)), expected, rtol=1e-6)


def test_gradient_agrees_with_central_differences():
    surrogate, v, h = make(), points(50) * 0.9, 1e-4
    steps = h * np.eye(3)
    up = surrogate.current(v[:, None] + steps)
    down = surrogate.current(v[:, None] - steps)
    numeric = np.swapaxes((up - down) / (2 * h), -1, -2)
    # third derivatives of some 1e3 nA/V^3 times h^2 / 6, and rounding 1e-13 / h: below 1e-5 nA/V
    assert np.abs(surrogate.gradient(v) - numeric).max() < 1e-5


@pytest.mark.parametrize("batch", [(), (4,), (2, 3), (0,)])
def test_leading_dimensions_are_kept(batch):
    surrogate = make()
    assert surrogate.current(points(*batch)).shape == (*batch, 2)
    assert surrogate.current(points(*batch)).dtype == np.float64
    assert surrogate.gradient(points(*batch)).shape == (*batch, 2, 3)


def test_a_batch_larger_than_a_chunk_gives_each_row_its_own_answer(monkeypatch):
    surrogate, v = make(), points(57)
    current, gradient = surrogate.current(v), surrogate.gradient(v)
    monkeypatch.setattr(module, "CHUNK_ROWS", 10)
    # double precision; only the order of sums inside BLAS may differ
    assert np.allclose(surrogate.current(v), current, rtol=0, atol=1e-11)
    assert np.allclose(surrogate.gradient(v), gradient, rtol=0, atol=1e-10)
    assert np.allclose(surrogate.current(v[31]), current[31], rtol=0, atol=1e-11)


def test_torch_current_is_the_same_and_differentiable_with_frozen_parameters():
    surrogate = make("relu")
    v = torch.tensor(points(30), dtype=torch.float32, requires_grad=True)
    current = surrogate.torch_current(v)
    current[:, 1].sum().backward()
    assert current.dtype == torch.float32
    # single precision over three layers of some 20 nA: 20 * 1e-6
    assert np.allclose(current.detach(), surrogate.current(v.detach()), rtol=0, atol=2e-5)
    assert np.allclose(v.grad, surrogate.gradient(v.detach())[:, 1], rtol=0, atol=2e-4)
    assert all(not p.requires_grad and p.grad is None for p in surrogate.network.parameters())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_gradient_does_not_depend_on_the_callers_mode(mode):
    surrogate = make()
    with mode():
        inside = surrogate.gradient(points(3))
    assert np.array_equal(inside, surrogate.gradient(points(3)))


def test_extrapolation_is_refused():
    surrogate, v = make(), points(5)
    v[2, 1] = 0.85
    for ask in (surrogate.current, surrogate.gradient):
        with pytest.raises(VoltageLimitError, match=r"terminal b at 0\.85 V leaves its range"):
            ask(v)
    v[2, 1] = 0.8 + 0.5e-3 * 1.3  # half of the allowed share of the range
    assert np.isfinite(surrogate.current(v)).all()


def test_wrong_voltages_are_refused():
    with pytest.raises(ShapeError, match="3 terminals"):
        make().current(np.zeros((4, 2)))
    with pytest.raises(NotFiniteError):
        make().current([0, np.nan, 0])


def test_description_is_plain_json():
    described = json.loads(json.dumps(make().describe(), allow_nan=False))
    assert described["kind"] == "surrogate"
    assert described["terminals"][1] == {"name": "b", "low_v": -0.5, "high_v": 0.8}
    assert described["architecture"] == {"hidden": [20, 20], "activation": "tanh"}


def test_network_and_terminals_must_fit():
    with pytest.raises(ShapeError, match="3 inputs and 2 outputs"):
        Surrogate(make().network, TERMINALS[:2], ("x", "y"))
