"""Figure 1c of Boon et al. 2025: variance of a derivative against the power of added 1/f noise.

h(w) = 10 w, amplitude and step 0.1 V, one second a derivative, 1,000 repetitions. The finite
difference compares two plateaus of half a second, so it sees the noise near 1 Hz; a tone sees it
at its own frequency, and 1/f noise has ten times less of it a decade higher.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.homodyne_paper.known_slope import by_steps, by_tone, one_tone, predicted_by_steps
from inmateria.gradients.error_budget import demodulators, error_budget
from inmateria.rigs.noise import PowerLawNoise

RATE = 4_000.0
DURATION_S = 1.0
AMPLITUDE_V = 0.1
TONES_HZ = (10.0, 100.0, 1_000.0)
REPETITIONS = 1_000
POWERS_NA2 = np.geomspace(1e-4, 1e1, 6)
# Below 0.01 / T a comparison of two halves of T no longer sees the noise.
LOWEST_HZ = 0.01


def noise_of(power_na2: float) -> PowerLawNoise:
    """1/f noise of this power between 1 / T and half the rate."""
    level = power_na2 / np.log(RATE / 2 * DURATION_S)
    return PowerLawNoise(level_na2_per_hz=level, at_hz=1.0, exponent=1.0, lowest_hz=LOWEST_HZ)


def main(out: Path) -> None:
    """Measure, print the table, and write homodyne-1c.svg into `out`."""
    plans = [one_tone(f, AMPLITUDE_V, DURATION_S, RATE) for f in TONES_HZ]
    tone = np.empty((len(TONES_HZ), POWERS_NA2.size))
    step = np.empty(POWERS_NA2.size)
    for k, power in enumerate(POWERS_NA2):
        noise = noise_of(float(power))
        for m, plan in enumerate(plans):
            seed = 100 * k + m
            found = by_tone(noise, plan, demodulators(plan), repetitions=REPETITIONS, seed=seed)
            tone[m, k] = found.var(ddof=1)
        step[k] = by_steps(
            noise, AMPLITUDE_V, DURATION_S, rate=RATE, repetitions=REPETITIONS, seed=100 * k + 99
        ).var(ddof=1)
    unit = noise_of(1.0)
    tone_budget = np.array([error_budget(plan, unit).noise[0] for plan in plans])
    step_budget = predicted_by_steps(unit, AMPLITUDE_V, DURATION_S, RATE)
    report(tone, step, tone_budget, step_budget)
    draw(tone, step, tone_budget, step_budget, out)


def report(tone: np.ndarray, step: np.ndarray, tone_budget: np.ndarray, step_budget: float) -> None:
    """Goals beside what was measured.

    All variances are proportional to the power: the mean over powers of variance / power has
    an uncertainty of sqrt(2 / 6,000) = 1.8 %.
    """
    per_power = (tone / POWERS_NA2).mean(axis=1)
    step_per_power = float((step / POWERS_NA2).mean())
    print(f"{REPETITIONS} repetitions at each of {POWERS_NA2.size} powers")
    print("| variance per power, 1/V^2 | measured | finite-window budget |")
    print("| --- | --- | --- |")
    for f, found, due in zip(TONES_HZ, per_power, tone_budget, strict=True):
        print(f"| tone at {f:g} Hz | {found:.3g} | {due:.3g} |")
    print(f"| finite difference | {step_per_power:.3g} | {step_budget:.3g} |")
    print()
    print("| | goal | measured |")
    print("| --- | --- | --- |")
    for m in range(len(TONES_HZ) - 1):
        ratio = per_power[m] / per_power[m + 1]
        print(
            f"| {TONES_HZ[m]:g} to {TONES_HZ[m + 1]:g} Hz: variance smaller by | 10 | {ratio:.2f} |"
        )
    for f, found in zip(TONES_HZ, per_power, strict=True):
        goal = ">= 100" if f == TONES_HZ[-1] else ""
        print(
            f"| finite difference over tone at {f:g} Hz | {goal} | {step_per_power / found:.0f} |"
        )


def draw(
    tone: np.ndarray,
    step: np.ndarray,
    tone_budget: np.ndarray,
    step_budget: float,
    out: Path,
) -> None:
    """Points as measured, lines as predicted."""
    mpl.rcParams.update({"svg.hashsalt": "homodyne-1c", "svg.fonttype": "none", "font.size": 9})
    figure = Figure(figsize=(5.2, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.loglog(POWERS_NA2, step, "s", color="tab:red", label="finite difference")
    axes.loglog(POWERS_NA2, step_budget * POWERS_NA2, color="tab:red", lw=0.8)
    for m, (f, colour) in enumerate(zip(TONES_HZ, ("#9ecae1", "#4292c6", "#08519c"), strict=True)):
        axes.loglog(POWERS_NA2, tone[m], "o", color=colour, label=f"tone at {f:g} Hz")
        axes.loglog(POWERS_NA2, tone_budget[m] * POWERS_NA2, color=colour, lw=0.8)
    axes.set_xlabel("power of added 1/f noise, 1 Hz to 2 kHz (nA$^2$)")
    axes.set_ylabel("variance of dh/dw ((nA/V)$^2$)")
    axes.legend(frameon=False)
    axes.grid(alpha=0.25)
    figure.savefig(out / "homodyne-1c.svg", metadata={"Date": None})
