"""Plans of tones and their waveforms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from inmateria.errors import FrequencyPlanError, ParameterError, ShapeError
from inmateria.signals.tones import TonePlan


def plan(frequency: Any, **changed: Any) -> TonePlan:
    f = np.asarray(frequency, dtype=float)
    fields: dict[str, Any] = {
        "rate": 10_000.0,
        "n_samples": 1000,
        "n_wait": 100,
        "frequency_hz": f,
        "amplitude_v": np.full(f.shape, 0.01),
        "phase": np.zeros(f.shape),
        "group": np.zeros(f.shape, dtype=int),
    }
    return TonePlan(**(fields | changed))


def test_the_window_holds_the_sines_of_the_plan() -> None:
    tones = plan([850.0, 870.0], phase=[0.3, 1.0], amplitude_v=[0.01, 0.02])
    point = np.array([[0.1, -0.2, 0.3]])
    wave = tones.waveform(point, [2, 0], slew_v_per_s=200.0)
    window = wave.voltage[:, wave.segment == 0]
    t = tones.time_s
    np.testing.assert_allclose(
        window[2], 0.3 + 0.01 * np.sin(2 * np.pi * 850 * t + 0.3), rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(
        window[0], 0.1 + 0.02 * np.sin(2 * np.pi * 870 * t + 1.0), rtol=0, atol=1e-12
    )
    np.testing.assert_array_equal(window[1], -0.2)


def test_the_tones_run_on_through_the_second_half_of_the_wait() -> None:
    tones = plan([850.0], phase=[0.3])
    wave = tones.waveform(np.zeros((1, 1)), [0], slew_v_per_s=200.0)
    first = int(np.flatnonzero(wave.segment == 0)[0])
    t = np.arange(-50, 0) / tones.rate
    np.testing.assert_allclose(
        wave.voltage[0, first - 50 : first], 0.01 * np.sin(2 * np.pi * 850 * t + 0.3), atol=1e-12
    )


def test_no_step_is_steeper_than_the_tones_and_the_ramps() -> None:
    tones = plan([850.0, 870.0], phase=[1.2, 0.4])
    points = np.array([[0.5, -0.5], [-0.5, 0.5], [0.2, 0.2]])
    wave = tones.waveform(points, [0, 1], start=[0.0, 0.0], slew_v_per_s=100.0)
    steepest = np.abs(np.diff(wave.voltage, axis=1, prepend=0.0)).max() * tones.rate
    # A sine moves at 2 pi f a = 55 V/s; its rise and fall add at most pi a / (2 x 2 ms) = 8 V/s.
    assert steepest <= 100.0 * (1 + 1e-9)


def test_sequential_groups_are_played_one_after_the_other() -> None:
    tones = plan([970.0, 970.0], group=[0, 1])
    wave = tones.waveform(np.zeros((2, 2)), [0, 1], slew_v_per_s=200.0)
    assert set(wave.segment.tolist()) == {-1, 0, 1, 2, 3}
    windows = tones.windows(wave.voltage, wave)
    assert windows.shape == (2, 2, 2, 1000)
    loud = np.ptp(windows, axis=-1) > 0.015
    np.testing.assert_array_equal(loud, np.broadcast_to(np.eye(2, dtype=bool), (2, 2, 2)))


def test_one_terminal_may_carry_several_tones() -> None:
    tones = plan([850.0, 870.0])
    wave = tones.waveform(np.zeros((1, 1)), [0, 0], slew_v_per_s=200.0)
    t = tones.time_s
    both = 0.01 * (np.sin(2 * np.pi * 850 * t) + np.sin(2 * np.pi * 870 * t))
    np.testing.assert_allclose(wave.voltage[0, wave.segment == 0], both, atol=1e-12)


@pytest.mark.parametrize(
    ("frequency", "message"),
    [
        ([5000.0], "below 5000 Hz"),
        ([-10.0], "above 0 Hz"),
        ([4.0], "less than one cycle in 0.1 s"),
        ([4995.0], "closer to half the rate"),
        ([900.0, 906.0], r"6 Hz apart; 0.1 s resolves 10 Hz: .* measure for 0.167 s"),
        ([900.0, 900.0], "not in quadrature"),
    ],
)
def test_impossible_tones_are_refused(frequency: list[float], message: str) -> None:
    with pytest.raises(FrequencyPlanError, match=message):
        plan(frequency)


def test_two_tones_may_share_a_frequency_in_quadrature_but_not_three() -> None:
    assert plan([900.0, 900.0], phase=[0.2, 0.2 + np.pi / 2]).n_controls == 2
    with pytest.raises(FrequencyPlanError, match="not in quadrature"):
        plan([900.0, 900.0, 900.0], phase=[0.0, np.pi / 2, np.pi])


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"rate": 0.0}, ParameterError),
        ({"n_samples": 4}, ParameterError),
        ({"amplitude_v": [0.01, 0.0]}, ParameterError),
        ({"amplitude_v": [0.01]}, ShapeError),
        ({"phase": [np.nan, 0.0]}, ParameterError),
        ({"group": [0, 2]}, ParameterError),
    ],
)
def test_what_is_not_a_plan(changed: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        plan([850.0, 870.0], **changed)


def test_whole_cycles_are_recognised() -> None:
    assert plan([850.0, 870.0]).integer_cycles
    assert not plan([850.0, 873.0]).integer_cycles
