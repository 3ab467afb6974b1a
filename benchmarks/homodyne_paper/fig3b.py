"""Figure 3b: error of a derivative against the distance to a neighbouring tone.

T = 0.1 s, a tone of 8 mV at 1 kHz that makes 0.4 nA, one neighbour above it that
makes 1, 2.05 or 20 times as much, noise of 1e-5 nA^2/Hz at 1 kHz falling as
1/f^1.5, the paper's demodulation. Three answers to the same question: the
paper's eq. 8, the finite-window budget, and 8,000 simulated windows for every
point, with neighbours of random phase. Squared errors of n windows scatter by at
most sqrt(2 / n), 1.6 % for 8,000.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from inmateria.devices.device import FloatArray
from inmateria.gradients.error_budget import Response, demodulators, error_budget
from inmateria.gradients.paper_model import paper_curve
from inmateria.rigs.noise import PowerLawNoise
from inmateria.signals.tones import TonePlan

RATE, DURATION_S = 10_000.0, 0.1
TONE_HZ, AMPLITUDE_V, CURRENT_NA = 1000.0, 8e-3, 0.4
KNEES_HZ = {1.0: 32.0, 2.05: 40.0, 20.0: 87.0}
NOISE = PowerLawNoise()
WINDOWS = 8000
SIMULATED_HZ = np.array(
    [10, 15, 20, 25, 30, 35, 40, 44, 50, 54, 60, 65, 70, 75, 80, 85, 90, 105, 125, 150.0]
)


def two_tones(spacing_hz: float) -> TonePlan:
    """The tone and its neighbour, in one group."""
    return TonePlan(
        rate=RATE,
        n_samples=round(RATE * DURATION_S),
        n_wait=0,
        frequency_hz=np.array([TONE_HZ, TONE_HZ + spacing_hz]),
        amplitude_v=np.full(2, AMPLITUDE_V),
        phase=np.zeros(2),
        group=np.zeros(2, dtype=np.int64),
    )


def eq_8(spacing_hz: FloatArray, ratio: float) -> FloatArray:
    """The paper's squared error of the tone, (n,) Hz to (n,) (nA/V)^2."""
    f = TONE_HZ + np.stack([0 * spacing_hz, spacing_hz], axis=-1)
    current = CURRENT_NA * np.array([1.0, ratio])
    return paper_curve(f, current, AMPLITUDE_V, duration_s=DURATION_S, noise=NOISE)[:, 0]


def budget(spacing_hz: float, ratio: float) -> float:
    """The finite-window budget's squared error of the tone, (nA/V)^2."""
    gradient = CURRENT_NA * np.array([1.0, ratio]) / AMPLITUDE_V
    plan = two_tones(spacing_hz)
    found = error_budget(plan, NOISE, Response(gradient), demodulator="butterworth")
    return float(found.total[0])


def simulate(noise: FloatArray, spacing_hz: float, seed: int) -> dict[float, float]:
    """Squared error over windows of noise, (n_windows, n_samples) nA, by neighbour ratio."""
    plan = two_tones(spacing_hz)
    demodulate = demodulators(plan, "butterworth")[0]
    own, neighbour = 2 * np.pi * np.outer(plan.frequency_hz, plan.time_s)
    phase = np.random.default_rng(seed).uniform(0, 2 * np.pi, (len(noise), 1))
    quiet = noise + CURRENT_NA * np.sin(own)
    beside = CURRENT_NA * np.sin(neighbour + phase)
    found = {}
    for ratio in KNEES_HZ:
        x = demodulate(quiet + ratio * beside).in_phase[:, 0]
        found[ratio] = float(np.mean((x - CURRENT_NA) ** 2)) / AMPLITUDE_V**2
    return found


def knee_hz(ratio: float) -> float:
    """Spacing at which eq. 8 gives twice the squared error of the tone alone."""
    spacing = np.arange(10.0, 200.0, 0.05)
    alone = paper_curve([TONE_HZ], [CURRENT_NA], AMPLITUDE_V, duration_s=DURATION_S, noise=NOISE)
    return float(spacing[np.argmax(eq_8(spacing, ratio) < 2 * alone)])


def main(out: Path) -> None:
    """Print knees and agreement, draw the figure."""
    stream = NOISE.stream(1, RATE, seed=3)
    n_samples = round(RATE * DURATION_S)
    noise = stream.next(WINDOWS * n_samples).reshape(WINDOWS, n_samples)
    measured = [simulate(noise, s, seed) for seed, s in enumerate(SIMULATED_HZ)]

    line = np.linspace(10, 150, 281)
    figure, axes = plt.subplots(figsize=(6.4, 4.4))
    print("ratio  knee of eq. 8 (goal)   simulated / budget    budget / eq. 8, 10 to 150 Hz")
    for colour, (ratio, goal) in zip(("C0", "C1", "C2"), KNEES_HZ.items(), strict=True):
        predicted = np.array([budget(s, ratio) for s in SIMULATED_HZ])
        simulated = np.array([m[ratio] for m in measured])
        finite = np.array([budget(s, ratio) for s in line])
        paper = eq_8(line, ratio)
        share, against = simulated / predicted, finite / paper
        print(
            f"{ratio:5g}  {knee_hz(ratio):5.1f} Hz ({goal:g} +- 10 %)  "
            f"{share.min():.3f} to {share.max():.3f} (0.9 to 1.1)   "
            f"{against.min():.2f} to {against.max():.2f}"
        )
        axes.plot(line, np.sqrt(paper), "--", color=colour, lw=1)
        axes.plot(line, np.sqrt(finite), color=colour, label=f"neighbour {ratio:g} x 0.4 nA")
        axes.plot(SIMULATED_HZ, np.sqrt(simulated), "o", color=colour, ms=4)
        axes.axvline(knee_hz(ratio), color=colour, lw=0.5, ls=":")
    alone = error_budget(two_tones(500.0), NOISE, demodulator="butterworth").noise[0]
    axes.axhline(np.sqrt(alone), color="0.4", lw=0.8)
    axes.annotate("the tone alone", (149, 0.93 * np.sqrt(alone)), va="top", ha="right", color="0.4")
    axes.plot([], [], "k--", lw=1, label="eq. 8; dotted: twice the square of the tone alone")
    axes.plot([], [], "k", label="finite-window budget")
    axes.plot([], [], "ko", ms=4, label="simulated, 8,000 windows")
    axes.set(
        yscale="log", xlabel="distance between tones, Hz", ylabel="error of the derivative, nA/V"
    )
    axes.set_xlim(8, 152)
    axes.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(out / "homodyne-3b.png", dpi=150)
    plt.close(figure)
