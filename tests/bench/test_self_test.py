"""A self-test on benches of which it is known what is wrong with them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import trapezoid

from inmateria.bench.self_test import SelfTest, self_test
from inmateria.bench.tone_response import fit_delay
from inmateria.devices.device import Terminal
from inmateria.errors import ParameterError

from .crooked import CONDUCTANCE, Resistors, bench

# The electrodes' RC and the low-pass behind the converter, in samples at 10 kHz.
CHAIN = 0.23 + 0.01


def lines(found: SelfTest, kind: str) -> list[str]:
    return [f.text for f in found.findings if f.kind == kind]


@pytest.fixture(scope="module")
def healthy() -> SelfTest:
    guard = bench(Resistors(), seed=1)
    found = self_test(guard)
    assert guard.last_voltage == pytest.approx(np.zeros(4), abs=1e-12)
    low, high = guard._rig.transcript.lowest_v, guard._rig.transcript.highest_v  # type: ignore[attr-defined]
    # Never beyond the amplitude: tiny is a promise.
    assert low.min() >= -0.005 - 1e-12
    assert high.max() <= 0.005 + 1e-12
    return found


def test_gains_within_their_errors(healthy: SelfTest) -> None:
    tones = healthy.tones
    off = (tones.gain - CONDUCTANCE) / tones.gain_error
    # Eight numbers of unit variance; the chain loses up to 1 % of a tone at 1 kHz, half an error.
    assert (abs(off) < 4).all()
    assert 0.4 < np.sqrt(np.mean(off**2)) < 1.8
    assert healthy.passed
    good = lines(healthy, "good")
    assert any(t.startswith("x answers to a, b") and "most to a" in t for t in good)
    assert any(t.startswith("y answers to c; most to c") for t in good)
    (look,) = lines(healthy, "look")
    assert look.startswith("no output answers to d (")


def test_noise_and_offset_at_rest(healthy: SelfTest) -> None:
    # 1e-5 nA^2/Hz at 1 kHz behind a low-pass that takes 0.4 % of it.
    at = (healthy.spectrum.frequency_hz > 800) & (healthy.spectrum.frequency_hz < 1200)
    assert healthy.spectrum.density[:, at].mean(axis=1) == pytest.approx(1.1e-5, rel=0.15)
    assert healthy.rms_na == pytest.approx(healthy.recording.std(axis=1))
    # Of a resting device's noise nearly all is drift, 2.7 nA rms, and an offset is where it stands.
    assert (abs(healthy.offset_na) < 4 * 2.7).all()
    # A(tau) = int S 2 sin^4(pi f tau) / (pi f tau)^2 df of the spectrum that was put in.
    f = np.geomspace(0.1, 5000, 20_000)
    density = 1e-5 * (1e3 / f) ** 1.5 + 1e-6
    x = np.pi * f * 0.02
    allan = trapezoid(density * 2 * np.sin(x) ** 4 / x**2, f)
    assert healthy.hold_noise_na == pytest.approx(np.full(2, np.sqrt(allan)), rel=0.2)
    assert healthy.lines == ()
    assert healthy.undriven_gain == pytest.approx(healthy.undriven_error, rel=0.6)


def test_the_chain_s_own_delay(healthy: SelfTest) -> None:
    off = (healthy.delay_samples - CHAIN) / healthy.delay_error_samples
    assert (abs(off) < 4).all()
    assert (healthy.delay_error_samples < 0.1).all()


@pytest.mark.parametrize("late", [3, 38])
def test_a_late_bench_is_told_by_how_much(late: int) -> None:
    found = self_test(bench(Resistors(), seed=2, late=late), noise_s=1.0)
    off = found.delay_samples - late - CHAIN
    assert (abs(off) < 4 * found.delay_error_samples).all()
    wrong = lines(found, "wrong")
    assert len(wrong) == 2
    assert wrong[0].startswith(f"x is late by {late}.")
    assert f"change delay_samples by +{late}" in wrong[0]
    # The gains are read behind the delay.
    assert (abs(found.tones.gain - CONDUCTANCE) < 5 * found.tones.gain_error).all()


def test_hum_offset_and_a_dead_output() -> None:
    offset = self_test(bench(Resistors(offset_na=50.0), seed=3, hum_na=3.0), noise_s=2.0)
    # Within drift of 2.7 nA rms.
    assert offset.offset_na == pytest.approx([50.0, 50.0], abs=9)
    wrong = lines(offset, "wrong")
    assert sum("adjust its zero" in t for t in wrong) == 2
    (hum,) = [t for t in (*wrong, *lines(offset, "look")) if "mains" in t]
    assert hum.startswith("y: mains at 50 Hz 3 nA")
    assert "x: no lines of the mains" in lines(offset, "good")

    dead = self_test(bench(Resistors(), seed=3, dead=1), noise_s=1.0)
    (line,) = lines(dead, "wrong")
    assert line.startswith("y reads 12.5 nA throughout, without any noise")
    assert not any(f.text.startswith("y answers") for f in dead.findings)


def test_a_short_is_named_by_its_terminal() -> None:
    conductance = CONDUCTANCE.copy()
    conductance[1, 2] = 1e6  # a kiloohm: 5000 nA at 5 mV, twelve times the range
    found = self_test(bench(Resistors(conductance), seed=4), noise_s=1.0)
    assert found.tones.shorted.tolist() == [[False] * 4, [False, False, True, False]]
    (line,) = lines(found, "wrong")
    assert line.startswith("c brings y to the end of its range with 5 mV")
    assert "13 kOhm" in line
    # The other output is read as if nothing had happened.
    off = (found.tones.gain[0] - CONDUCTANCE[0]) / found.tones.gain_error[0]
    assert (abs(off) < 4).all()
    assert np.isnan(found.tones.gain[1]).all()

    conductance[1, 2] = 2e4  # 100 nA at 5 mV, the whole range at 20 mV
    found = self_test(bench(Resistors(conductance), seed=4), noise_s=1.0)
    (line,) = lines(found, "wrong")
    assert line.startswith("c brings y to the end of its range at 20")


def test_nothing_connected() -> None:
    found = self_test(bench(Resistors(0 * CONDUCTANCE), seed=5), noise_s=1.0)
    assert np.isnan(found.delay_samples).all()
    looks = lines(found, "look")
    assert [t.split(" (")[0] for t in looks] == [
        "x answers to no terminal",
        "y answers to no terminal",
    ]


def test_a_bench_of_slow_slew_gets_slower_tones() -> None:
    guard = bench(Resistors(), seed=6, slew_v_per_s=5.0)
    found = self_test(guard, noise_s=1.0)
    # 5 mV at 127 Hz are 4 V/s.
    assert 60 < found.tones.frequency_hz.max() < 128
    assert (abs(found.tones.gain - CONDUCTANCE) < 5 * found.tones.gain_error).all()


def test_terminals_of_one_sign() -> None:
    device = Resistors()
    device.terminals = (Terminal("a", 0.0, 1.0), *device.terminals[1:])
    found = self_test(bench(device, seed=7), noise_s=0.5)
    assert found.tones.rest == pytest.approx([0.005, 0, 0, 0])


def test_a_delay_s_error_is_its_scatter() -> None:
    rng = np.random.default_rng(1)
    f = np.array([200.0, 330.0, 470.0, 600.0, 730.0, 870.0, 990.0])
    truth = np.outer([5.0, -2.0], np.exp(-2j * np.pi * f * 1.3e-3))
    pulls = []
    for _ in range(60):
        noise = rng.normal(0, 0.5, (2, 7)) + 1j * rng.normal(0, 0.5, (2, 7))
        tau, error = fit_delay(truth + noise, np.full((2, 7), 0.5), f)
        pulls.append((tau - 1.3e-3) / error)
    # 60 numbers of unit variance: their rms is known to 9 %.
    assert 0.7 < np.sqrt(np.mean(np.square(pulls))) < 1.3


def test_wrong_numbers_are_refused() -> None:
    guard = bench(Resistors())
    for wrong in ({"amplitude_v": 0.0}, {"noise_s": 0.0}, {"tone_s": float("nan")}):
        with pytest.raises(ParameterError):
            self_test(guard, **wrong)
