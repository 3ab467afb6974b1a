"""Controls stay in range whatever an optimiser does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inmateria.devices.device import Terminal
from inmateria.training.bounds import Bounds

TERMINALS = (
    Terminal("a", -1.2, 0.6),
    Terminal("b", -0.7, 0.3),
    Terminal("c", 0.999999, 1.0),
    Terminal("d", 1e-3, 1e3),
)
LOW = np.array([t.low_v for t in TERMINALS])
HIGH = np.array([t.high_v for t in TERMINALS])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_any_free_number_is_a_voltage_in_range(dtype):
    bounds = Bounds.of(TERMINALS, dtype)
    huge = torch.tensor([0.0, 1e-30, 5.0, 30.0, 90.0, 1e4, 1e30, torch.inf], dtype=dtype)
    free = torch.cat([huge, -huge])[:, None].expand(-1, len(TERMINALS))
    voltage = bounds.voltage(free).double().numpy()
    # Single precision cannot resolve c's range of 1 uV near 1 V: it is exact to half an ulp there.
    slack = 0.0 if dtype is torch.float64 else np.where(HIGH - LOW < 1e-5, 6e-8, 0.0)
    assert (voltage >= LOW - slack).all()
    assert (voltage <= HIGH + slack).all()


def test_it_is_a_bijection_that_rises():
    bounds = Bounds.of(TERMINALS, torch.float64)
    free = torch.linspace(-6, 6, 101, dtype=torch.float64)[:, None].expand(-1, len(TERMINALS))
    voltage = bounds.voltage(free)
    assert (voltage.diff(dim=0) > 0).all()
    # c keeps 1e-10 of its 1 uV at 1 V, so its inverse is good to 1e-4 at the flat ends.
    back = bounds.free(voltage)
    assert torch.allclose(back, free, rtol=0, atol=1e-4)


def test_an_end_of_the_range_is_a_finite_start():
    bounds = Bounds.of(TERMINALS)
    for end in (bounds.low, bounds.high):
        free = bounds.free(end)
        assert torch.isfinite(free).all()
