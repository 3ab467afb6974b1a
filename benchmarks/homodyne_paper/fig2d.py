"""Figure 2d of Boon et al. 2025: variance of a derivative against the time spent on it.

A tone of 8 mV at 1 kHz, read by least squares and by the paper's Butterworth chain, and a finite
difference of the same size (two plateaus of T / 2, one after the other), for the seed's 1/f^1.5
noise, for 1/f and for white noise of the same density at 1 kHz.

A tone sees the noise at 1 kHz, averaged over 1 / T: its variance falls as 1 / T. The finite
difference sees it at about 1 / T, with a bandwidth of about 1 / T: S(1 / T) / T, which goes as
T^(gamma - 1).
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.homodyne_paper.known_slope import by_steps, by_tone, one_tone, predicted_by_steps
from inmateria.gradients.error_budget import demodulators, error_budget
from inmateria.gradients.lockin_measurement import DemodulatorName
from inmateria.rigs.noise import PowerLawNoise

RATE = 10_000.0
TONE_HZ = 1_000.0
AMPLITUDE_V = 8e-3
DURATIONS_S = np.array([0.05, 0.1, 0.2, 0.5, 1.0])
# Variances of 3,000 repetitions are known to 2.6 %; the largest of 30 deviations is about 7 %.
TONE_REPETITIONS = 3_000
# 1,000: 4.5 %, and 0.02 in the slope.
STEP_REPETITIONS = 1_000
CHAINS: tuple[DemodulatorName, ...] = ("least_squares", "butterworth")
# A difference of two means passes the noise at f as (f T)^2, so that what lies below f0 has the
# share (f0 T)^(3 - gamma): 1e-3 of the variance for f0 = 0.01 / T and gamma = 1.5.
LOWEST_HZ = 0.01
NOISES = {
    1.5: PowerLawNoise(lowest_hz=LOWEST_HZ),
    1.0: PowerLawNoise(exponent=1.0, lowest_hz=LOWEST_HZ),
    0.0: PowerLawNoise(level_na2_per_hz=0.0, white_na2_per_hz=1e-5),
}
NAMES = {1.5: "1/f^1.5", 1.0: "1/f", 0.0: "white"}


def main(out: Path) -> None:
    """Measure, print the table, and write homodyne-2d.svg into `out`."""
    measured: dict[float, np.ndarray] = {}
    predicted: dict[float, np.ndarray] = {}
    for gamma, noise in NOISES.items():
        measured[gamma], predicted[gamma] = variances(noise, seed=round(10 * gamma))
    report(measured, predicted)
    draw(measured, predicted, out)


def variances(noise: PowerLawNoise, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Of both chains and the finite difference at each T, measured and predicted, (3, n_T)."""
    measured = np.empty((3, DURATIONS_S.size))
    predicted = np.empty_like(measured)
    for k, duration in enumerate(DURATIONS_S):
        plan = one_tone(TONE_HZ, AMPLITUDE_V, float(duration), RATE)
        chains = [demodulators(plan, kind)[0] for kind in CHAINS]
        found = by_tone(
            noise, plan, chains, repetitions=TONE_REPETITIONS, seed=1_000 * seed + 10 * k
        )
        measured[:2, k] = found.var(axis=1, ddof=1)
        predicted[:2, k] = [error_budget(plan, noise, demodulator=c).noise[0] for c in CHAINS]
        step = by_steps(
            noise,
            AMPLITUDE_V,
            float(duration),
            rate=RATE,
            repetitions=STEP_REPETITIONS,
            seed=1_000 * seed + 10 * k + 5,
        )
        measured[2, k] = step.var(ddof=1)
        predicted[2, k] = predicted_by_steps(noise, AMPLITUDE_V, float(duration), RATE)
    return measured, predicted


def slope(variance: np.ndarray) -> float:
    """Power of T."""
    return float(np.polyfit(np.log(DURATIONS_S), np.log(variance), 1)[0])


def report(measured: dict[float, np.ndarray], predicted: dict[float, np.ndarray]) -> None:
    """Goals beside what was measured."""
    print(
        f"{TONE_REPETITIONS} windows and {STEP_REPETITIONS} step pairs at each of "
        f"{DURATIONS_S.size} times from {DURATIONS_S[0]:g} to {DURATIONS_S[-1]:g} s"
    )
    print("| noise | estimator | slope: goal | measured | predicted | variance off budget by |")
    print("| --- | --- | --- | --- | --- | --- |")
    for gamma, found in measured.items():
        due = predicted[gamma]
        for row, name in enumerate((*CHAINS, "finite difference")):
            due_slope = gamma - 1 if row == 2 else -1.0
            off = np.abs(found[row] / due[row] - 1).max()
            limit = "" if row == 2 else " (goal: 10 %)"
            print(
                f"| {NAMES[gamma]} | {name} | {due_slope:+.1f} +- 0.1 | {slope(found[row]):+.3f} | "
                f"{slope(due[row]):+.3f} | at most {100 * off:.1f} %{limit} |"
            )
    at = int(np.flatnonzero(DURATIONS_S == 0.1)[0])
    print()
    print(
        "| at 0.1 s, variance in (nA/V)^2 | least squares | Butterworth | finite difference | "
        "over least squares | goal |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for gamma, found in measured.items():
        fitted, filtered, stepped = found[:, at]
        goal = ">= 300" if gamma == 1.5 else ("0.5" if gamma == 0 else "")
        print(
            f"| {NAMES[gamma]} | {fitted:.3g} | {filtered:.3g} | {stepped:.3g} | "
            f"{stepped / fitted:.3g} | {goal} |"
        )


def draw(measured: dict[float, np.ndarray], predicted: dict[float, np.ndarray], out: Path) -> None:
    """One panel a noise: points as measured, lines as predicted."""
    mpl.rcParams.update({"svg.hashsalt": "homodyne-2d", "svg.fonttype": "none", "font.size": 9})
    figure = Figure(figsize=(8.2, 3.2), layout="constrained")
    panels = figure.subplots(1, len(measured), sharey=True)
    style = (("o", "#08519c"), ("^", "#6baed6"), ("s", "tab:red"))
    names = ("tone, least squares", "tone, Butterworth", "finite difference")
    for axes, (gamma, found) in zip(panels, measured.items(), strict=True):
        for row, (marker, colour) in enumerate(style):
            axes.loglog(DURATIONS_S, found[row], marker, color=colour, label=names[row])
            axes.loglog(DURATIONS_S, predicted[gamma][row], color=colour, lw=0.8)
        axes.set_title(f"{NAMES[gamma].replace('^1.5', '$^{1.5}$')} noise", fontsize=9)
        axes.set_xlabel("time for one derivative T (s)")
        axes.grid(alpha=0.25)
    panels[0].set_ylabel("variance of dI/dV ((nA/V)$^2$)")
    panels[-1].legend(frameon=False)
    figure.savefig(out / "homodyne-2d.svg", metadata={"Date": None})
