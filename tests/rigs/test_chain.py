"""Stages of the chain against their closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.errors import ParameterError
from inmateria.rigs.chain import ADC, DAC, Converter, ElectrodeRC, LowPass

RATE = 10_000.0


@pytest.mark.parametrize("stage", [DAC(bits=12, range_v=5.0), ADC(bits=12, range_v=5.0)])
def test_converters_round_to_the_nearest_level(stage):
    step = 10.0 / 4096
    voltage = np.random.default_rng(0).uniform(-4.9, 4.9, (3, 1000))
    converted = stage.convert(voltage)
    assert np.abs(converted - voltage).max() <= step / 2 * (1 + 1e-12)
    np.testing.assert_allclose(converted / step, np.rint(converted / step), atol=1e-12)
    np.testing.assert_array_equal(stage.convert(np.zeros(2)), 0)
    np.testing.assert_array_equal(stage.convert(np.array([-99.0, 99.0])), [-5.0, 5.0 - step])


@pytest.mark.parametrize("tau", [1e-6, 23e-6, 1e-3])
def test_an_electrode_settles_exponentially(tau):
    """A step: what is left after n samples is exp(-n / (rate tau))."""
    out = ElectrodeRC(tau).follow(np.full((1, 50), 0.8), np.array([-0.2]), RATE)
    left = np.exp(-np.arange(1, 51) / (RATE * tau))
    np.testing.assert_allclose(out[0], 0.8 - left, atol=1e-15)


def test_an_electrode_becomes_exactly_constant():
    """What makes plateaus cheap: the recursion ends in a fixed point, not near one."""
    out = ElectrodeRC().follow(np.full((1, 40), 0.123456789), np.zeros(1), RATE)
    # Each sample leaves exp(-4.35) = 1.3 %: after ten, less than the last bit.
    assert np.unique(out[0, 10:]).size == 1


def test_an_electrode_loses_what_the_formula_says_at_1_khz():
    """Sampled densely, the recursion is the RC's response 1 / sqrt(1 + (2 pi f tau)^2)."""
    tau, rate = 23e-6, 10e6
    t = np.arange(100_000) / rate
    out = ElectrodeRC(tau).follow(np.sin(2 * np.pi * 1e3 * t)[None], np.zeros(1), rate)
    expected = 1 / np.sqrt(1 + (2 * np.pi * 1e3 * tau) ** 2)
    assert expected == pytest.approx(0.99, abs=1e-3)
    # 10,000 samples a cycle: the largest one misses the crest by (pi / 1e4)^2 / 2 at most, and
    # the hold delays by half a sample without changing the height by more than that.
    assert out[0, 50_000:].max() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_low_pass_halves_power_at_its_cutoff_and_passes_dc(order):
    run = LowPass(cutoff_hz=500.0, order=order).start(2, RATE)
    t = np.arange(20_000) / RATE
    out = run(np.stack([np.sin(2 * np.pi * 500 * t), np.ones(20_000)]))
    # 500 cycles of 20 samples after the start has died away (500 Hz: 3000 time constants).
    assert (out[0, 10_000:] ** 2).mean() == pytest.approx(0.25, rel=1e-9)
    assert out[1, -1] == pytest.approx(1.0, rel=1e-12)


def test_the_low_pass_carries_its_state():
    signal = np.random.default_rng(1).normal(size=(3, 1000))
    whole = LowPass(500.0).start(3, RATE)(signal)
    run = LowPass(500.0).start(3, RATE)
    parts = [run(signal[:, a:b]) for a, b in ((0, 1), (1, 400), (400, 400), (400, 1000))]
    np.testing.assert_array_equal(np.hstack(parts), whole)


@pytest.mark.parametrize(
    "make",
    [
        lambda: DAC(bits=0),
        lambda: DAC(range_v=-1),
        lambda: ADC(range_v=np.nan),
        lambda: ElectrodeRC(tau_s=0),
        lambda: Converter(gain_na_per_v=0),
        lambda: Converter(clip_v=np.inf),
        lambda: LowPass(cutoff_hz=-1),
        lambda: LowPass(cutoff_hz=5000).start(1, RATE),
    ],
)
def test_what_has_no_meaning_is_refused(make):
    with pytest.raises(ParameterError):
        make()
