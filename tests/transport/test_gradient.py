"""Gradients against central differences and PyTorch's own check."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inmateria.errors import NotFiniteError, ShapeError
from inmateria.transport.autograd import pldos, transmission
from inmateria.transport.gas import ElectronGas, Lead
from inmateria.transport.gradient import pldos_gradient, transmission_gradient

GAS = ElectronGas(n_x=16, n_y=24, fermi_mev=9.0, source=Lead(7, 9), drain=Lead(0, 24))
STEP_MEV = 1e-3


def potential() -> np.ndarray:
    x, y = np.meshgrid(np.arange(GAS.n_x), np.arange(GAS.n_y), indexing="ij")
    return 1.5 * np.sin(x / 4 + 0.3) * np.cos(y / 5) + 0.3 * np.cos(x * y / 40)


def directions(n: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, *GAS.shape))


def test_transmission_gradient_is_that_of_differences() -> None:
    v, steps = potential(), directions(4)
    found = transmission_gradient(GAS, v, accuracy=1e-10)
    assert found.transmission == pytest.approx(GAS.transmission(v, accuracy=1e-10), abs=1e-10)
    plus, minus = (
        GAS.transmission(v + sign * STEP_MEV * steps, accuracy=1e-11) for sign in (1, -1)
    )
    # Central differences err by step^2 times a third derivative: some 1e-6 of the gradient.
    expected = (plus - minus) / (2 * STEP_MEV)
    np.testing.assert_allclose((steps * found.gradient).sum((1, 2)), expected, rtol=2e-5)


@pytest.mark.parametrize("lead", ["source", "drain"])
def test_pldos_gradient_is_that_of_differences(lead: str) -> None:
    v, steps = potential(), directions(4)
    weight = np.random.default_rng(1).normal(size=GAS.shape)
    found = pldos_gradient(GAS, v, weight, accuracy=1e-10, lead=lead)
    np.testing.assert_allclose(found.pldos, GAS.pldos(v, accuracy=1e-10, lead=lead), rtol=1e-8)
    plus, minus = (
        (weight * GAS.pldos(v + sign * STEP_MEV * steps, accuracy=1e-11, lead=lead)).sum((1, 2))
        for sign in (1, -1)
    )
    expected = (plus - minus) / (2 * STEP_MEV)
    np.testing.assert_allclose(
        (steps * found.gradient).sum((1, 2)), expected, rtol=2e-5, atol=1e-4 * abs(expected).max()
    )


def test_a_batch_of_gradients() -> None:
    v = np.stack([potential(), -potential()])
    together = transmission_gradient(GAS, v)
    assert together.gradient.shape == v.shape
    np.testing.assert_array_equal(together.gradient[1], transmission_gradient(GAS, v[1]).gradient)
    weight = np.ones(GAS.shape)
    both = pldos_gradient(GAS, v, weight)
    np.testing.assert_array_equal(both.gradient[0], pldos_gradient(GAS, v[0], weight).gradient)


def test_autograd_agrees_with_gradcheck() -> None:
    small = ElectronGas(n_x=4, n_y=5, fermi_mev=25.0, source=Lead(1, 3), drain=Lead(0, 5))
    v = torch.tensor(np.random.default_rng(2).normal(size=small.shape), requires_grad=True)
    options = {"eps": 1e-3, "atol": 1e-6, "rtol": 1e-5}
    assert torch.autograd.gradcheck(lambda x: pldos(small, x, accuracy=1e-12), (v,), **options)
    assert torch.autograd.gradcheck(
        lambda x: transmission(small, x, accuracy=1e-12), (v,), **options
    )


def test_autograd_keeps_dtype_and_batch() -> None:
    v = torch.tensor(np.stack([potential(), potential()]), dtype=torch.float32, requires_grad=True)
    out = transmission(GAS, v)
    assert out.dtype == torch.float32
    assert out.shape == (2,)
    (out * torch.tensor([1.0, 0.0])).sum().backward()
    assert v.grad is not None
    assert v.grad.dtype == torch.float32
    assert v.grad[0].abs().max() > 0
    assert v.grad[1].abs().max() == 0


def test_bad_weights_are_refused() -> None:
    with pytest.raises(ShapeError, match="one number per site"):
        pldos_gradient(GAS, potential(), np.ones(5))
    with pytest.raises(NotFiniteError, match="weight holds NaN"):
        pldos_gradient(GAS, potential(), np.full(GAS.shape, np.nan))
