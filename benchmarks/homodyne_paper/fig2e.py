"""Figure 2e of Boon et al. 2025: a derivative against the amplitude that it is measured with.

The default dopant network at an operating point where the current is strongly curved, behind the
default noisy chain, calibrated. With a small amplitude the noise hides the derivative, with a large
one the tone reaches into the curvature:

    tone of amplitude a         dI/dV + a^2 / 8 d3I/dV3 + ...
    central difference, step a  dI/dV + a^2 / 6 d3I/dV3 + ...

The full dependence on a is computed from the device without a chain, and so is the derivative. The
calibration restores the gain of the chain, but the device sees the tone that the electrodes let
through, 0.2 % smaller: that is the amplitude of the expected curve.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.homodyne_paper.known_slope import one_tone
from inmateria.devices.dopant.network import DopantNetwork
from inmateria.gradients.calibration import calibrate
from inmateria.gradients.error_budget import error_budget
from inmateria.gradients.exact import Exact
from inmateria.gradients.finite_difference import FiniteDifference
from inmateria.gradients.homodyne import Homodyne
from inmateria.rigs.guard import Guard
from inmateria.rigs.simulated import DEFAULT_ELECTRODES, DEFAULT_NOISE, SimulatedRig
from inmateria.signals.tones import TonePlan

RATE = 10_000.0
DURATION_S = 0.1
WAIT_S = 0.005
CALIBRATION_S = 1.0  # a window of it; the gain is then known to a few tenths of a per cent
# 97 cycles in a window, a prime: no two samples of it see the same voltage.
TONE_HZ = 970.0
REPETITIONS = 20
AMPLITUDES_V = np.geomspace(5e-4, 0.24, 9)
CONTROL = "e1"
# Of 400 random points within +-0.5 V the one with the second largest d3I/dV3 relative to dI/dV.
POINT_V = np.array([-0.239, -0.176, 0.048, -0.411, -0.093, 0.182, 0.336])
SLEW_V_PER_S = 2_000.0  # 0.24 V at 970 Hz


def main(out: Path) -> None:
    """Measure, print the table, and write homodyne-2e.svg into `out`."""
    device = DopantNetwork()
    exact = float(Exact(device, (CONTROL,)).extract(POINT_V).value[0, 0])
    fine = np.geomspace(AMPLITUDES_V[0], AMPLITUDES_V[-1], 60)
    expected = np.array([expectation(device, a) for a in fine])
    tone = np.empty((AMPLITUDES_V.size, REPETITIONS))
    step = np.empty_like(tone)
    points = np.tile(POINT_V, (REPETITIONS, 1))
    with Guard(SimulatedRig(device, rate=RATE, seed=7), slew_v_per_s=SLEW_V_PER_S) as rig:
        calibration = calibrate(rig, (CONTROL,), duration_s=CALIBRATION_S)
        gain_error = float(calibration.standard_error[0, 0, 0])
        for k, a in enumerate(AMPLITUDES_V):
            homodyne = Homodyne(rig, plan_of(float(a)), (CONTROL,), calibration=calibration)
            tone[k] = homodyne.extract(points).value[:, 0, 0]
            difference = FiniteDifference(
                rig,
                (CONTROL,),
                step_v=float(a),
                hold_s=DURATION_S / 2,
                settle_s=WAIT_S,
            )
            step[k] = difference.extract(points).value[:, 0, 0]
    due = np.array([expectation(device, float(a)) for a in AMPLITUDES_V])
    report(tone, step, due, exact, gain_error)
    draw(tone, step, (fine, expected), exact, out)


def plan_of(amplitude_v: float) -> TonePlan:
    """One tone for 0.1 s after a short wait."""
    plan = one_tone(TONE_HZ, amplitude_v, DURATION_S, RATE)
    return TonePlan(
        plan.rate,
        plan.n_samples,
        round(WAIT_S * RATE),
        plan.frequency_hz,
        plan.amplitude_v,
        plan.phase,
        plan.group,
    )


def expectation(device: DopantNetwork, amplitude_v: float) -> tuple[float, float]:
    """What a tone and a step of this size give without noise, nA/V."""
    k = [t.name for t in device.terminals].index(CONTROL)
    direction = np.eye(len(device.terminals))[k]
    # The mean over a period of a smooth function converges faster than any power of points.
    sine = np.sin(2 * np.pi * np.arange(64) / 64)
    seen = electrode_gain() * amplitude_v
    current = device.current(POINT_V + seen * sine[:, None] * direction)[:, 0]
    ends = device.current(POINT_V + amplitude_v * np.array([[1.0], [-1.0]]) * direction)[:, 0]
    return (
        float(2 * np.mean(current * sine) / seen),
        float((ends[0] - ends[1]) / (2 * amplitude_v)),
    )


def electrode_gain() -> float:
    """Of the electrodes' RC at the tone, under a converter that holds each sample."""
    left = np.exp(-1 / (RATE * DEFAULT_ELECTRODES.tau_s))
    return float((1 - left) / abs(1 - left * np.exp(-2j * np.pi * TONE_HZ / RATE)))


def report(
    tone: np.ndarray, step: np.ndarray, due: np.ndarray, exact: float, gain_error: float
) -> None:
    """What was measured beside the exact gradient and the expected curve."""
    predicted = [
        float(error_budget(plan_of(float(a)), DEFAULT_NOISE).standard_error[0])
        for a in AMPLITUDES_V
    ]
    root = np.sqrt(REPETITIONS)
    print(
        f"dI/d{CONTROL} = {exact:.2f} nA/V exactly; {REPETITIONS} repetitions of "
        f"{DURATION_S:g} s, nA/V"
    )
    print(
        "| amplitude or step, mV | tone: mean +- its error | expected | scatter | predicted | "
        "step: mean +- its error | expected | scatter |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for k, a in enumerate(AMPLITUDES_V):
        t, s = tone[k].std(ddof=1), step[k].std(ddof=1)
        print(
            f"| {1e3 * a:.3g} | {tone[k].mean():.2f} +- {t / root:.2f} | {due[k, 0]:.2f} | "
            f"{t:.3g} | {predicted[k]:.3g} | {step[k].mean():.2f} +- {s / root:.2f} | "
            f"{due[k, 1]:.2f} | {s:.3g} |"
        )
    size = np.polyfit(np.log(AMPLITUDES_V), np.log(tone.std(axis=1, ddof=1)), 1)[0]
    mean, error = tone.mean(axis=1), tone.std(axis=1, ddof=1) / root
    deviation = (mean - due[:, 0]) / np.hypot(error, gain_error * due[:, 0])
    step_deviation = (step.mean(axis=1) - due[:, 1]) / (step.std(axis=1, ddof=1) / root)
    print()
    print("| | goal | measured |")
    print("| --- | --- | --- |")
    print(f"| scatter of the tone's derivative goes as a to the power | -1 | {size:.2f} |")
    print(
        f"| tone, rms deviation from the expected curve in standard errors, that of the gain "
        f"({100 * gain_error:.2g} %) included | about 1 | {rms(deviation):.2f} |"
    )
    print(
        f"| tone, largest relative deviation at 10 mV and more | | "
        f"{100 * np.abs(mean / due[:, 0] - 1)[AMPLITUDES_V > 0.01].max():.2f} % |"
    )
    print(f"| step, rms deviation in standard errors | about 1 | {rms(step_deviation):.2f} |")


def rms(values: np.ndarray) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(values**2)))


def draw(
    tone: np.ndarray,
    step: np.ndarray,
    expected: tuple[np.ndarray, np.ndarray],
    exact: float,
    out: Path,
) -> None:
    """Means with their standard errors, and the curves they should follow."""
    mpl.rcParams.update({"svg.hashsalt": "homodyne-2e", "svg.fonttype": "none", "font.size": 9})
    figure = Figure(figsize=(5.6, 3.8), layout="constrained")
    axes = figure.subplots()
    fine, curves = expected
    axes.axhline(exact, color="0.3", lw=0.8, ls="--", label="exact gradient")
    for k, (found, colour, marker, name) in enumerate(
        ((tone, "#08519c", "o", "tone"), (step, "tab:red", "s", "finite difference"))
    ):
        axes.semilogx(fine, curves[:, k], color=colour, lw=0.8)
        error = found.std(axis=1, ddof=1) / np.sqrt(REPETITIONS)
        axes.errorbar(
            AMPLITUDES_V,
            found.mean(axis=1),
            error,
            fmt=marker,
            ms=4,
            color=colour,
            capsize=2,
            zorder=4 - k,
            label=f"{name}, mean of {REPETITIONS}",
        )
    # The smallest steps scatter over much more than the derivative itself.
    axes.set_ylim(exact - 1.2 * abs(exact), 1.1 * curves.max())
    axes.set_xscale("log")
    axes.set_xlabel("amplitude or step (V)")
    axes.set_ylabel(f"dI/dV of {CONTROL} (nA/V)")
    axes.legend(frameon=False)
    axes.grid(alpha=0.25)
    figure.savefig(out / "homodyne-2e.svg", metadata={"Date": None})
