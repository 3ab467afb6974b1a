"""The gradient of a device's own equations, in the shape of all others."""

from __future__ import annotations

import json

import numpy as np
import pytest

from inmateria.devices.dopant.network import DopantNetwork
from inmateria.errors import ParameterError, ShapeError, TerminalError, VoltageLimitError
from inmateria.gradients.exact import Exact
from inmateria.gradients.finite_difference import FiniteDifference
from inmateria.gradients.gradient import GradientEstimator
from inmateria.rigs.guard import Guard
from inmateria.rigs.simulated import SimulatedRig

from .formulas import Parabolas, slopes


def test_it_is_the_gradient_of_the_chosen_controls() -> None:
    device = Parabolas()
    points = np.random.default_rng(0).uniform(-1, 1, (4, 2, 3))
    gradient = Exact(device, ("c", "a")).extract(points)
    np.testing.assert_array_equal(gradient.value, device.gradient(points)[..., [2, 0]])
    np.testing.assert_array_equal(gradient.current, device.current(points))
    assert gradient.value.shape == (4, 2, 2, 2)
    assert (gradient.standard_error == 0).all()
    assert gradient.standard_error.shape == gradient.value.shape
    assert gradient.defined.all()
    assert gradient.defined.shape == (4, 2, 2)
    assert (gradient.device_s, gradient.measurements) == (0.0, 0)


def test_it_agrees_with_what_is_measured_on_a_dopant_network() -> None:
    """Steps of 0.2 mV: bias h^2/6 I''' with I''' of 1e5 nA/V^3 at most is below 1e-3 nA/V.

    The solver's tolerance of about 1e-8 nA over 2 h adds 1e-4.
    """
    device = DopantNetwork()
    controls = ("e1", "e4", "e7")
    points = np.random.default_rng(5).uniform(-0.6, 0.6, (2, len(device.terminals)))
    exact = Exact(device, controls).extract(points)
    with Guard(SimulatedRig.ideal(device)) as rig:
        measured = FiniteDifference(rig, controls, step_v=2e-4, hold_s=1e-4, settle_s=0.0).extract(
            points
        )
    np.testing.assert_allclose(exact.value, measured.value, atol=2e-3)
    assert np.abs(exact.value).max() > 1


def test_a_surrogate_is_a_device() -> None:
    import torch

    from inmateria.surrogates.network import ScaledNetwork
    from inmateria.surrogates.surrogate import Surrogate

    network = ScaledNetwork(3, 1, hidden=(8,), activation="tanh")
    network.initialise(torch.Generator().manual_seed(0))
    surrogate = Surrogate(network, Parabolas().terminals, ("o0",))
    point = np.array([0.1, -0.2, 0.3])
    gradient = Exact(surrogate, ("b",)).extract(point)
    h = 1e-5
    above, below = (surrogate.current(point + np.array([0, s * h, 0])) for s in (1, -1))
    # Curvatures of order 1: h^2 is nothing, rounding is 1e-16 / 2e-5.
    np.testing.assert_allclose(gradient.value[:, 0], (above - below) / (2 * h), atol=1e-9)


def test_a_device_without_gradient_says_what_to_use() -> None:
    with pytest.raises(ParameterError, match=r"Formula does not know its gradient.*Homodyne"):
        Exact(slopes(1.0, 2.0, 3.0), ("a",))


def test_controls_and_points_are_checked() -> None:
    with pytest.raises(TerminalError, match="'d'"):
        Exact(Parabolas(), ("d",))
    with pytest.raises(ParameterError, match="a is named twice"):
        Exact(Parabolas(), ("a", "a"))
    exact = Exact(Parabolas(), ("a",))
    with pytest.raises(ShapeError):
        exact.extract(np.zeros(2))
    with pytest.raises(VoltageLimitError):
        exact.extract([0.0, 0.0, 1.5])


def test_it_is_an_estimator_and_can_be_written_down() -> None:
    exact = Exact(Parabolas(), ("a", "c"))
    assert isinstance(exact, GradientEstimator)
    assert json.loads(json.dumps(exact.describe())) == {"kind": "exact", "controls": ["a", "c"]}
    np.testing.assert_array_equal(exact.reach_v, [0.0, 0.0])
