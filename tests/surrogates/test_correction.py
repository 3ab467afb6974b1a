"""Changes that were made by hand are found again, whatever the network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from inmateria.devices.device import Terminal
from inmateria.surrogates.correction import apply_correction, find_correction
from inmateria.surrogates.network import ScaledNetwork
from inmateria.surrogates.recording import Recording
from inmateria.surrogates.surrogate import Surrogate

TERMINALS = (Terminal("a", -1.0, 1.0), Terminal("b", -0.5, 0.8), Terminal("c", -1.2, 0.6))
GAIN, OFFSET = (1.05, 0.93), (1.5, -0.7)
FACTOR, SHIFT = (1.05, 1.0, 0.97), (0.0, 0.03, -0.02)


@pytest.fixture(scope="module")
def old() -> Surrogate:
    """A random smooth network of two outputs, some 10 nA strong."""
    network = ScaledNetwork(3, 2, hidden=(24, 24), activation="tanh")
    network.initialise(torch.Generator().manual_seed(3))
    network.set_scaling(
        input_centre=torch.tensor([(t.low_v + t.high_v) / 2 for t in TERMINALS]),
        input_half_width=torch.tensor([(t.high_v - t.low_v) / 2 for t in TERMINALS]),
        output_mean=torch.tensor([3.0, -1.0]),
        output_std=torch.tensor([10.0, 12.0]),
    )
    return Surrogate(network, TERMINALS, ("x", "y"))


def changed_current(
    old: Surrogate, voltage, *, gain=GAIN, offset=OFFSET, factor=FACTOR, shift=SHIFT
):
    """The definition itself, from the old network's own layers in double precision."""
    network = old._double
    asked = torch.tensor(np.array(factor) * voltage + np.array(shift))
    with torch.no_grad():
        return np.array(gain) * network(asked).numpy() + np.array(offset)


def recording(old: Surrogate, current, *, segment=100, noise_na=0.0, n=4000, seed=0):
    rng = np.random.default_rng(seed)
    low, high = (np.array([getattr(t, k) for t in TERMINALS]) for k in ("low_v", "high_v"))
    voltage = rng.uniform(low, high, (n, 3))
    measured = current(voltage) + noise_na * rng.standard_normal((n, 2))
    return Recording(voltage, measured, np.arange(n) // segment, TERMINALS, ("x", "y"), {})


def test_a_correction_is_what_its_formula_says(old):
    correction = find_correction(old, recording(old, old.current), inputs=False)
    by_hand = replace(correction, gain=GAIN, offset_na=OFFSET, factor=FACTOR, shift_v=SHIFT)
    voltage = recording(old, old.current).voltage
    corrected = apply_correction(old, by_hand)
    # weights are rounded to single precision, 1e-7 of sums of some ten terms of 10 nA
    np.testing.assert_allclose(
        corrected.current(voltage), changed_current(old, voltage), atol=2e-4, rtol=0
    )
    for name in ("input_centre", "input_half_width", "output_mean", "output_std"):
        assert torch.equal(getattr(corrected.network, name), getattr(old.network, name))


@pytest.mark.parametrize("segment", [100, 1])
def test_gain_and_offset_of_a_converter_are_recovered(old, segment):
    """White noise of 0.1 nA: gain to 0.1 / (10 sqrt(4000)) = 2e-4, offset to 2e-3 nA."""
    changed = recording(
        old,
        lambda v: changed_current(old, v, factor=(1, 1, 1), shift=(0, 0, 0)),
        segment=segment,
        noise_na=0.1,
    )
    found = find_correction(old, changed, inputs=False)
    assert found.gain == pytest.approx(GAIN, abs=1e-3)
    # the gain turns about 0 nA: its error moves the offset by that times a mean of a few nA
    assert found.offset_na == pytest.approx(OFFSET, abs=0.02)
    assert found.factor == (1.0, 1.0, 1.0)


def test_all_numbers_are_recovered_at_once_in_spite_of_drift(old):
    changed = recording(old, lambda v: changed_current(old, v), noise_na=0.05)
    # every segment off by another nanoampere: 1 nA / sqrt(40) of it stays in the offset
    slow = np.random.default_rng(5).standard_normal((40, 1))
    changed = replace(changed, current=changed.current + slow[changed.segment])
    found = find_correction(old, changed)
    # weighing against what is usual pulls by some 1e-3 of a change
    assert found.gain == pytest.approx(GAIN, abs=3e-3)
    assert found.factor == pytest.approx(FACTOR, abs=3e-3)
    assert found.shift_v == pytest.approx(SHIFT, abs=3e-3)
    assert found.offset_found_na == pytest.approx(np.array(OFFSET) + slow.mean(), abs=0.1)
    assert found.offset_error_na == pytest.approx([1 / np.sqrt(40)] * 2, rel=0.5)


def test_an_offset_within_slow_noise_is_not_believed(old):
    """A random walk over the recording: its mean says nothing of the device."""
    same = recording(old, old.current)
    walk = np.cumsum(np.random.default_rng(1).standard_normal(40))
    away = replace(same, current=same.current + (walk - walk.mean() + 0.5)[same.segment][:, None])
    found = find_correction(old, away, inputs=False)
    assert found.offset_found_na == pytest.approx([0.5, 0.5], abs=0.1)
    assert min(found.offset_error_na) > 0.5
    assert found.offset_na == (0.0, 0.0)


def test_a_linear_device_shares_what_cannot_be_told_apart(old):
    """I = g . V: a gain of 1.1 is as well a factor of 1.1 of every terminal."""
    network = ScaledNetwork(3, 2, hidden=())
    network.initialise(torch.Generator().manual_seed(1))
    network.output_std.fill_(10.0)
    linear = Surrogate(network, TERMINALS, ("x", "y"))
    changed = recording(linear, lambda v: 1.1 * linear.current(v), noise_na=0.01)
    found = find_correction(linear, changed)
    voltage = changed.voltage[:100]
    left = apply_correction(linear, found).current(voltage) - 1.1 * linear.current(voltage)
    assert np.abs(left).max() < 0.1
    assert max(np.abs(found.shift_v)) < 0.05
