"""Gain, phase and delay of a chain, against the chain's own response."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike
from scipy.signal import sosfreqz
from tests.gradients.curved import Curved

from inmateria.devices.device import FloatArray
from inmateria.errors import CalibrationError, FrequencyPlanError, ParameterError
from inmateria.gradients.calibration import Calibration, calibrate
from inmateria.rigs.chain import ElectrodeRC, LowPass
from inmateria.rigs.guard import Guard
from inmateria.rigs.simulated import SimulatedRig

DEVICE = Curved()
FREQUENCY = np.array([110.0, 430.0, 790.0, 990.0])


class Delayed(SimulatedRig):
    """Readings come `n_late` samples late."""

    n_late = 7

    def play(self, voltage: ArrayLike) -> FloatArray:
        reading = super().play(voltage)
        late = getattr(self, "late", np.zeros((reading.shape[0], self.n_late)))
        both = np.hstack([late, reading])
        self.late = both[:, reading.shape[1] :]
        return both[:, : reading.shape[1]]


def chain_response(
    frequency: np.ndarray, electrodes: ElectrodeRC | None, lowpass: LowPass | None
) -> np.ndarray:
    """Of the stages as they are computed, at 10 kS/s."""
    z = np.exp(-2j * np.pi * frequency / 10_000.0)
    h = np.ones(frequency.size, dtype=complex)
    if electrodes is not None:
        a = np.exp(-1 / (10_000.0 * electrodes.tau_s))
        h *= (1 - a) / (1 - a * z)
    if lowpass is not None:
        sections = lowpass.start(1, 10_000.0)._sections
        h *= sosfreqz(sections, frequency, fs=10_000.0)[1]
    return h


@pytest.mark.parametrize("tau_s", [None, 23e-6, 100e-6])
def test_a_quiet_chain_is_found_to_a_thousandth(tau_s: float | None) -> None:
    electrodes = None if tau_s is None else ElectrodeRC(tau_s)
    rig = SimulatedRig(DEVICE, noise=None, dac=None, adc=None, electrodes=electrodes)
    found = calibrate(Guard(rig), DEVICE.names)
    true = chain_response(FREQUENCY, electrodes, LowPass())
    # The two powers of x leave part of (omega tau)^6 / 6, which for 100 us is 1 % at the top.
    np.testing.assert_allclose(
        found.response(FREQUENCY), np.broadcast_to(true, (2, 4)), atol=3e-3 if tau_s else 1e-3
    )


def test_a_noisy_chain_is_found_within_its_standard_errors() -> None:
    rig = SimulatedRig(DEVICE, seed=1)
    found = calibrate(Guard(rig), DEVICE.names, n_points=8)
    top = np.full(4, found.high_hz)
    ratio = found.response(top) / chain_response(top, ElectrodeRC(), LowPass())
    off = np.stack([np.log(np.abs(ratio)), np.angle(ratio)], axis=-1)
    # Sixteen numbers that share most of their noise: five standard errors leave room.
    assert (np.abs(off) < 5 * found.standard_error).all()
    assert found.standard_error.max() < 0.05


def test_a_delay_of_many_samples_is_not_taken_for_a_sign() -> None:
    found = calibrate(Guard(Delayed(DEVICE, noise=None, electrodes=None, lowpass=None)))
    np.testing.assert_allclose(found.delay_s, 7e-4, atol=2e-6)
    np.testing.assert_allclose(np.abs(found.response(FREQUENCY)), 1.0, atol=2e-3)


def test_every_control_has_its_own_response() -> None:
    class Uneven(SimulatedRig):
        """The electrode of e2 is slower than the others."""

        def play(self, voltage: ArrayLike) -> FloatArray:
            sent = np.array(voltage, dtype=float)
            slow = ElectrodeRC(100e-6)
            before = getattr(self, "before", np.zeros(1))
            sent[2:3] = slow.follow(sent[2:3], before, self.rate)
            self.before = sent[2:3, -1]
            return super().play(sent)

    found = calibrate(Guard(Uneven(DEVICE, noise=None, electrodes=None, lowpass=None)))
    true = np.ones(4, dtype=complex)
    true[2] = chain_response(FREQUENCY[2:3], ElectrodeRC(100e-6), None)[0]
    np.testing.assert_allclose(found.response(FREQUENCY), np.broadcast_to(true, (2, 4)), atol=3e-3)


def test_it_is_written_and_read_again() -> None:
    rig = SimulatedRig(DEVICE, seed=1)
    found = calibrate(Guard(rig), ("e1", "e3"))
    again = Calibration.from_dict(found.to_dict())
    np.testing.assert_array_equal(again.response(FREQUENCY[:2]), found.response(FREQUENCY[:2]))
    assert again.controls == ("e1", "e3")
    assert again.device_s == found.device_s > 0


def test_what_cannot_be_calibrated_says_so() -> None:
    weak = Curved(curvature=0.0, third=0.0)
    weak.slope *= 1e-4
    with pytest.raises(CalibrationError, match="answers too weakly"):
        calibrate(Guard(SimulatedRig(weak, seed=1)))
    guard = Guard(SimulatedRig(DEVICE))
    with pytest.raises(FrequencyPlanError, match="do not fit"):
        calibrate(guard, duration_s=0.01)
    with pytest.raises(FrequencyPlanError, match="below 5000 Hz"):
        calibrate(guard, high_hz=6_000.0)
    with pytest.raises(ParameterError, match="amplitude_v"):
        calibrate(guard, amplitude_v=0.0)
    with pytest.raises(ParameterError, match="n_points"):
        calibrate(guard, n_points=0)
