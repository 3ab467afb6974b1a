"""Any device with a gradient goes through PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inmateria.errors import TrainingError
from inmateria.training.differentiable import as_differentiable

from .stand_ins import TanhNetwork


def test_gradient_of_several_outputs_passes_gradcheck():
    current = as_differentiable(TanhNetwork(n_outputs=3))
    voltage = torch.rand(2, 4, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(current, voltage)


def test_values_are_the_devices():
    device = TanhNetwork(n_outputs=2)
    voltage = np.random.default_rng(0).uniform(-1, 1, (7, 6))
    assert as_differentiable(device)(torch.tensor(voltage)).numpy() == pytest.approx(
        device.current(voltage)
    )


def test_a_device_without_gradient_is_refused():
    class Measured:
        terminals, outputs = (), ()

        def current(self, voltage):
            return voltage

        def describe(self):
            return {}

    with pytest.raises(TrainingError, match="Measured has no gradient"):
        as_differentiable(Measured())
