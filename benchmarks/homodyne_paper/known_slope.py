"""A weight of known slope, h(w) = 10 w, measured by a tone and by a step; what figures share.

Noise is the only stage of the chain: these figures are about noise alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.devices.device import Terminal
from inmateria.gradients.finite_difference import FiniteDifference
from inmateria.gradients.window_response import noise_variance, sampled_density
from inmateria.rigs.guard import Guard
from inmateria.rigs.noise import PowerLawNoise
from inmateria.rigs.simulated import SimulatedRig
from inmateria.signals.lockin import Demodulator
from inmateria.signals.tones import TonePlan

FloatArray = NDArray[np.float64]

SLOPE = 10.0  # nA/V
# Tones of 0.1 V at 1 kHz move faster than a laboratory's default limit allows.
SLEW_V_PER_S = 1e4
_CHUNK_SAMPLES = 2_000_000


class Weight:
    """h(w) = 10 w, nA."""

    terminals = (Terminal("w", -1.0, 1.0),)
    outputs = ("h",)

    def current(self, voltage: ArrayLike) -> FloatArray:
        """(..., 1) V to (..., 1) nA."""
        return SLOPE * np.asarray(voltage, dtype=np.float64)

    def describe(self) -> dict[str, Any]:
        """What it is."""
        return {"kind": "weight", "slope_na_per_v": SLOPE}


def noisy_weight(noise: PowerLawNoise, rate: float, seed: int) -> Guard:
    """The weight behind noise and nothing else."""
    rig = SimulatedRig(
        Weight(),
        rate=rate,
        dac=None,
        electrodes=None,
        noise=noise,
        converter=None,
        lowpass=None,
        adc=None,
        seed=seed,
    )
    return Guard(rig, slew_v_per_s=SLEW_V_PER_S)


def one_tone(frequency_hz: float, amplitude_v: float, duration_s: float, rate: float) -> TonePlan:
    """A plan of a single tone, without a wait: there is nothing to settle."""
    return TonePlan(
        rate=rate,
        n_samples=round(duration_s * rate),
        n_wait=0,
        frequency_hz=np.array([frequency_hz]),
        amplitude_v=np.array([amplitude_v]),
        phase=np.zeros(1),
        group=np.zeros(1, dtype=np.int64),
    )


def by_tone(
    noise: PowerLawNoise,
    plan: TonePlan,
    chains: Sequence[Demodulator],
    *,
    repetitions: int,
    seed: int,
) -> FloatArray:
    """Derivatives from windows one after another, (n_chains, repetitions) nA/V.

    Every chain reads the same windows.
    """
    found = []
    with noisy_weight(noise, plan.rate, seed) as rig:
        left = repetitions
        while left:
            n = min(left, max(1, _CHUNK_SAMPLES // plan.n_samples))
            waveform = plan.waveform(
                np.zeros((n, 1)), [0], start=rig.last_voltage, slew_v_per_s=rig.slew_v_per_s
            )
            windows = plan.windows(rig.play(waveform), waveform)[:, 0, 0]
            found.append([chain(windows).in_phase[:, 0] / plan.amplitude_v[0] for chain in chains])
            rig.ramp_to([0.0])
            left -= n
    return np.concatenate(found, axis=1)


def by_steps(
    noise: PowerLawNoise,
    step_v: float,
    duration_s: float,
    *,
    rate: float,
    repetitions: int,
    seed: int,
) -> FloatArray:
    """Derivatives from two plateaus of half the time, one after the other, (repetitions,) nA/V."""
    with noisy_weight(noise, rate, seed) as rig:
        estimator = FiniteDifference(
            rig, ("w",), step_v=step_v, hold_s=duration_s / 2, settle_s=0.0
        )
        return estimator.extract(np.zeros((repetitions, 1))).value[:, 0, 0]


def predicted_by_steps(
    noise: PowerLawNoise, step_v: float, duration_s: float, rate: float
) -> float:
    """Variance of the same from its weights, +1 then -1 over each half, (nA/V)^2."""
    half = round(duration_s / 2 * rate)
    weights = np.concatenate([np.ones(half), -np.ones(half)])[:, None] / (2 * half * step_v)
    return float(noise_variance(weights, sampled_density(noise, rate), rate)[0])
