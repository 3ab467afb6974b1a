"""The delay of a recording is found to a fraction of a sample, with an honest error."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.errors import CalibrationError, ParameterError, TerminalError
from inmateria.rigs.chain import ElectrodeRC
from inmateria.rigs.delay import measure_delay
from inmateria.rigs.guard import Guard
from inmateria.rigs.noise import PowerLawNoise
from inmateria.rigs.simulated import SimulatedRig

from .ohmic import Ohmic


class Late(SimulatedRig):
    """Its recordings come some samples late."""

    late = 0

    def play(self, voltage):
        line = getattr(self, "_line", np.zeros((len(self.outputs), self.late)))
        all_of_it = np.hstack([line, super().play(voltage)])
        n = np.asarray(voltage).shape[1]
        self._line = all_of_it[:, n:]
        return all_of_it[:, :n]


def late(samples: int, rig: Late) -> Late:
    rig.late = samples
    return rig


@pytest.mark.parametrize("samples", [0, 1, 38, 900])
@pytest.mark.parametrize("terminal", ["a", "b", 2])  # c drives y with the other sign
def test_a_whole_delay_is_found(samples, terminal):
    with Guard(late(samples, Late.ideal(Ohmic()))) as guard:
        guard.ramp_to([0.3, -0.2, 0.1])
        delay = measure_delay(guard, terminal)
        np.testing.assert_allclose(guard.last_voltage, [0.3, -0.2, 0.1], atol=1e-12)
    assert delay.whole == samples
    assert delay.samples == pytest.approx(samples, abs=1e-3)
    assert delay.terminal == ("c" if terminal == 2 else terminal)


def test_a_fraction_of_a_sample_is_found_within_its_error():
    """An electrode between samples, v[n] = a v[n-1] + (1 - a) u[n], lags by its phase / omega."""
    bare = measure_delay(
        Guard(late(5, Late(Ohmic(), noise=None, lowpass=None, electrodes=None))), "c"
    )
    rig = late(5, Late(Ohmic(), noise=None, lowpass=None, electrodes=ElectrodeRC(100e-6)))
    lag = measure_delay(Guard(rig), "c").samples - bare.samples
    a = np.exp(-1 / (10_000 * 100e-6))
    # From that of a slow signal to that at the chirp's end, an eighth of the sampling rate.
    omega = np.array([1e-6, 2 * np.pi / 8])
    slow, fast = np.arctan2(a * np.sin(omega), 1 - a * np.cos(omega)) / omega
    assert slow == pytest.approx(a / (1 - a), rel=1e-6)
    assert fast < lag < slow


def test_the_error_is_that_of_the_noise():
    delays = [
        measure_delay(Guard(late(5, Late(Ohmic(), seed=s, lowpass=None))), "c") for s in range(30)
    ]
    values = np.array([d.samples for d in delays])
    errors = np.array([d.standard_error for d in delays])
    # The scatter of 30 values is known to 1 / sqrt(58) = 13 %; three of these, and the bias of
    # a standard deviation of eight repeats, 3 %.
    assert values.std(ddof=1) == pytest.approx(np.sqrt((errors**2).mean()), rel=0.45)
    assert errors.max() < 0.5


def test_the_chirp_obeys_the_slew_limit():
    rig = Late.ideal(Ohmic())
    with Guard(rig, slew_v_per_s=20.0) as guard:
        assert measure_delay(guard, "c").whole == 0
    assert rig.transcript.steepest_v_per_s.max() <= 20.0 * (1 + 1e-9)
    assert rig.transcript.highest_v[2] > 1e-3


def test_a_dead_terminal_is_not_given_a_delay():
    class Dead(Ohmic):
        conductance = np.zeros((2, 3))

    for rig in (Late.ideal(Dead()), Late(Dead(), noise=PowerLawNoise())):
        with pytest.raises(CalibrationError, match="no output follows terminal a"):
            measure_delay(Guard(rig))


def test_what_cannot_be_meant_is_refused():
    guard = Guard(Late.ideal(Ohmic()))
    with pytest.raises(ParameterError, match="chirps"):
        measure_delay(guard, duration_s=1e-3)
    with pytest.raises(ParameterError, match="chirps"):
        measure_delay(guard, repeats=1)
    with pytest.raises(TerminalError):
        measure_delay(guard, "nobody")
